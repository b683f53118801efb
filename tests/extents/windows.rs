//! Pools, unfold and fold.

use crate::{Extent, check, extent};
use wgrad::*;

fn pools() -> Vec<Extent> {
    let max = |stride, padding, dilation| MaxPool2dOptions { stride, padding, dilation, ceil_mode: false };
    let average = |stride, padding| AvgPool2dOptions::default().stride(stride).padding(padding);
    let plane: &[&[usize]] = &[&[1, 1, 224, 224]];
    vec![
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
            x[0].max_pool1d([50_000], &MaxPool1dOptions::default().padding([25_000]))
        }),
        extent("max_pool1d, dilated", &[&[1, 1, 150_001]], 3, |x| {
            let options = MaxPool1dOptions::default().stride(1).dilation([75_000]);
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
        extent("lp_pool1d, long", &[&[1, 1, 50_000]], 50_000, |x| {
            x[0].lp_pool1d(2.0, [50_000], &LpPool1dOptions::default())
        }),
        extent("lp_pool3d, global", &[&[1, 1, 32, 32, 32]], 32_768, |x| {
            x[0].lp_pool3d(2.0, [32, 32, 32], &LpPool3dOptions::default())
        }),
        extent("adaptive_avg_pool3d, uneven", &[&[1, 1, 32, 31, 30]], 1024, |x| {
            x[0].adaptive_avg_pool3d([Some(3), Some(1), Some(29)])
        }),
        extent("adaptive_max_pool3d, uneven", &[&[1, 1, 32, 31, 30]], 4, |x| {
            x[0].adaptive_max_pool3d([Some(3), Some(1), Some(29)])
        }),
        extent("adaptive_max_pool2d, global", plane, 1, |x| x[0].adaptive_max_pool2d([Some(1), Some(1)])),
        extent("adaptive_max_pool2d, uneven", plane, 4, |x| x[0].adaptive_max_pool2d([Some(3), Some(223)])),
        extent("adaptive_avg_pool2d, wide", &[&[1, 1, 3, 5]], 50_176, |x| {
            x[0].adaptive_avg_pool2d([Some(224), Some(224)])
        }),
        // Windows of more elements than the iterations that a driver allows a loop.
        extent("adaptive_avg_pool1d, long", &[&[1, 1, 200_003]], 100_000, |x| x[0].adaptive_avg_pool1d([Some(2)])),
        extent("adaptive_avg_pool1d, longer", &[&[1, 1, 3]], 70_000, |x| x[0].adaptive_avg_pool1d([Some(200_000)])),
        extent("adaptive_max_pool1d, long", &[&[1, 1, 200_003]], 1, |x| x[0].adaptive_max_pool1d([Some(2)])),
        extent("adaptive_max_pool1d, longer", &[&[1, 1, 3]], 70_000, |x| x[0].adaptive_max_pool1d([Some(200_000)])),
    ]
}

fn windows() -> Vec<Extent> {
    let options = |dilation, padding, stride| UnfoldOptions { dilation, padding, stride };
    vec![
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
    ]
}

pub fn extents() -> Vec<Extent> {
    [pools(), windows()].into_iter().flatten().collect()
}

#[test]
fn at_their_largest() {
    check(extents());
}
