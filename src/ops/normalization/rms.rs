//! rms_norm.

use super::layer::{last_dims, scale};
use super::{scaled, shifted, single};
use crate::error::Result;
use crate::graph::{Tensor, in_place_of};
use crate::ops::autocast;
use crate::ops::case::Case;

impl Tensor {
    /// Each sample divided by its root mean square over its last dimensions: `x / sqrt(mean(x^2) + eps) * weight`, with
    /// the mean over `normalized_shape`, the sizes of those dimensions, which `weight` has too:
    /// `[.., normalized_shape] -> [.., normalized_shape]`. Without an `eps` it is f32's epsilon, 1.19e-7.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the input does not end in `normalized_shape`, if that is
    /// empty, or if `weight` has another shape; [`Error::WrongDType`](crate::Error::WrongDType) for types other than
    /// floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 7.0, 5.0, -5.0], &[2, 2])?;
    /// assert_eq!(x.rms_norm(&[2], None, Some(0.0))?.to_vec::<f32>()?, [0.2, 1.4, 1.0, -1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn rms_norm(&self, normalized_shape: &[usize], weight: Option<&Tensor>, eps: Option<f64>) -> Result<Tensor> {
        const OP: &str = "rms_norm";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.rms_norm(normalized_shape, weight, eps);
        }
        let dims = last_dims(OP, self, normalized_shape)?;
        let x = single(OP, self)?;
        let weight = scale(OP, "weight", weight, normalized_shape)?;
        let square = (x.square()?.mean_keepdim(&dims)? + eps.unwrap_or(f32::EPSILON.into()))?;
        let output = shifted(&scaled((&x * square.rsqrt()?)?, weight.as_ref())?, None, self.dtype())?;
        Ok(in_place_of(self, output))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, over, eps) in [
        (&[7][..], &[7][..], None),
        (&[3, 5], &[5], Some(1e-5)),
        (&[2, 3, 5], &[3, 5], Some(0.5)),
        (&[2, 3, 1], &[1], Some(0.1)),
        (&[0, 4], &[4], None),
        (&[2, 0], &[0], None),
    ] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].rms_norm(over, x.get(1), eps)?]);
        cases.push(Case::new("rms_norm", &[shape, over], run).with("eps", eps));
    }
    let view = |x: &[Tensor]| Ok(vec![x[0].t()?.rms_norm(&[6], None, None)?]);
    cases.push(Case::new("rms_norm", &[&[6, 4]], view));
    let half = |x: &[Tensor]| {
        let x: Vec<Tensor> = x.iter().map(|x| x.to_dtype(crate::DType::F16)).collect::<Result<_>>()?;
        Ok(vec![x[0].rms_norm(&[6], Some(&x[1]), None)?])
    };
    cases.push(Case::new("rms_norm", &[&[4, 6], &[6]], half).half());
    cases
}
