//! Normalization: compositions of tensor operations, with PyTorch's rules.

mod batch;
mod group;
mod layer;
mod variance;

pub use batch::BatchNormOptions;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;

/// Mean and mean of the squared deviations over `dims`, which stay with size 1, and the deviations.
struct Moments {
    mean: Tensor,
    variance: Tensor,
    deviations: Tensor,
}

impl Moments {
    /// Two passes: squares of the deviations don't cancel where the mean is large.
    #[track_caller]
    fn new(x: &Tensor, dims: &[isize]) -> Result<Moments> {
        let mean = x.mean(dims, true)?;
        let deviations = x.sub(&mean)?;
        let variance = deviations.square()?.mean(dims, true)?;
        Ok(Moments { mean, variance, deviations })
    }

    /// `(x - mean) / sqrt(variance + eps)`.
    #[track_caller]
    fn normalized(&self, eps: f32) -> Result<Tensor> {
        self.deviations.mul(&self.variance.add_scalar(eps)?.rsqrt()?)
    }
}

/// A float tensor in f32: sums of squares need the range.
#[track_caller]
fn single(op: &'static str, x: &Tensor) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(Error::WrongDType { op, expected: "floats", got: x.dtype() });
    }
    x.to_dtype(DType::F32)
}

/// `y weight + bias`, in the element type of the operation's input.
#[track_caller]
fn affine(y: Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, dtype: DType) -> Result<Tensor> {
    let y = weight.map_or_else(|| Ok(y.clone()), |weight| y.mul(weight))?;
    bias.map_or_else(|| Ok(y.clone()), |bias| y.add(bias))?.to_dtype(dtype)
}

/// A value for each channel, `[C]`, as f32 of `shape`.
#[track_caller]
fn channels(
    op: &'static str,
    what: &str,
    values: Option<&Tensor>,
    input: &Tensor,
    shape: &[isize],
) -> Result<Option<Tensor>> {
    let Some(values) = values else { return Ok(None) };
    let count = shape.iter().product::<isize>() as usize;
    if values.shape()[..] != [count] {
        let rule = format!("{what} {} must be [{count}], the channels of the input {}", values.shape(), input.shape());
        return Err(Error::invalid(op, rule));
    }
    Ok(Some(single(op, values)?.reshape(shape)?))
}

pub(super) fn cases() -> Vec<Case> {
    [variance::cases(), layer::cases(), batch::cases(), group::cases()].into_iter().flatten().collect()
}
