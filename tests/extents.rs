//! Options at their largest sensible values: kernels and strides as large as the input, dilations that reach across it,
//! a group a channel. What is compiled, and what is looked at for one element, must not grow with such a number: the
//! first call, gradients and compiling included, returns soon, with the reference's results. `WGRAD_TEST_ALL=1` runs
//! the slower ones too.

mod common;

use common::{Random, adapter};
use std::time::{Duration, Instant};
use wgrad::*;

/// The time of the first call at most, without optimisations, on two busy cores.
const SOON: Duration = Duration::from_secs(10);

type Run = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// One call with sizes of its inputs.
struct Extent {
    what: &'static str,
    inputs: Vec<Vec<usize>>,
    run: Run,
    /// Terms of the longest sum.
    terms: usize,
    /// Runs with `WGRAD_TEST_ALL=1` only.
    long: bool,
}

fn extent(
    what: &'static str,
    inputs: &[&[usize]],
    terms: usize,
    run: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
) -> Extent {
    let inputs = inputs.iter().map(|sizes| sizes.to_vec()).collect();
    Extent { what, inputs, run: Box::new(run), terms, long: false }
}

impl Extent {
    fn long(self) -> Extent {
        Extent { long: true, ..self }
    }

    /// The result, and the gradients of its weighted sum.
    fn compute(&self, device: &Device) -> Result<Vec<Vec<f32>>> {
        let mut random = Random(7);
        let mut tensor = |sizes: &[usize]| {
            let values: Vec<f32> = (0..sizes.iter().product()).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
            Tensor::from_slice(device, &values, sizes)
        };
        let inputs = self.inputs.iter().map(|sizes| Ok(tensor(sizes)?.requires_grad())).collect::<Result<Vec<_>>>()?;
        let output = (self.run)(&inputs)?;
        let cotangent = tensor(output.shape())?;
        let gradients = grad(&[&output], &inputs.iter().collect::<Vec<_>>(), &[&cotangent])?;
        [Some(output)].into_iter().chain(gradients).flatten().map(|tensor| tensor.to_vec::<f32>()).collect()
    }

    /// Its faults.
    fn fault(&self, device: &Device) -> Option<String> {
        let start = Instant::now();
        let results = match self.compute(device) {
            Ok(results) => results,
            Err(error) => return Some(format!("{}: {error}", self.what)),
        };
        let took = start.elapsed();
        if took > SOON {
            return Some(format!("{}: the first call took {took:.1?}", self.what));
        }
        let expected = self.compute(&Device::reference()).unwrap();
        for (number, (results, expected)) in results.iter().zip(&expected).enumerate() {
            let largest = expected.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
            let allowed = f32::EPSILON * (16 + self.terms) as f32 * largest;
            let differ = |(got, expected): (&f32, &f32)| (got - expected).abs() > allowed || got.is_nan();
            if let Some(at) = results.iter().zip(expected).position(differ) {
                let (got, expected) = (results[at], expected[at]);
                return Some(format!("{}, result {number}[{at}]: expected {expected}, got {got}", self.what));
            }
        }
        None
    }
}

fn check(extents: Vec<Extent>) {
    let Some(device) = adapter() else { return };
    let all = std::env::var("WGRAD_TEST_ALL").is_ok();
    let faults: Vec<String> =
        extents.iter().filter(|extent| all || !extent.long).filter_map(|extent| extent.fault(&device)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pools() {
    let max = |stride, padding, dilation| MaxPool2dOptions { stride, padding, dilation, ceil_mode: false };
    let average = |stride, padding| AvgPool2dOptions { stride, padding, ..AvgPool2dOptions::default() };
    let plane: &[&[usize]] = &[&[1, 1, 224, 224]];
    check(vec![
        extent("max_pool2d, global", plane, 1, move |x| x[0].max_pool2d([224, 224], &max(None, [0, 0], [1, 1]))),
        extent("max_pool2d, a row", plane, 1, move |x| x[0].max_pool2d([1, 224], &max(Some([1, 1]), [0, 0], [1, 1]))),
        extent("max_pool2d, padded by half", plane, 4, move |x| {
            x[0].max_pool2d([224, 224], &max(Some([112, 112]), [112, 112], [1, 1]))
        }),
        extent("max_pool2d, dilated across", plane, 9, move |x| {
            x[0].max_pool2d([3, 3], &max(Some([1, 1]), [0, 1], [111, 109]))
        }),
        extent("max_pool2d, dilated and strided", plane, 9, move |x| {
            x[0].max_pool2d([3, 4], &max(Some([6, 4]), [1, 1], [75, 70]))
        }),
        extent("max_pool2d, stride of the input", plane, 9, move |x| {
            x[0].max_pool2d([3, 3], &max(Some([224, 224]), [0, 0], [1, 1]))
        }),
        extent("max_pool2d, wide windows side by side", &[&[1, 1, 96, 96]], 2500, move |x| {
            x[0].max_pool2d([48, 48], &max(Some([1, 1]), [0, 0], [1, 1]))
        })
        .long(),
        extent("max_pool1d, long", &[&[1, 1, 50_000]], 1, |x| {
            x[0].max_pool1d([50_000], &MaxPool1dOptions { padding: [25_000], ..MaxPool1dOptions::default() })
        }),
        extent("max_pool1d, dilated", &[&[1, 1, 150_001]], 3, |x| {
            let options = MaxPool1dOptions { stride: Some([1]), dilation: [75_000], ..MaxPool1dOptions::default() };
            x[0].max_pool1d([3], &options)
        }),
        extent("max_pool3d, global", &[&[1, 1, 32, 32, 32]], 1, |x| {
            x[0].max_pool3d([32, 32, 32], &MaxPool3dOptions::default())
        }),
        extent("avg_pool2d, global", plane, 50_176, move |x| x[0].avg_pool2d([224, 224], &average(None, [0, 0]))),
        extent("avg_pool2d, padded by half", plane, 50_176, move |x| {
            x[0].avg_pool2d([224, 224], &average(Some([112, 112]), [112, 112]))
        }),
        extent("avg_pool2d, stride of the input", plane, 9, move |x| {
            x[0].avg_pool2d([3, 3], &average(Some([224, 224]), [0, 0]))
        }),
        extent("avg_pool2d, wide windows side by side", &[&[1, 1, 96, 96]], 2500, move |x| {
            x[0].avg_pool2d([48, 48], &average(Some([1, 1]), [0, 0]))
        })
        .long(),
        extent("avg_pool1d, long", &[&[1, 1, 50_000]], 50_000, |x| {
            x[0].avg_pool1d([50_000], &AvgPool1dOptions::default())
        }),
        extent("avg_pool3d, global", &[&[1, 1, 32, 32, 32]], 32_768, |x| {
            x[0].avg_pool3d([32, 32, 32], &AvgPool3dOptions::default())
        }),
        extent("lp_pool2d, global", plane, 50_176, |x| x[0].lp_pool2d(2.0, [224, 224], &LpPool2dOptions::default())),
        extent("adaptive_max_pool2d, global", plane, 1, |x| x[0].adaptive_max_pool2d([Some(1), Some(1)])),
        extent("adaptive_max_pool2d, uneven", plane, 4, |x| x[0].adaptive_max_pool2d([Some(3), Some(223)])),
        extent("adaptive_avg_pool2d, wide", &[&[1, 1, 3, 5]], 50_176, |x| {
            x[0].adaptive_avg_pool2d([Some(224), Some(224)])
        }),
        // Windows of more elements than a driver lets a loop turn.
        extent("adaptive_avg_pool1d, long", &[&[1, 1, 200_003]], 100_000, |x| x[0].adaptive_avg_pool1d([Some(2)])),
        extent("adaptive_avg_pool1d, longer", &[&[1, 1, 3]], 70_000, |x| x[0].adaptive_avg_pool1d([Some(200_000)])),
        extent("adaptive_max_pool1d, long", &[&[1, 1, 200_003]], 1, |x| x[0].adaptive_max_pool1d([Some(2)])),
        extent("adaptive_max_pool1d, longer", &[&[1, 1, 3]], 70_000, |x| x[0].adaptive_max_pool1d([Some(200_000)])),
    ]);
}

#[test]
fn windows() {
    let options = |dilation, padding, stride| UnfoldOptions { dilation, padding, stride };
    check(vec![
        extent("unfold, as large as the image", &[&[1, 2, 150, 160]], 4, move |x| {
            x[0].unfold([150, 159], &options([1, 1], [1, 0], [1, 1]))
        }),
        extent("unfold, far apart", &[&[1, 2, 150, 160]], 4, move |x| {
            x[0].unfold([3, 4], &options([70, 50], [0, 1], [6, 4]))
        }),
        extent("unfold, 70,000 taps", &[&[1, 1, 1, 70_001]], 4, move |x| {
            x[0].unfold([1, 70_000], &options([1, 1], [0, 0], [1, 1]))
        }),
        extent("fold, stride of the windows", &[&[1, 4096, 4]], 4, move |x| {
            x[0].fold([128, 128], [64, 64], &options([1, 1], [0, 0], [64, 64]))
        }),
    ]);
}

#[test]
fn resampling() {
    let to = |size: usize, mode, antialias| {
        move |x: &[Tensor]| {
            x[0].interpolate(&InterpolateOptions { size: Some(vec![size]), mode, antialias, ..Default::default() })
        }
    };
    check(vec![
        extent("interpolate, areas", &[&[1, 1, 150_001]], 75_000, to(2, InterpolateMode::Area, false)),
        extent(
            "interpolate, one element to many",
            &[&[1, 1, 1]],
            150_000,
            to(150_000, InterpolateMode::Nearest, false),
        ),
        extent("interpolate, linear", &[&[1, 1, 2]], 150_000, to(150_000, InterpolateMode::Linear, false)),
    ]);
}

fn line(options: Conv1dOptions) -> impl Fn(&[Tensor]) -> Result<Tensor> {
    move |x| x[0].conv1d(&x[1], None, &options)
}

fn plane(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> Run {
    let options = Conv2dOptions { stride, padding: Padding::Explicit(padding), dilation, groups };
    Box::new(move |x| x[0].conv2d(&x[1], None, &options))
}

#[test]
fn convolutions() {
    let plain = Conv1dOptions::default();
    let same = Conv1dOptions { padding: Padding::Same, ..plain };
    check(vec![
        extent("conv1d, 512 taps", &[&[1, 2, 530], &[3, 2, 512]], 1024, line(plain)).long(),
        extent("conv1d, 1,021 taps", &[&[1, 2, 1040], &[3, 2, 1021]], 2042, line(plain)),
        extent("conv1d, taps past the input", &[&[1, 1, 300], &[2, 1, 599]], 600, line(same)),
        extent("conv1d, 65,536 taps", &[&[1, 1, 65_540], &[1, 1, 65_536]], 65_536, line(plain)),
        extent(
            "conv1d, a short-time Fourier transform",
            &[&[1, 1, 1600], &[402, 1, 400]],
            402 * 8,
            line(Conv1dOptions { stride: [160], padding: Padding::Explicit([200]), ..plain }),
        ),
        extent(
            "conv1d, dilated across",
            &[&[1, 2, 3000], &[3, 2, 3]],
            2000,
            line(Conv1dOptions { dilation: [1400], ..plain }),
        )
        .long(),
        extent(
            "conv2d, as large as the input",
            &[&[2, 2, 224, 224], &[2, 2, 224, 224]],
            200_000,
            plane([1, 1], [0, 0], [1, 1], 1),
        ),
        extent("conv2d, 255 x 255", &[&[1, 1, 256, 256], &[1, 1, 255, 255]], 65_025, plane([1, 1], [0, 0], [1, 1], 1)),
        extent("conv2d, a column", &[&[1, 1, 70_002, 1], &[1, 1, 70_000, 1]], 70_000, plane([1, 1], [0, 0], [1, 1], 1))
            .long(),
        extent(
            "conv2d, dilated across",
            &[&[1, 3, 224, 224], &[2, 3, 3, 3]],
            1000,
            plane([1, 1], [0, 1], [111, 110], 1),
        ),
        extent(
            "conv2d, dilated and strided",
            &[&[1, 3, 224, 224], &[2, 3, 3, 4]],
            1000,
            plane([66, 14], [9, 1], [99, 70], 1),
        ),
        extent(
            "conv2d, stride of the input",
            &[&[1, 3, 224, 224], &[2, 3, 3, 3]],
            27,
            plane([224, 224], [0, 0], [1, 1], 1),
        ),
        extent("conv2d, patches", &[&[1, 3, 96, 96], &[8, 3, 32, 32]], 3072, plane([32, 32], [0, 0], [1, 1], 1)),
        extent(
            "conv2d, padded past the input",
            &[&[1, 1, 8, 8], &[1, 1, 5, 5]],
            4096,
            plane([1, 1], [40, 40], [1, 1], 1),
        ),
        extent(
            "conv2d, a wide group a channel",
            &[&[1, 8, 20, 20], &[8, 1, 31, 31]],
            961,
            plane([1, 1], [15, 15], [1, 1], 8),
        )
        .long(),
        extent(
            "conv2d, a channel of many",
            &[&[1, 1024, 3, 3], &[1024, 1, 3, 3]],
            9,
            plane([1, 1], [1, 1], [1, 1], 1024),
        ),
        extent("conv3d, as large as the input", &[&[1, 1, 24, 24, 24], &[1, 1, 24, 24, 24]], 13_824, |x| {
            x[0].conv3d(&x[1], None, &Conv3dOptions::default())
        }),
        extent("conv_transpose1d, 256 taps", &[&[1, 4, 20], &[4, 2, 256]], 2048, |x| {
            x[0].conv_transpose1d(&x[1], None, &ConvTranspose1dOptions { stride: [128], ..Default::default() })
        }),
        extent("conv_transpose2d, far apart", &[&[1, 2, 4, 3], &[2, 2, 3, 90]], 540, |x| {
            let apart = ConvTranspose2dOptions { stride: [60, 70], output_padding: [59, 69], ..Default::default() };
            x[0].conv_transpose2d(&x[1], None, &apart)
        }),
    ]);
}

#[test]
fn surroundings() {
    let pad = |sides: &'static [isize], mode| move |x: &[Tensor]| x[0].pad(sides, mode);
    check(vec![
        extent("pad, constant", &[&[2, 3]], 1, pad(&[50_000, 50_000], PadMode::Constant(1.5))),
        extent("pad, reflected", &[&[2, 4000]], 4, pad(&[3999, 3999], PadMode::Reflect)),
        extent("pad, replicated", &[&[2, 3]], 40_000, pad(&[40_000, 7], PadMode::Replicate)),
        extent("pad, circular", &[&[2, 4000]], 4, pad(&[4000, 4000], PadMode::Circular)),
        extent("local_response_norm, all channels", &[&[1, 256, 3, 3]], 4096, |x| {
            x[0].local_response_norm(511, 1e-2, 0.75, 1.0)
        }),
        extent("group_norm, a group a channel", &[&[2, 512, 4]], 256, |x| x[0].group_norm(512, None, None, 1e-5)),
        extent("pixel_shuffle, by 32", &[&[1, 1024, 2, 3]], 1, |x| x[0].pixel_shuffle(32)),
        extent("max_unpool2d, far apart", &[&[1, 2, 224, 224]], 1, |x| {
            let (maxima, places) = x[0].max_pool2d_with_indices([112, 112], &MaxPool2dOptions::default())?;
            maxima.max_unpool2d(&places, [112, 112], &MaxUnpool2dOptions::default())
        }),
        extent("roll, by half", &[&[3, 30_000]], 1, |x| x[0].roll(&[15_000], &[1])),
    ]);
}

#[test]
fn regions() {
    // Image 0, and a box that the number of the region moves a little.
    let boxes = |x: &Tensor, count: usize, side: f32| {
        let corners = |k: usize| [0.0, k as f32 * 0.01, 0.2, side, side - k as f32 * 0.01];
        Tensor::from_slice(x.device(), &(0..count).flat_map(corners).collect::<Vec<f32>>(), &[count, 5])
    };
    let many: &[&[usize]] = &[&[1, 1, 6, 5]];
    let large: &[&[usize]] = &[&[1, 1, 300, 320]];
    check(vec![
        extent("roi_align, many regions and bins", many, 6000, move |x| {
            x[0].roi_align(&boxes(&x[0], 400, 4.0)?, [14, 14], &RoiAlignOptions::default())
        }),
        extent("roi_align, all of a large image", large, 96_000, move |x| {
            x[0].roi_align(&boxes(&x[0], 1, 320.0)?, [1, 1], &RoiAlignOptions::default())
        }),
        extent("roi_pool, many regions and bins", many, 80_000, move |x| {
            x[0].roi_pool(&boxes(&x[0], 400, 4.0)?, [14, 14], 1.0)
        }),
        extent("roi_pool, all of a large image", large, 1, move |x| {
            x[0].roi_pool(&boxes(&x[0], 1, 320.0)?, [1, 1], 1.0)
        }),
    ]);
}

/// Every box twice: the second of each pair goes, whichever of so many it is.
#[test]
fn boxes() {
    let Some(device) = adapter() else { return };
    let count = 9_000;
    let corners: Vec<f32> = (0..count).flat_map(|i| [(i / 2 * 2) as f32, 0.0, (i / 2 * 2 + 1) as f32, 1.0]).collect();
    let scores: Vec<f32> = (0..count).map(|i| 1.0 - i as f32 / count as f32).collect();
    let boxes = Tensor::from_slice(&device, &corners, &[count, 4]).unwrap();
    let kept = boxes.nms(&Tensor::from_slice(&device, &scores, &[count]).unwrap(), 0.5).unwrap();
    let expected: Vec<i32> = (0..count as i32).step_by(2).collect();
    assert!(kept.to_vec::<i32>().unwrap() == expected, "{} boxes stay", kept.numel());
}
