//! The nonlinearity of capsules.

use super::single;
use crate::dims::Dims;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::autocast;
use crate::ops::case::Case;

impl Tensor {
    /// Vectors over `dims` in their directions, with lengths below 1: `|x|^2 / (1 + |x|^2) x / |x|` (Sabour, Frosst and
    /// Hinton, "Dynamic routing between capsules", 2017). Computed as `x |x| / (1 + |x|^2)`, which is 0 for a vector of zeros
    /// and has a gradient of 0 there.
    ///
    /// # Errors
    /// As [`norm`](Tensor::norm).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.6f32, -0.8, 0.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.squash(1)?.to_vec::<f32>()?, [0.3, -0.4, 0.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn squash(&self, dims: impl Dims) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("squash")? {
            return cast.of(self)?.squash(dims);
        }
        let x = single("squash", self)?;
        let norm = x.norm_keepdim(2.0, dims)?;
        (&x * (&norm / (norm.square()? + 1.0)?)?)?.to_dtype(self.dtype())
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, dims) in [(&[3, 5][..], &[1][..]), (&[3, 5, 2], &[-1]), (&[3, 5, 2], &[0, 2]), (&[2, 0], &[1])] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].squash(dims)?]);
        cases.push(Case::new("squash", &[shape], run).with("dims", dims).domain(0, 0.5, 2.0));
    }
    let view = |x: &[Tensor]| Ok(vec![x[0].t()?.squash(1)?]);
    cases.push(Case::new("squash", &[&[5, 3]], view));
    let half = |x: &[Tensor]| Ok(vec![x[0].to_dtype(crate::DType::F16)?.squash(1)?]);
    cases.push(Case::new("squash", &[&[4, 6]], half).half());
    cases
}
