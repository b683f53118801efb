//! normalize: to norm 1.

use super::single;
use crate::dims::Dims;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::autocast;
use crate::ops::case::Case;

impl Tensor {
    /// Divided by its norm of order `p` over `dims`: `x / max(norm(x), eps)`.
    ///
    /// PyTorch's defaults: `p` 2, dimension 1, `eps` 1e-12.
    ///
    /// # Errors
    /// As [`norm`](Tensor::norm).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, -4.0, 0.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.normalize(2.0, 1, 1e-12)?.to_vec::<f32>()?, [0.6, -0.8, 0.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn normalize(&self, p: f64, dims: impl Dims, eps: f64) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("normalize")? {
            return cast.of(self)?.normalize(p, dims, eps);
        }
        let x = single("normalize", self)?;
        let norm = x.norm_keepdim(p, dims)?.clamp(Some(eps), None)?;
        (&x / &norm)?.to_dtype(self.dtype())
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, p, dims, eps) in [
        (&[3, 5][..], 2.0, &[1][..], 1e-12),
        (&[3, 5, 2], 1.0, &[-1], 1e-12),
        (&[3, 5, 2], 3.0, &[0, 2], 1e-12),
        (&[4, 3], f64::INFINITY, &[0], 1e-12),
        (&[4, 3], 2.0, &[0, 1], 100.0),
        (&[2, 0], 2.0, &[1], 1e-12),
    ] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].normalize(p, dims, eps)?]);
        let case = Case::new("normalize", &[shape], run).with("p", p).with("dims", dims).with("eps", eps);
        let case = case.domain(0, 0.5, 2.0).distinct();
        cases.push(if p.is_infinite() { case.first_order() } else { case });
    }
    let view = |x: &[Tensor]| Ok(vec![x[0].t()?.normalize(2.0, 1, 1e-12)?]);
    cases.push(Case::new("normalize", &[&[5, 3]], view));
    let half = |x: &[Tensor]| Ok(vec![x[0].to_dtype(crate::DType::F16)?.normalize(2.0, 1, 1e-12)?]);
    cases.push(Case::new("normalize", &[&[4, 6]], half).half());
    cases
}
