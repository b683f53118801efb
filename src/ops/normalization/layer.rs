//! layer_norm.

use super::{Moments, shifted, single};
use crate::error::{Error, Result};
use crate::graph::{Tensor, in_place_of};
use crate::ops::autocast;
use crate::ops::case::Case;

impl Tensor {
    /// Each sample normalized over its last dimensions: `(x - mean) / sqrt(variance + eps) * weight + bias`, with the
    /// mean and the biased variance over `normalized_shape`, the sizes of those dimensions, which `weight` and `bias`
    /// have too: `[.., normalized_shape] -> [.., normalized_shape]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the input does not end in `normalized_shape`, if that is empty, or if `weight` or
    /// `bias` has another shape; [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[8.0f32, 2.0, 0.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.layer_norm(&[2], None, None, 0.0)?.to_vec::<f32>()?, [1.0, -1.0, -1.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn layer_norm(
        &self,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        const OP: &str = "layer_norm";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.layer_norm(normalized_shape, weight, bias, eps);
        }
        let dims = last_dims(OP, self, normalized_shape)?;
        let x = single(OP, self)?;
        let (weight, bias) =
            (scale(OP, "weight", weight, normalized_shape)?, scale(OP, "bias", bias, normalized_shape)?);
        let y = Moments::new(&x, &dims)?.normalized(eps, weight.as_ref())?;
        Ok(in_place_of(self, shifted(&y, bias.as_ref(), self.dtype())?))
    }
}

/// The input's dimensions that `normalized_shape` names.
pub(super) fn last_dims(op: &'static str, input: &Tensor, normalized_shape: &[usize]) -> Result<Vec<usize>> {
    if normalized_shape.is_empty() || !input.shape().ends_with(normalized_shape) {
        let rule = format!("the input {} must end in normalized_shape {normalized_shape:?}", input.shape());
        return Err(Error::invalid(op, rule));
    }
    Ok((input.rank() - normalized_shape.len()..input.rank()).collect())
}

/// A value for each element of `normalized_shape`, as f32.
#[track_caller]
pub(super) fn scale(
    op: &'static str,
    what: &str,
    values: Option<&Tensor>,
    normalized_shape: &[usize],
) -> Result<Option<Tensor>> {
    let Some(values) = values else { return Ok(None) };
    if values.shape()[..] != *normalized_shape {
        let rule = format!("{what} {} must have normalized_shape {normalized_shape:?}", values.shape());
        return Err(Error::invalid(op, rule));
    }
    single(op, values).map(Some)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, over, eps) in [
        (&[7][..], &[7][..], 1e-5),
        (&[3, 5], &[5], 1e-5),
        (&[2, 3, 5], &[3, 5], 0.5),
        (&[2, 3, 1], &[1], 1e-3),
        (&[2, 1, 3, 67], &[67], 1e-5),
        (&[0, 4], &[4], 1e-5),
        (&[2, 0], &[0], 1e-5),
    ] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].layer_norm(over, x.get(1), x.get(2), eps)?]);
        for shapes in [&[shape, over, over][..], &[shape]] {
            cases.push(Case::new("layer_norm", shapes, run).with("normalized_shape", over).with("eps", eps));
        }
    }
    let view = |x: &[Tensor]| Ok(vec![x[0].t()?.layer_norm(&[6], Some(&x[1]), None, 1e-5)?]);
    cases.push(Case::new("layer_norm", &[&[6, 4], &[6]], view));
    let half = |x: &[Tensor]| Ok(vec![x[0].to_dtype(crate::DType::F16)?.layer_norm(&[6], None, None, 1e-5)?]);
    cases.push(Case::new("layer_norm", &[&[4, 6]], half).half());
    cases
}
