//! Sizes at which grids must fold: one dimension of each operation at a time past 65,535, 2^19, 2^21 and 2^22. Planned, with
//! gradients, for an adapter that computes nothing: a call that can be recorded must have kernels whose grids fit.

use crate::common;
use rayon::prelude::*;
use std::cell::RefCell;
use wgrad::{
    AttentionOptions, AvgPool2dOptions, BatchNormOptions, Conv2dOptions, ConvTranspose2dOptions, CrossEntropyOptions,
    CtcLossOptions, Device, DeviceOptions, Disable, EmbeddingOptions, Error, GridSampleOptions, InterpolateOptions,
    LpPool2dOptions, MaxPool2dOptions, Noop, PadMode, Padding, RecurrentOptions, Result, RoiAlignOptions, Tensor,
    UnfoldOptions,
};

/// The device and the leaves of a call. Leaves are held, since the gradient of a dropped one is not computed.
struct Made {
    device: Device,
    leaves: RefCell<Vec<Tensor>>,
}

/// A call for a size.
type Call = fn(&Made, usize) -> Result<Vec<Tensor>>;

fn leaf(made: &Made, shape: &[usize]) -> Result<Tensor> {
    let leaf = Tensor::rand(&made.device, shape)?.requires_grad();
    made.leaves.borrow_mut().push(leaf.clone());
    Ok(leaf)
}

fn index(made: &Made, shape: &[usize]) -> Result<Tensor> {
    Tensor::full(&made.device, shape, 0i32)
}

fn conv(made: &Made, input: [usize; 4], weight: [usize; 4], options: &Conv2dOptions) -> Result<Vec<Tensor>> {
    Ok(vec![leaf(made, &input)?.conv2d(&leaf(made, &weight)?, None, options)?])
}

const CALLS: &[(&str, Call)] = &[
    ("add of rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.add(&leaf(d, &[3])?)?])),
    ("sum of rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.sum(1)?])),
    ("sum of columns", |d, n| Ok(vec![leaf(d, &[3, n])?.sum(0)?])),
    ("sum of a row", |d, n| Ok(vec![leaf(d, &[3, n])?.sum(1)?])),
    ("softmax of rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.softmax(1)?])),
    ("softmax of a row", |d, n| Ok(vec![leaf(d, &[1, n])?.softmax(1)?])),
    ("argmax of rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.argmax(1)?])),
    ("argmax of a row", |d, n| Ok(vec![leaf(d, &[3, n])?.argmax(1)?])),
    ("cumsum of rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.cumsum(1)?])),
    ("cumsum of a row", |d, n| Ok(vec![leaf(d, &[3, n])?.cumsum(1)?])),
    ("sort of rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.sort(1, false)?.0])),
    ("sort of a row", |d, n| Ok(vec![leaf(d, &[1, n])?.sort(1, false)?.0])),
    ("topk of rows", |d, n| Ok(vec![leaf(d, &[n, 5])?.topk(2, 1, true)?.0])),
    ("matmul, rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.matmul(&leaf(d, &[3, 5])?)?])),
    ("matmul, columns", |d, n| Ok(vec![leaf(d, &[3, 5])?.matmul(&leaf(d, &[5, n])?)?])),
    ("matmul, depth", |d, n| Ok(vec![leaf(d, &[3, n])?.matmul(&leaf(d, &[n, 2])?)?])),
    ("matmul, batch", |d, n| Ok(vec![leaf(d, &[n, 2, 3])?.matmul(&leaf(d, &[n, 3, 2])?)?])),
    ("matmul, vectors", |d, n| Ok(vec![leaf(d, &[n, 3])?.matmul(&leaf(d, &[3])?)?])),
    ("conv2d, batch", |d, n| conv(d, [n, 1, 2, 3], [2, 1, 2, 2], &Conv2dOptions::default())),
    ("conv2d, width", |d, n| conv(d, [1, 2, 1, n], [3, 2, 1, 3], &Conv2dOptions::default())),
    ("conv2d, height", |d, n| conv(d, [1, 2, n, 2], [3, 2, 3, 1], &Conv2dOptions::default())),
    ("conv2d, pointwise", |d, n| conv(d, [1, 3, 1, n], [2, 3, 1, 1], &Conv2dOptions::default())),
    ("conv2d, depthwise batch", |d, n| conv(d, [n, 2, 2, 2], [2, 1, 2, 2], &Conv2dOptions::default().groups(2))),
    ("conv2d, depthwise channels", |d, n| conv(d, [1, n, 2, 2], [n, 1, 2, 2], &Conv2dOptions::default().groups(n))),
    ("conv2d, output channels", |d, n| conv(d, [2, 1, 1, 1], [n, 1, 1, 1], &Conv2dOptions::default())),
    ("conv2d, input channels", |d, n| conv(d, [2, n, 1, 1], [1, n, 1, 1], &Conv2dOptions::default())),
    ("conv2d, output channels of 3 x 3", |d, n| {
        conv(d, [1, 1, 1, 1], [n, 1, 3, 3], &Conv2dOptions::default().padding(Padding::Same))
    }),
    ("conv2d, groups", |d, n| conv(d, [1, 2 * n, 1, 1], [2 * n, 2, 1, 1], &Conv2dOptions::default().groups(n))),
    ("conv2d, kernel's height", |d, n| conv(d, [1, 1, n + 1, 1], [2, 1, n, 1], &Conv2dOptions::default())),
    ("conv2d, kernel's width", |d, n| conv(d, [1, 1, 1, n + 1], [2, 1, 1, n], &Conv2dOptions::default())),
    ("conv2d, strides", |d, n| conv(d, [1, 1, n + 1, 2], [2, 1, 1, 1], &Conv2dOptions::default().stride([n, 1]))),
    ("conv2d, dilation", |d, n| conv(d, [1, 1, n + 1, 2], [2, 1, 2, 1], &Conv2dOptions::default().dilation([n, 1]))),
    ("conv2d, 3 x 3 of 16 channels", |d, n| {
        conv(d, [n / 64, 16, 1, 1], [16, 16, 3, 3], &Conv2dOptions::default().padding(Padding::Same))
    }),
    ("conv1d, channels", |d, n| {
        Ok(vec![leaf(d, &[1, 1, 2])?.conv1d(&leaf(d, &[n, 1, 2])?, None, &Default::default())?])
    }),
    ("conv3d, channels", |d, n| {
        Ok(vec![leaf(d, &[1, 1, 1, 1, 2])?.conv3d(&leaf(d, &[n, 1, 1, 1, 2])?, None, &Default::default())?])
    }),
    ("conv3d, depth", |d, n| {
        Ok(vec![leaf(d, &[1, 1, n, 1, 1])?.conv3d(&leaf(d, &[2, 1, 2, 1, 1])?, None, &Default::default())?])
    }),
    ("conv_transpose2d, channels", |d, n| {
        let options = ConvTranspose2dOptions::default().stride(2);
        Ok(vec![leaf(d, &[1, 1, 1, 2])?.conv_transpose2d(&leaf(d, &[1, n, 1, 2])?, None, &options)?])
    }),
    ("conv_transpose2d, batch", |d, n| {
        let options = ConvTranspose2dOptions::default().stride(2);
        Ok(vec![leaf(d, &[n, 2, 1, 2])?.conv_transpose2d(&leaf(d, &[2, 1, 2, 2])?, None, &options)?])
    }),
    ("max_pool2d, batch", |d, n| Ok(vec![leaf(d, &[n, 1, 2, 2])?.max_pool2d([2, 2], &MaxPool2dOptions::default())?])),
    ("max_pool2d, width", |d, n| Ok(vec![leaf(d, &[1, 1, 2, n])?.max_pool2d([2, 3], &MaxPool2dOptions::default())?])),
    ("avg_pool2d, batch", |d, n| Ok(vec![leaf(d, &[n, 1, 2, 2])?.avg_pool2d([2, 2], &AvgPool2dOptions::default())?])),
    ("lp_pool2d, batch", |d, n| {
        Ok(vec![leaf(d, &[n, 1, 2, 2])?.lp_pool2d(2.0, [2, 2], &LpPool2dOptions::default())?])
    }),
    ("adaptive_avg_pool2d, batch", |d, n| Ok(vec![leaf(d, &[n, 1, 3, 2])?.adaptive_avg_pool2d([Some(2), Some(1)])?])),
    ("batch_norm, batch", |d, n| norm(d, [n, 2, 2])),
    ("batch_norm, channels", |d, n| norm(d, [2, n, 2])),
    ("batch_norm, places", |d, n| norm(d, [2, 2, n])),
    ("layer_norm, rows", |d, n| Ok(vec![leaf(d, &[n, 3])?.layer_norm(&[3], None, None, 1e-5)?])),
    ("layer_norm, a row", |d, n| Ok(vec![leaf(d, &[2, n])?.layer_norm(&[n], None, None, 1e-5)?])),
    ("cross_entropy, rows", |d, n| {
        Ok(vec![leaf(d, &[n, 3])?.cross_entropy(&index(d, &[n])?, &CrossEntropyOptions::default())?])
    }),
    ("cross_entropy, classes", |d, n| {
        Ok(vec![leaf(d, &[2, n])?.cross_entropy(&index(d, &[2])?, &CrossEntropyOptions::default())?])
    }),
    ("gather", |d, n| Ok(vec![leaf(d, &[n, 2])?.gather(0, &index(d, &[n, 2])?)?])),
    ("index_select", |d, n| Ok(vec![leaf(d, &[2, n])?.index_select(1, &index(d, &[n])?)?])),
    ("scatter_add", |d, n| Ok(vec![leaf(d, &[n])?.scatter_add(0, &index(d, &[n])?, &leaf(d, &[n])?)?])),
    ("embedding, words", |d, n| Ok(vec![index(d, &[n])?.embedding(&leaf(d, &[5, 2])?, &EmbeddingOptions::default())?])),
    ("embedding, rows", |d, n| Ok(vec![index(d, &[7])?.embedding(&leaf(d, &[n, 2])?, &EmbeddingOptions::default())?])),
    ("pad", |d, n| Ok(vec![leaf(d, &[n, 2])?.pad(&[1, 1], PadMode::Constant(0.0))?])),
    ("cat", |d, n| Ok(vec![Tensor::cat(&[&leaf(d, &[n, 2])?, &leaf(d, &[n, 1])?], 1)?])),
    ("interpolate, batch", |d, n| {
        let options = InterpolateOptions::default().size(vec![3, 3]);
        Ok(vec![leaf(d, &[n, 1, 2, 2])?.interpolate(&options)?])
    }),
    ("grid_sample, batch", |d, n| {
        let grid = leaf(d, &[n, 1, 2, 2])?;
        Ok(vec![leaf(d, &[n, 1, 2, 2])?.grid_sample(&grid, &GridSampleOptions::default())?])
    }),
    ("attention, batch", |d, n| {
        let [query, key, value] = [leaf(d, &[n, 2, 2])?, leaf(d, &[n, 2, 2])?, leaf(d, &[n, 2, 2])?];
        Ok(vec![query.scaled_dot_product_attention(&key, &value, &AttentionOptions::default())?])
    }),
    ("attention, heads", |d, n| {
        let [query, key, value] = [leaf(d, &[2, n, 1, 2])?, leaf(d, &[2, n, 1, 2])?, leaf(d, &[2, n, 1, 2])?];
        let options = AttentionOptions::default().is_causal(true);
        Ok(vec![query.scaled_dot_product_attention(&key, &value, &options)?])
    }),
    ("attention, places", |d, n| {
        let [query, key, value] = [leaf(d, &[1, n, 2])?, leaf(d, &[1, 2, 2])?, leaf(d, &[1, 2, 2])?];
        Ok(vec![query.scaled_dot_product_attention(&key, &value, &AttentionOptions::default())?])
    }),
    ("roi_align, regions", |d, n| {
        Ok(vec![leaf(d, &[1, 1, 3, 3])?.roi_align(&boxes(d, n)?, [1, 2], &RoiAlignOptions::default())?])
    }),
    ("roi_align, images", |d, n| {
        Ok(vec![leaf(d, &[n, 1, 3, 3])?.roi_align(&boxes(d, 2)?, [1, 2], &RoiAlignOptions::default())?])
    }),
    ("roi_align, channels", |d, n| {
        Ok(vec![leaf(d, &[1, n, 3, 3])?.roi_align(&boxes(d, 2)?, [1, 2], &RoiAlignOptions::default())?])
    }),
    ("roi_pool, regions", |d, n| Ok(vec![leaf(d, &[1, 1, 3, 3])?.roi_pool(&boxes(d, n)?, [1, 2], 1.0)?])),
    ("roi_pool, images", |d, n| Ok(vec![leaf(d, &[n, 1, 3, 3])?.roi_pool(&boxes(d, 2)?, [1, 2], 1.0)?])),
    ("roi_pool, channels", |d, n| Ok(vec![leaf(d, &[1, n, 3, 3])?.roi_pool(&boxes(d, 2)?, [1, 2], 1.0)?])),
    ("nms", |d, n| Ok(vec![Tensor::zeros(&d.device, &[n, 4])?.nms(&Tensor::zeros(&d.device, &[n])?, 0.5)?])),
    ("batched_nms, images", |d, n| Ok(vec![batched_nms(d, [n, 3])?])),
    ("batched_nms, boxes", |d, n| Ok(vec![batched_nms(d, [2, n])?])),
    ("ctc_loss, batch", |d, n| ctc(d, [2, n, 3], 1)),
    ("ctc_loss, classes", |d, n| ctc(d, [2, 1, n], 1)),
    ("lstm, batch", |d, n| {
        let (input, state) = (leaf(d, &[2, n, 1])?, leaf(d, &[1, n, 1])?);
        let (of_input, of_state) = (leaf(d, &[4, 1])?, leaf(d, &[4, 1])?);
        let options = RecurrentOptions::default().has_biases(false);
        Ok(vec![input.lstm(&state, &state, &[&of_input, &of_state], &options)?.0])
    }),
    ("gru_cell, batch", |d, n| {
        Ok(vec![leaf(d, &[n, 1])?.gru_cell(&leaf(d, &[n, 1])?, [&leaf(d, &[3, 1])?, &leaf(d, &[3, 1])?], None)?])
    }),
    ("rnn_tanh_cell, inputs", |d, n| {
        Ok(vec![leaf(d, &[2, n])?.rnn_tanh_cell(&leaf(d, &[2, 1])?, [&leaf(d, &[1, n])?, &leaf(d, &[1, 1])?], None)?])
    }),
    ("dropout", |d, n| Ok(vec![leaf(d, &[n, 3])?.dropout(0.5, true)?])),
    ("tril, batch", |d, n| Ok(vec![leaf(d, &[n, 2, 2])?.tril(0)?])),
];

fn boxes(made: &Made, count: usize) -> Result<Tensor> {
    Tensor::zeros(&made.device, &[count, 5])
}

fn batched_nms(made: &Made, [rows, count]: [usize; 2]) -> Result<Tensor> {
    let boxes = Tensor::zeros(&made.device, &[rows, count, 4])?;
    let labels = Tensor::full(&made.device, &[rows, count], 0i32)?;
    boxes.batched_nms(&Tensor::zeros(&made.device, &[rows, count])?, &labels, 0.5, 2)
}

fn ctc(made: &Made, input: [usize; 3], labels: usize) -> Result<Vec<Tensor>> {
    let [time, batch, _] = input;
    let targets = Tensor::full(&made.device, &[batch, labels], 1i32)?;
    let (times, lengths) = (vec![time; batch], vec![labels; batch]);
    Ok(vec![leaf(made, &input)?.ctc_loss(&targets, &times[..], &lengths[..], &CtcLossOptions::default())?])
}

fn norm(made: &Made, shape: [usize; 3]) -> Result<Vec<Tensor>> {
    let options = BatchNormOptions::default().training(true);
    Ok(vec![leaf(made, &shape)?.batch_norm(None, None, None, None, &options)?])
}

/// On an adapter that computes nothing.
fn made(software: bool) -> Made {
    let noop = Noop { software, subgroup_size: if software { 8 } else { 32 }, ..Noop::default() };
    let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
    Made { device, leaves: RefCell::default() }
}

/// The reason why a call of this size can't be planned, if it was recorded.
fn refusal(call: Call, software: bool, size: usize) -> Option<Error> {
    let made = made(software);
    let outputs = match call(&made, size) {
        // Calls that do not fit into memory fail here, and `nms` of more than 960,000 boxes.
        Err(Error::TooLarge { unit, .. }) if unit.starts_with("bytes") || unit == "boxes" => return None,
        outputs => outputs.unwrap(),
    };
    let run = || -> Result<()> {
        for output in outputs.iter().filter(|output| output.is_tracked()) {
            output.sum_all()?.backward()?;
        }
        made.device.flush()
    };
    run().err()
}

#[test]
fn every_grid_folds() {
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    // Groups of eight are the smallest that hold a dimension of a tensor; larger ones fold alike.
    let sizes = if all { &[65_537, (1 << 19) + 1, (1 << 21) + 1, (1 << 22) + 1][..] } else { &[(1 << 19) + 1] };
    let only = std::env::var("WGRAD_TEST_OP").unwrap_or_default();
    let refusals: Vec<String> = CALLS
        .par_iter()
        .filter(|(name, _)| name.contains(&only))
        .flat_map_iter(|&(name, call)| {
            sizes.iter().flat_map(move |&size| {
                [true, false].into_iter().filter_map(move |software| {
                    let kind = if software { "software" } else { "a GPU" };
                    refusal(call, software, size).map(|error| format!("{name} of {size} on {kind}: {error}"))
                })
            })
        })
        .collect();
    assert!(refusals.is_empty(), "{}", refusals.join("\n"));
}

/// A call that is only recorded.
type Recorded = fn(&Made) -> Result<()>;

/// Calls that no kernel can compute, at the smallest such size, or with the smallest such options.
const LIMITS: &[(&str, Recorded)] = &[
    ("nms", |d| Tensor::zeros(&d.device, &[960_001, 4])?.nms(&Tensor::zeros(&d.device, &[960_001])?, 0.5).map(drop)),
    ("max_pool2d", |d| leaf(d, &[1, 1, 2100, 2100])?.max_pool2d([2100, 2100], &MaxPool2dOptions::default()).map(drop)),
    ("adaptive_max_pool2d", |d| leaf(d, &[1, 1, 1, 960_001])?.adaptive_max_pool2d([Some(1), Some(1)]).map(drop)),
    ("roi_align of many bins", |d| {
        leaf(d, &[1, 1, 3, 3])?.roi_align(&boxes(d, 1)?, [1, 60_001], &RoiAlignOptions::default()).map(drop)
    }),
    ("roi_pool of many bins", |d| leaf(d, &[1, 1, 3, 3])?.roi_pool(&boxes(d, 1)?, [1, 60_001], 1.0).map(drop)),
    ("roi_pool of large images", |d| leaf(d, &[1, 1, 2000, 1000])?.roi_pool(&boxes(d, 1)?, [1, 1], 1.0).map(drop)),
    ("fold", |d| {
        let options = UnfoldOptions::default().stride([1, 100_003]).dilation([1, 70_001]);
        leaf(d, &[1, 2, 2])?.fold([1, 170_005], [1, 2], &options).map(drop)
    }),
    ("gradient of conv2d", |d| {
        let options = Conv2dOptions::default().stride([1, 100_003]).dilation([1, 70_001]);
        conv(d, [1, 1, 1, 170_005], [1, 1, 1, 2], &options)?[0].sum_all()?.backward()
    }),
];

#[test]
fn what_no_kernel_computes_fails_where_it_is_recorded() {
    for software in [true, false] {
        for (name, call) in LIMITS {
            let result = call(&made(software));
            assert!(matches!(result, Err(Error::TooLarge { .. } | Error::Invalid { .. })), "{name}: {result:?}");
        }
    }
}

/// Whole numbers from -3 to 3, scattered, whose products and short sums are exact.
fn whole(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed).wrapping_mul(2_654_435_761) >> 7) % 7) as f32 - 3.0).collect()
}

/// More groups of channels than a dimension of a grid allows, of two channels each: the result and both gradients.
#[test]
fn convolutions_of_many_groups_are_right() {
    const GROUPS: usize = 66_001;
    let [x, w, c] = [whole(2 * GROUPS, 1), whole(4 * GROUPS, 2), whole(2 * GROUPS, 3)];
    let at = |i: usize| (i / 2 * 2, i % 2);
    let y: Vec<f32> = (0..2 * GROUPS).map(|o| w[2 * o] * x[at(o).0] + w[2 * o + 1] * x[at(o).0 + 1]).collect();
    let of_x: Vec<f32> = (0..2 * GROUPS)
        .map(|i| {
            let (first, of) = at(i);
            w[2 * first + of] * c[first] + w[2 * first + 2 + of] * c[first + 1]
        })
        .collect();
    let of_w: Vec<f32> = (0..4 * GROUPS).map(|i| c[i / 2] * x[at(i / 2).0 + i % 2]).collect();
    let plain = Disable { subgroup: true, int64: true, ..Disable::default() };
    let for_gpus = Disable { software: true, ..Disable::default() };
    for disable in [Disable::default(), plain, for_gpus] {
        let Some(device) = common::poisoned(disable) else { return };
        let tensor = |values: &[f32], sizes: &[usize]| Tensor::from_slice(&device, values, sizes).unwrap();
        let input = tensor(&x, &[1, 2 * GROUPS, 1, 1]).requires_grad();
        let weight = tensor(&w, &[2 * GROUPS, 2, 1, 1]).requires_grad();
        let options = Conv2dOptions::default().groups(GROUPS);
        let output = input.conv2d(&weight, None, &options).unwrap();
        let cotangent = tensor(&c, &[1, 2 * GROUPS, 1, 1]);
        let gradients = wgrad::grad(&[&output], &[&input, &weight], &[&cotangent]).unwrap();
        assert!(output.to_vec::<f32>().unwrap() == y, "{disable:?}");
        for (gradient, expected) in gradients.iter().zip([&of_x, &of_w]) {
            assert!(gradient.as_ref().unwrap().to_vec::<f32>().unwrap() == *expected, "{disable:?}");
        }
    }
}
