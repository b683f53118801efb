//! Interpolation, samples on a grid and regions of interest.

use crate::common::adapter;
use crate::{Extent, check, extent};
use wgrad::*;

fn resampling() -> Vec<Extent> {
    let to = |size: usize, mode, antialias| {
        move |x: &[Tensor]| {
            x[0].interpolate(&InterpolateOptions::default().size(vec![size]).mode(mode).antialias(antialias))
        }
    };
    let plane = |size: [usize; 2], mode, antialias| {
        let options = InterpolateOptions::default().size(size).mode(mode).antialias(antialias);
        move |x: &[Tensor]| x[0].interpolate(&options)
    };
    let sample = |mode, padding_mode, reach: f32| {
        let options = GridSampleOptions { mode, padding_mode, align_corners: false };
        move |x: &[Tensor]| x[0].grid_sample(&x[1].mul_scalar(reach)?, &options)
    };
    vec![
        extent("interpolate, areas", &[&[1, 1, 150_001]], 75_000, to(2, InterpolateMode::Area, false)),
        extent(
            "interpolate, one element to many",
            &[&[1, 1, 1]],
            150_000,
            to(150_000, InterpolateMode::Nearest, false),
        ),
        extent(
            "interpolate, down to two",
            &[&[1, 1, 30_000, 2]],
            30_000,
            plane([2, 2], InterpolateMode::Bilinear, true),
        ),
        extent(
            "interpolate, down to two by cubics",
            &[&[1, 1, 2, 30_000]],
            30_000,
            plane([2, 2], InterpolateMode::Bicubic, true),
        ),
        extent(
            "interpolate, a small plane to a large one",
            &[&[1, 1, 2, 3]],
            90_000,
            plane([250, 360], InterpolateMode::Bicubic, false),
        ),
        extent("interpolate, a large factor", &[&[1, 1, 3, 2]], 60_000, |x| {
            x[0].interpolate(
                &InterpolateOptions::default().scale_factor([100.0, 100.0]).mode(InterpolateMode::Bilinear),
            )
        }),
        extent("interpolate, a small volume to a large one", &[&[1, 1, 2, 2, 2]], 60_000, |x| {
            x[0].interpolate(&InterpolateOptions::default().size([40, 39, 38]).mode(InterpolateMode::Trilinear))
        }),
        extent("affine_grid, a large plane", &[&[1, 2, 3]], 90_000, |x| x[0].affine_grid(&[1, 1, 300, 300], true)),
        extent(
            "grid_sample, many points of few pixels",
            &[&[1, 1, 3, 3], &[1, 200, 200, 2]],
            40_000,
            sample(GridSampleMode::Bilinear, GridSamplePadding::Border, 1.3),
        ),
        extent(
            "grid_sample, by cubics",
            &[&[1, 1, 5, 5], &[1, 100, 100, 2]],
            100_000,
            sample(GridSampleMode::Bicubic, GridSamplePadding::Zeros, 1.3),
        ),
        extent(
            "grid_sample, far outside",
            &[&[1, 1, 40, 40], &[1, 30, 30, 2]],
            100_000,
            sample(GridSampleMode::Bilinear, GridSamplePadding::Reflection, 60.0),
        ),
        extent(
            "grid_sample, many channels",
            &[&[1, 4000, 3, 3], &[1, 2, 2, 2]],
            100_000,
            sample(GridSampleMode::Bilinear, GridSamplePadding::Zeros, 1.0),
        ),
        extent("interpolate, linear", &[&[1, 1, 2]], 150_000, to(150_000, InterpolateMode::Linear, false)),
    ]
}

fn regions() -> Vec<Extent> {
    // Image 0, and a box that the index of the region shifts slightly.
    let boxes = |x: &Tensor, count: usize, side: f32| {
        let corners = |k: usize| [0.0, k as f32 * 0.01, 0.2, side, side - k as f32 * 0.01];
        Tensor::from_slice(x.device(), &(0..count).flat_map(corners).collect::<Vec<f32>>(), &[count, 5])
    };
    let many: &[&[usize]] = &[&[1, 1, 6, 5]];
    let large: &[&[usize]] = &[&[1, 1, 300, 320]];
    vec![
        extent("roi_align, many regions and bins", many, 6000, move |x| {
            x[0].roi_align(&boxes(&x[0], 400, 4.0)?, [14, 14], &RoiAlignOptions::default())
        }),
        extent("roi_align, all of a large image", large, 96_000, move |x| {
            x[0].roi_align(&boxes(&x[0], 1, 320.0)?, [1, 1], &RoiAlignOptions::default())
        }),
        extent("roi_align, many samples a bin", many, 200_000, move |x| {
            let options = RoiAlignOptions::default().sampling_ratio(200);
            x[0].roi_align(&boxes(&x[0], 2, 4.0)?, [2, 2], &options)
        }),
        extent("roi_align, many bins", many, 200_000, move |x| {
            x[0].roi_align(&boxes(&x[0], 1, 4.0)?, [240, 240], &RoiAlignOptions::default())
        }),
        extent("box_iou, many boxes", &[&[300, 4], &[400, 4]], 4000, |x| x[0].box_iou(&x[1], BoxFormat::Cxcywh)),
        extent("roi_pool, many regions and bins", many, 80_000, move |x| {
            x[0].roi_pool(&boxes(&x[0], 400, 4.0)?, [14, 14], 1.0)
        }),
        extent("roi_pool, all of a large image", large, 1, move |x| {
            x[0].roi_pool(&boxes(&x[0], 1, 320.0)?, [1, 1], 1.0)
        }),
    ]
}

pub fn extents() -> Vec<Extent> {
    [resampling(), regions()].into_iter().flatten().collect()
}

#[test]
fn at_their_largest() {
    check(extents());
}

/// Every box twice: the second of each pair is removed, at any index.
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
