//! Convolutions.

use crate::{Extent, Run, check, extent};
use wgrad::*;

fn line(options: Conv1dOptions) -> impl Fn(&[Tensor]) -> Result<Tensor> {
    move |x| x[0].conv1d(&x[1], None, &options)
}

fn plane(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> Run {
    let options = Conv2dOptions { stride, padding: Padding::Explicit(padding), dilation, groups };
    Box::new(move |x| x[0].conv2d(&x[1], None, &options))
}

pub fn extents() -> Vec<Extent> {
    let plain = Conv1dOptions::default();
    let same = Conv1dOptions { padding: Padding::Same, ..plain };
    vec![
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
        extent("conv_transpose3d, far apart", &[&[1, 1, 3, 2, 2], &[1, 2, 5, 4, 3]], 60, |x| {
            x[0].conv_transpose3d(&x[1], None, &ConvTranspose3dOptions::default().stride([20, 15, 12]))
        }),
        extent("conv_transpose1d, 256 taps", &[&[1, 4, 20], &[4, 2, 256]], 2048, |x| {
            x[0].conv_transpose1d(&x[1], None, &ConvTranspose1dOptions::default().stride(128))
        }),
        extent("conv_transpose2d, far apart", &[&[1, 2, 4, 3], &[2, 2, 3, 90]], 540, |x| {
            let apart = ConvTranspose2dOptions::default().stride([60, 70]).output_padding([59, 69]);
            x[0].conv_transpose2d(&x[1], None, &apart)
        }),
    ]
}

#[test]
fn at_their_largest() {
    check(extents());
}
