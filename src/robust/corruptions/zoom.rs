//! The middle of an image, enlarged.

use super::Severity;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{InterpolateMode, InterpolateOptions};

/// The middle of images in their whole size: SciPy's `zoom` with straight lines between pixels, cut to the size.
pub(super) fn zoomed(images: &Tensor, factor: f64) -> Result<Tensor> {
    let mut zoomed = images.clone();
    let size = [2, 3].map(|dim| images.shape()[dim]);
    let inner = size.map(|size| nearest::<usize>((size as f64 / factor).ceil()));
    for (at, dim) in [2, 3].into_iter().enumerate() {
        zoomed = zoomed.narrow(dim, (size[at] - inner[at]) / 2, inner[at])?;
    }
    let outer = inner.map(|inner| nearest::<usize>((inner as f64 * factor).round_ties_even()));
    let options = InterpolateOptions::default().size(outer).mode(InterpolateMode::Bilinear).align_corners(true);
    zoomed = zoomed.interpolate(&options)?;
    for (at, dim) in [2, 3].into_iter().enumerate() {
        zoomed = zoomed.narrow(dim, (outer[at] - size[at]) / 2, size[at])?;
    }
    Ok(zoomed)
}

pub(super) fn blur(images: &Tensor, severity: Severity) -> Result<Tensor> {
    // The number of factors, from 1 on, and the step from each to the next.
    let (count, step) = severity.of(
        [(12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03)],
        [(7, 0.01), (12, 0.01), (16, 0.01), (21, 0.01), (26, 0.01)],
    );
    let mut sum = images.clone();
    for at in 0..count {
        sum = (sum + zoomed(images, 1.0 + f64::from(at) * step)?)?;
    }
    sum / f64::from(count + 1)
}
