//! Convolutions, pools and other sliding windows over images.

use super::super::workload::Workload;
use super::IMAGES;
use wgrad::ops::case::Input;
use wgrad::{
    AvgPool2dOptions, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose2dOptions, GridSampleOptions,
    InterpolateMode, InterpolateOptions, MaxPool2dOptions, Padding, Tensor,
};

/// Operations per element of a convolution's result: two per weight of its filter.
fn taps(x: &[Input]) -> usize {
    2 * x[1].shape[1..].iter().product::<usize>()
}

pub(super) fn workloads(quick: bool) -> Vec<Workload> {
    let same = Conv2dOptions::default().padding(1);
    let strided = Conv2dOptions { stride: [2, 2], ..same };
    let dilated = Conv2dOptions { padding: Padding::Explicit([2, 2]), dilation: [2, 2], ..same };
    let plain = Conv2dOptions::default();
    let wide = Conv2dOptions { padding: Padding::Explicit([2, 2]), ..plain };
    let rows: [(&str, [usize; 4], [usize; 4], Conv2dOptions); 8] = [
        ("conv3x3_stride1", IMAGES, [64, 64, 3, 3], same),
        ("conv3x3_stride2", IMAGES, [128, 64, 3, 3], strided),
        ("conv1x1", IMAGES, [256, 64, 1, 1], plain),
        ("conv3x3_depthwise", IMAGES, [64, 1, 3, 3], same),
        ("conv3x3_dilation2", [16, 32, 32, 32], [32, 32, 3, 3], dilated),
        ("conv3x3_deep", [16, 256, 8, 8], [256, 256, 3, 3], same),
        ("lenet_conv1", [64, 1, 28, 28], [6, 1, 5, 5], wide),
        ("lenet_conv2", [64, 6, 14, 14], [16, 6, 5, 5], plain),
    ];
    let conv = |(name, input, weight, options): (&str, [usize; 4], [usize; 4], Conv2dOptions)| {
        let run = move |x: &[Tensor]| {
            // Depthwise if a filter sees one channel of several.
            let groups = if weight[1] == 1 { x[0].shape()[1] } else { 1 };
            x[0].conv2d(&x[1], None, &Conv2dOptions { groups, ..options })
        };
        Workload::new("conv2d", name, &[&input, &weight], quick, run).flops(2.0, taps)
    };
    let mut all: Vec<Workload> = rows.into_iter().map(conv).collect();
    let twice = ConvTranspose2dOptions::default().stride(2);
    let up = move |x: &[Tensor]| x[0].conv_transpose2d(&x[1], None, &twice);
    // Each input pixel has separate output pixels: a pixel of the output has one term a channel.
    all.push(
        Workload::new("conv_transpose2d", "conv_transpose2x2", &[&IMAGES, &[64, 32, 2, 2]], quick, up)
            .flops(2.0, |x| 2 * x[0].shape[1]),
    );
    let line = Conv1dOptions::default().padding(Padding::Same);
    all.push(
        Workload::new("conv1d", "conv1d 3, 64->64", &[&[16, 64, 1024], &[64, 64, 3]], quick, move |x| {
            x[0].conv1d(&x[1], None, &line)
        })
        .flops(2.0, taps),
    );
    let volume = Conv3dOptions::default().padding(Padding::Same);
    let volumes: [&[usize]; 2] = [&[4, 16, 16, 32, 32], &[16, 16, 3, 3, 3]];
    all.push(
        Workload::new("conv3d", "conv3d 3x3x3, 16->16", &volumes, quick, move |x| x[0].conv3d(&x[1], None, &volume))
            .flops(2.0, taps),
    );
    let regions: [&[usize]; 2] = [&IMAGES, &[16, 32, 32, 2]];
    all.push(Workload::new("grid_sample", "grid_sample bilinear", &regions, quick, |x| {
        x[0].grid_sample(&x[1], &GridSampleOptions::default())
    }));
    all.push(Workload::new("interpolate", "interpolate bilinear 2x", &[&IMAGES], quick, |x| {
        x[0].interpolate(&InterpolateOptions::default().scale_factor([2.0, 2.0]).mode(InterpolateMode::Bilinear))
    }));
    all.push(Workload::new("max_pool2d", "max_pool2x2", &[&IMAGES], quick, |x| {
        x[0].max_pool2d([2, 2], &MaxPool2dOptions::default())
    }));
    all.push(Workload::new("avg_pool2d", "avg_pool2x2", &[&IMAGES], quick, |x| {
        x[0].avg_pool2d([2, 2], &AvgPool2dOptions::default())
    }));
    all.push(Workload::new("global_avg_pool", "global_avg_pool", &[&IMAGES], quick, |x| x[0].global_avg_pool()));
    all
}

/// The 3 x 3 convolutions of ResNet-50, which are compared with vendors' libraries.
pub(super) fn large(quick: bool) -> Vec<Workload> {
    let same = Conv2dOptions::default().padding(1);
    let conv = |(channels, size): (usize, usize)| {
        let name = format!("resnet50_conv3x3_{size}");
        let (input, weight) = ([32, channels, size, size], [channels, channels, 3, 3]);
        Workload::new("conv2d", &name, &[&input, &weight], quick, move |x| x[0].conv2d(&x[1], None, &same))
            .flops(2.0, taps)
    };
    [(64, 56), (128, 28), (256, 14), (512, 7)].map(conv).into()
}
