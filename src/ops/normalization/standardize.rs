//! Rows with mean 0 and variance 1, the core of most norms, with a gradient in one pass.

use super::Moments;
use crate::error::Result;
use crate::graph::{
    Class, Op, Tensor, Vjp, ascribe_to_caller, grad_enabled, hash_structure, no_grad, record_one, shows_first_input,
};
use crate::host_tensor::HostTensor;
use crate::shape::Layout;
use std::hash::Hasher;

/// `y = deviations / sqrt(variance + eps)`, times `weight` if there is one.
#[track_caller]
pub(super) fn standardize(moments: &Moments, eps: f64, weight: Option<&Tensor>) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let Moments { x, dims, variance, deviations, .. } = moments;
    let scale = no_grad(|| (variance + eps)?.rsqrt())?;
    let y = no_grad(|| deviations * &scale)?;
    let (y, scale) = if x.is_tracked() && grad_enabled() {
        let scale = record_one(Standardize::Scale, &[&scale, x, &y])?;
        (record_one(Standardize::Standardized, &[&y, x, &scale])?, Some(scale))
    } else {
        (y, None)
    };
    let Some(weight) = weight else { return Ok(y) };
    let is_of_rows = weight.rank() == x.rank() && dims.iter().all(|&dim| weight.shape()[dim] == 1);
    match scale {
        Some(scale) if is_of_rows => {
            let weighted = no_grad(|| &y * weight)?;
            record_one(Standardize::Weighted, &[&weighted, x, &scale, &y, weight])
        }
        _ => &y * weight,
    }
}

/// Shows its first input as a function of its second, `x`, from whose rows it was computed without a history.
///
/// Differentiated call by call, mean and variance would give sums over `x` that are 0 up to rounding, and a pass for each.
#[derive(Debug, Hash)]
enum Standardize {
    /// `scale = 1 / sqrt(variance + eps)`, a number for each row: `dx = -dscale scale^2 y / count`. The third input is
    /// `y`.
    Scale,
    /// `y = (x - mean) scale`: `dx = scale (dy - mean(dy) - y mean(dy y))`. The third input is `scale`.
    Standardized,
    /// `z = y weight`, if `weight` has one number for each row: `dx` is that of `y` with `dy = dz weight`, from the same sums
    /// that `dweight` and the gradient of a term added to `z` take. Further inputs: `scale`, `y`, `weight`.
    Weighted,
}

/// Elements in each row that `scale` has a number for.
fn count(values: &Tensor, scale: &Tensor) -> f64 {
    (values.numel() / scale.numel().max(1)).max(1) as f64
}

/// `dy - mean(dy) - y mean(dy y)`, with means over the rows.
fn centered(dy: &Tensor, y: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let mean = |values: &Tensor| values.sum_to(*scale.shape())? / count(y, scale);
    (dy - mean(dy)?)? - y * mean(&(dy * y)?)?
}

impl Op for Standardize {
    fn name(&self) -> &'static str {
        "standardize"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    shows_first_input!();
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (value, x) = (context.output(0), context.input(1));
        Ok(match self {
            Standardize::Scale => {
                let dx = context.of(1, |dscale| {
                    let y = record_one(Standardize::Standardized, &[context.input(2), x, value])?;
                    (&dscale * value * value)? * (-1.0 / count(x, value)) * &y
                })?;
                vec![None, dx, None]
            }
            Standardize::Standardized => {
                let scale = context.input(2);
                let dx = context.of(1, |dy| centered(&dy, value, scale)? * scale)?;
                vec![None, dx, None]
            }
            Standardize::Weighted => {
                let (scale, y, weight) = (context.input(2), context.input(3), context.input(4));
                let dx = context.of(1, |dz| centered(&dz, y, scale)? * weight * scale)?;
                // By rows first, as for dx.
                let along = |dz: Tensor| (&dz * y)?.sum_to(*scale.shape())?.sum_to(*weight.shape());
                vec![None, dx, None, None, context.of(4, along)?]
            }
        })
    }
}
