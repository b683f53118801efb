//! Colours and pixels.

use super::Severity;
use super::filter::resize_box;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;

/// The hue and the saturation of HSV stay where all channels keep their ratio to the largest, the value.
pub(super) fn brightness(images: &Tensor, severity: Severity) -> Result<Tensor> {
    let more = severity.of([0.1, 0.2, 0.3, 0.4, 0.5], [0.05, 0.1, 0.15, 0.2, 0.3]);
    let value = images.amax_keepdim(1)?;
    let brighter = (&value + more)?.clamp(Some(0.0), Some(1.0))?;
    let is_black = value.le_scalar(0.0)?;
    let factor = (&brighter / is_black.where_(&value.ones_like()?, &value)?)?;
    is_black.where_(&brighter, &(images * factor)?)
}

pub(super) fn contrast(images: &Tensor, severity: Severity) -> Result<Tensor> {
    let factor = severity.of([0.4, 0.3, 0.2, 0.1, 0.05], [0.75, 0.5, 0.4, 0.3, 0.15]);
    let means = images.mean_keepdim([2, 3])?;
    ((images - &means)? * factor)? + means
}

pub(super) fn pixelate(images: &Tensor, severity: Severity) -> Result<Tensor> {
    let factor = severity.of([0.6, 0.5, 0.4, 0.3, 0.25], [0.95, 0.9, 0.85, 0.75, 0.65]);
    let size = [images.shape()[2], images.shape()[3]];
    let small = size.map(|size| nearest::<usize>(size as f64 * factor).max(1));
    resize_box(&resize_box(images, small)?, size)
}
