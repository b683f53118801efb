//! Rows with mean 0 and variance 1, the heart of most norms, with a gradient of one pass.

use crate::error::Result;
use crate::graph::{Class, Op, Tensor, Vjp, grad_enabled, hash_structure, no_grad, record_one};
use crate::host_tensor::HostTensor;
use crate::shape::Layout;
use std::hash::Hasher;

/// `y = deviations / sqrt(variance + eps)`, where `deviations` and `variance` are those of `x` over `dims`, computed
/// without a history.
#[track_caller]
pub(super) fn standardize(
    x: &Tensor,
    dims: &[isize],
    deviations: &Tensor,
    variance: &Tensor,
    eps: f32,
) -> Result<Tensor> {
    let scale = no_grad(|| variance.add_scalar(eps)?.rsqrt())?;
    let y = no_grad(|| deviations.mul(&scale))?;
    if !(x.is_tracked() && grad_enabled()) {
        return Ok(y);
    }
    let scale = record_one(Scale { dims: dims.to_vec() }, &[&scale, x, &y])?;
    record_one(Standardize { dims: dims.to_vec() }, &[&y, x, &scale])
}

/// Shows its first input, `y`, as what it is of its second, `x`:
/// `dx = scale (dy - mean(dy) - y mean(dy y))`, where the third input is `scale = 1 / sqrt(variance + eps)`.
///
/// Walked call by call, mean and variance would give sums over `x` that are 0 but for rounding, and a pass for each.
#[derive(Debug, Hash)]
struct Standardize {
    dims: Vec<isize>,
}

/// Shows its first input, `scale = 1 / sqrt(variance + eps)`, as what it is of its second, `x`:
/// `dx = -dscale scale^2 y / count`, where the third input is `y`.
#[derive(Debug, Hash)]
struct Scale {
    dims: Vec<isize>,
}

impl Op for Standardize {
    fn name(&self) -> &'static str {
        "standardize"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![inputs[0]])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs[..1].to_vec())
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (y, scale) = (context.output(0), context.input(2));
        let dx = context.of(1, |dy| {
            let along = dy.mul(y)?.mean(&self.dims, true)?;
            dy.sub(&dy.mean(&self.dims, true)?)?.sub(&y.mul(&along)?)?.mul(scale)
        })?;
        Ok(vec![None, dx, None])
    }
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "standardize"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![inputs[0]])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs[..1].to_vec())
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (scale, x) = (context.output(0), context.input(1));
        let dx = context.of(1, |dscale| {
            let y = record_one(Standardize { dims: self.dims.clone() }, &[context.input(2), x, scale])?;
            let count = x.numel() / scale.numel().max(1);
            dscale.mul(scale)?.mul(scale)?.mul_scalar(-1.0 / count as f32)?.mul(&y)
        })?;
        Ok(vec![None, dx, None])
    }
}
