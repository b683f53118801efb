//! The movement of weights away from 0.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Parameter, Tensor, no_grad};

/// The scores of a parameter's elements, and the values of those that are pruned.
pub(super) struct Movement {
    parameter: Parameter,
    score: Parameter,
    kept: Parameter,
}

impl Movement {
    pub fn new(parameter: &Parameter) -> Result<Movement> {
        let (shape, dtype, device) = parameter.holds();
        let zeros = |kind: &str, dtype: DType| {
            let name = format!("{kind}.{}", parameter.name());
            Ok::<_, crate::Error>(Parameter::buffer(name, &Tensor::zeros(&device, &shape)?.to_dtype(dtype)?))
        };
        let (score, kept) = (zeros("score", DType::F32)?, zeros("kept", dtype)?);
        Ok(Movement { parameter: parameter.clone(), score, kept })
    }

    pub fn tensors(&self) -> [Parameter; 2] {
        [self.score.clone(), self.kept.clone()]
    }

    pub fn scores(&self) -> Result<Vec<f64>> {
        self.score.value().to_f64()
    }

    /// The value as if nothing were pruned.
    fn whole(&self) -> Result<Tensor> {
        let value = self.parameter.value().detach();
        match self.parameter.mask() {
            Some(mask) => value.add(&self.kept.value().mul(&mask.value().neg()?.add_scalar(1.0)?)?),
            None => Ok(value),
        }
    }

    /// Adds `-gradient weight`; gradients that are not finite, which a scaler skips too, count as 0.
    pub fn observe(&self, loss_scale: Option<&Tensor>) -> Result<()> {
        let Some(gradient) = self.parameter.grad() else { return Ok(()) };
        no_grad(|| {
            let gradient = gradient.to_dtype(DType::F32)?;
            let gradient = loss_scale.map_or_else(|| Ok(gradient.clone()), |scale| gradient.div(scale))?;
            let gradient = gradient.isfinite()?.where_(&gradient, &gradient.zeros_like()?)?;
            let movement = gradient.mul(&self.whole()?.to_dtype(DType::F32)?)?;
            self.score.assign(&self.score.value().sub(&movement)?)
        })
    }

    /// Runs a change of the mask such that pruned elements keep their value for later, and unpruned ones get it back.
    pub fn keep_values(&self, change: impl FnOnce() -> Result<()>) -> Result<()> {
        let whole = no_grad(|| self.whole()?.copy())?;
        self.kept.assign(&whole)?;
        change()?;
        self.parameter.assign(&whole)
    }
}
