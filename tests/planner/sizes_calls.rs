//! Single calls on images whose size changes each time, told to read sizes from parameters: the number of compiled kernels does
//! not grow with the number of sizes.

use crate::common::steps::{gpu, software};
use wgrad::*;

/// Sizes seen first, further ones, and the pipelines that those may compile: for a first order in memory, or for a team of a
/// first length.
const SEEN: usize = 20;
const FURTHER: usize = 40;
const FEW: u64 = 4;

/// Heights and widths, each pair once in 1517.
fn size(at: usize) -> [usize; 2] {
    [6 + at * 17 % 41, 6 + at * 23 % 37]
}

type Call = fn(&Tensor) -> Result<Tensor>;

/// A convolution of 16 channels by a square kernel with padding that keeps an image's size.
fn conv(x: &Tensor, [channels, side]: [usize; 2], options: Conv2dOptions) -> Result<Tensor> {
    let weight = Tensor::ones(x.device(), &[channels, 16 / options.groups, side, side])?.requires_grad();
    x.conv2d(&weight, None, &Conv2dOptions { padding: Padding::Explicit([side / 2; 2]), ..options })
}

fn convolutions() -> Vec<(&'static str, Call)> {
    const PLAIN: Conv2dOptions =
        Conv2dOptions { stride: [1, 1], padding: Padding::Explicit([0, 0]), dilation: [1, 1], groups: 1 };
    const STRIDED: Conv2dOptions = Conv2dOptions { stride: [2, 2], ..PLAIN };
    vec![
        ("conv2d", |x| conv(x, [16, 3], PLAIN)),
        ("conv2d, strided", |x| conv(x, [16, 3], STRIDED)),
        ("conv2d, 1 x 1", |x| conv(x, [24, 1], PLAIN)),
        ("conv2d, 1 x 1, strided", |x| conv(x, [24, 1], STRIDED)),
        ("conv2d, 7 x 7, strided", |x| conv(x, [8, 7], STRIDED)),
        ("conv2d, dilated", |x| conv(x, [16, 3], Conv2dOptions { dilation: [2, 2], ..PLAIN })),
        ("conv2d, groups", |x| conv(x, [16, 3], Conv2dOptions { groups: 4, ..PLAIN })),
        ("conv2d, depthwise", |x| conv(x, [16, 3], Conv2dOptions { groups: 16, ..PLAIN })),
        ("conv_transpose2d", |x| {
            let weight = Tensor::ones(x.device(), &[16, 8, 2, 2])?.requires_grad();
            x.conv_transpose2d(&weight, None, &ConvTranspose2dOptions::default().stride(2))
        }),
    ]
}

fn others() -> Vec<(&'static str, Call)> {
    vec![
        ("max_pool2d", |x| x.max_pool2d([2, 2], &MaxPool2dOptions::default())),
        ("adaptive_avg_pool2d", |x| x.adaptive_avg_pool2d([Some(3), Some(2)])),
        ("adaptive_max_pool2d", |x| x.adaptive_max_pool2d([Some(3), Some(2)])),
        ("interpolate", |x| {
            x.interpolate(&InterpolateOptions::default().scale_factor([2.0, 2.0]).mode(InterpolateMode::Bilinear))
        }),
        ("pad", |x| x.pad(&[1, 1, 1, 1], PadMode::Reflect)),
        ("cat", |x| Tensor::cat(&[x, &x.relu()?], 1)),
        ("batch_norm", |x| x.batch_norm(None, None, None, None, &BatchNormOptions::default().training(true))),
        ("layer_norm", |x| x.layer_norm(&[x.shape()[3]], None, None, 1e-5)),
        ("softmax", |x| x.softmax(-1)),
        ("sum over images", |x| x.sum([2, 3])),
        ("transposed", |x| x.permute([0, 2, 3, 1])?.contiguous()),
        ("cumsum", |x| x.cumsum(3)),
        ("sort", |x| Ok(x.sort(3, false)?.0)),
        ("matmul", |x| x.matmul(&x.transpose(2, 3)?)),
    ]
}

/// Pipelines of a call and its gradients after the first sizes, and those that came later.
fn compiled(device: &Device, call: Call) -> Result<[u64; 2]> {
    device.dynamic_sizes(DynamicSizes::Always);
    let mut made = Vec::new();
    for at in 0..SEEN + FURTHER {
        let [height, width] = size(at);
        let x = Tensor::ones(device, &[2, 16, height, width])?.requires_grad();
        call(&x)?.square()?.mean_all()?.backward()?;
        device.flush()?;
        made.push(device.stats().pipelines);
    }
    Ok([made[SEEN - 1], made[SEEN + FURTHER - 1] - made[SEEN - 1]])
}

fn check(calls: Vec<(&'static str, Call)>) {
    let mut found = Vec::new();
    for (kind, noop) in [("a software adapter", software()), ("a GPU", gpu())] {
        for (name, call) in &calls {
            let noop = Some(noop.clone());
            let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
            let [seen, further] = compiled(&device, *call).unwrap();
            if further > FEW {
                found.push(format!("{name} on {kind}: {seen} pipelines for {SEEN} sizes, then {further}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn convolutions_of_further_sizes_compile_next_to_nothing() {
    check(convolutions());
}

#[test]
fn other_calls_of_further_sizes_compile_next_to_nothing() {
    check(others());
}
