//! Pixels between operations: f32 as it is, or i32 that hold bytes and are rounded after each.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;

/// Pixels to compute with.
pub(super) fn as_floats(images: &Tensor) -> Result<Tensor> {
    if images.dtype().is_float() { Ok(images.clone()) } else { images.to_dtype(DType::F32) }
}

/// Results of a computation as pixels of a type: rounded where that is an integer, and cut to bytes where they may overshoot.
pub(super) fn rounded(values: &Tensor, dtype: DType, overshoots: bool) -> Result<Tensor> {
    if dtype.is_float() {
        return Ok(values.clone());
    }
    let values = if overshoots { values.clamp(Some(0.0), Some(255.0))? } else { values.clone() };
    values.round()?.to_dtype(dtype)
}
