//! Operations that move elements.

use crate::{Extent, check, extent};
use wgrad::*;

const MANY: usize = 100_000;

pub fn extents() -> Vec<Extent> {
    let pad = |sides: &'static [isize], mode| move |x: &[Tensor]| x[0].pad(sides, mode);
    vec![
        extent("pad, constant", &[&[2, 3]], 1, pad(&[50_000, 50_000], PadMode::Constant(1.5))),
        extent("pad, reflected", &[&[2, 4000]], 4, pad(&[3999, 3999], PadMode::Reflect)),
        extent("pad, replicated", &[&[2, 3]], 40_000, pad(&[40_000, 7], PadMode::Replicate)),
        extent("pad, circular", &[&[2, 4000]], 4, pad(&[4000, 4000], PadMode::Circular)),
        extent("pixel_shuffle, by 32", &[&[1, 1024, 2, 3]], 1, |x| x[0].pixel_shuffle(32)),
        extent("max_unpool1d, far apart", &[&[1, 2, 60_000]], 1, |x| {
            let (maxima, places) = x[0].max_pool1d_with_indices([30_000], &MaxPool1dOptions::default())?;
            maxima.max_unpool1d(&places, [30_000], &MaxUnpool1dOptions::default())
        }),
        extent("max_unpool3d, far apart", &[&[1, 2, 40, 30, 30]], 1, |x| {
            let (maxima, places) = x[0].max_pool3d_with_indices([20, 15, 15], &MaxPool3dOptions::default())?;
            maxima.max_unpool3d(&places, [20, 15, 15], &MaxUnpool3dOptions::default())
        }),
        extent("max_unpool2d, far apart", &[&[1, 2, 224, 224]], 1, |x| {
            let (maxima, places) = x[0].max_pool2d_with_indices([112, 112], &MaxPool2dOptions::default())?;
            maxima.max_unpool2d(&places, [112, 112], &MaxUnpool2dOptions::default())
        }),
        extent("pixel_unshuffle, by 32", &[&[1, 1, 64, 96]], 1, |x| x[0].pixel_unshuffle(32)),
        extent("channel_shuffle, a group a channel", &[&[1, 2000, 3]], 1, |x| x[0].channel_shuffle(1000)),
        extent("repeat, one element", &[&[1]], MANY, |x| x[0].repeat(&[MANY])),
        extent("repeat, in all dimensions", &[&[2, 3, 2, 2]], 3000, |x| x[0].repeat(&[9, 7, 8, 5])),
        extent("tile, one element", &[&[1]], MANY, |x| x[0].tile(&[MANY])),
        extent("expand, one element", &[&[1]], MANY, |x| x[0].expand(&[MANY as isize])?.square()),
        extent("cat, many tensors", &[&[2, 3][..]; 120], 1, |x| Tensor::cat(&x.iter().collect::<Vec<_>>(), 1)),
        extent("stack, many tensors", &[&[2, 3][..]; 120], 1, |x| Tensor::stack(&x.iter().collect::<Vec<_>>(), 2)),
        extent("split, into many", &[&[240, 3]], 1, |x| {
            let parts = x[0].split(2, 0)?;
            Tensor::cat(&parts.iter().rev().collect::<Vec<_>>(), 0)
        }),
        extent("chunk, into many", &[&[3, 240]], 1, |x| {
            let parts = x[0].chunk(120, 1)?;
            Tensor::cat(&parts.iter().rev().collect::<Vec<_>>(), 1)
        }),
        extent("narrow, the last of many", &[&[MANY, 2]], 1, |x| x[0].narrow(0, MANY - 1, 1)?.square()),
        extent("slice, far apart", &[&[MANY, 2]], 1, |x| x[0].slice(0, 7, MANY as isize, 20_000)?.square()),
        extent("flip, long", &[&[MANY]], 1, |x| x[0].flip(0)),
        extent("permute, all dimensions", &[&[9, 8, 7, 6, 5, 4]], 1, |x| {
            x[0].permute([5, 4, 3, 2, 1, 0])?.contiguous()
        }),
        extent("diag, far off", &[&[300]], 1, |x| x[0].diag(299)),
        extent("diagonal, far off", &[&[600, 700]], 1, |x| x[0].diagonal(-599, 0, 1)?.square()),
        extent("tril, far off", &[&[400, 500]], 1, |x| x[0].tril(400)),
        extent("triu, far off", &[&[400, 500]], 1, |x| x[0].triu(-399)),
        extent("eye, long", &[&[1]], 4, |x| Tensor::eye(x[0].device(), MANY, 2)?.mul(&x[0])),
        extent("arange, long", &[&[1]], MANY, |x| {
            Tensor::arange(x[0].device(), 0.0, 1.0, 1.0 / MANY as f64, DType::F32)?.mul(&x[0])
        }),
        extent("linspace, long", &[&[1]], MANY, |x| Tensor::linspace(x[0].device(), -1.0, 1.0, MANY)?.mul(&x[0])),
        extent("full, long", &[&[1]], MANY, |x| Tensor::full(x[0].device(), &[MANY], 0.5f32)?.mul(&x[0])),
        extent("roll, by half", &[&[3, 30_000]], 1, |x| x[0].roll(&[15_000], &[1])),
    ]
}

#[test]
fn at_their_largest() {
    check(extents());
}
