//! The logarithm of a sum of powers of e.

use super::forms::reduction;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Tensor, ascribe_to_caller, no_grad};
use crate::ops::case::Case;

impl Tensor {
    #[track_caller]
    fn logsumexp_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let kept = self.shape().without(dims, keepdim);
        let x = self.to_dtype(DType::F32)?;
        let y = if dims.iter().any(|&d| self.shape()[d] == 0) {
            x.sum_keepdim(dims)?.log()?
        } else {
            // The result does not depend on the number that is subtracted and added back, so no gradient flows through it.
            let largest = no_grad(|| {
                let largest = x.amax_keepdim(dims)?;
                largest.isfinite()?.where_(&largest, &largest.zeros_like()?)
            })?;
            ((&x - &largest)?.exp()?.sum_keepdim(dims)?.log()? + &largest)?
        };
        y.reshape_to(kept)?.to_dtype(if self.dtype().is_float() { self.dtype() } else { DType::F32 })
    }
}

reduction! {
    /// `log(sum over dims of e^x)`, without overflow; minus infinity over nothing.
    ///
    /// Integers count as f32. If all elements are minus infinity, so is the result, and its gradient is NaN.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`](crate::Error::DimOutOfRange), [`Error::DimRepeated`](crate::Error::DimRepeated).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1000.0f32, 1000.0], &[2])?;
    /// assert!((x.logsumexp(0)?.item::<f32>()? - 1000.693).abs() < 1e-3);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    logsumexp(..), logsumexp_keepdim, logsumexp_all => logsumexp_over
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dims, keepdim) in [(&[0, 1, 2][..], false), (&[1], true), (&[0, 2], false)] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].logsumexp_over(dims, keepdim)?]);
        cases.push(Case::new("logsumexp", &[&[2, 3, 5]], run).with("dims", dims).with("keepdim", keepdim));
    }
    let rows = |x: &[Tensor]| Ok(vec![x[0].logsumexp(-1)?]);
    cases.extend([
        Case::new("logsumexp", &[&[3, 0]], rows).no_gradient(),
        Case::new("logsumexp", &[&[0, 3]], rows),
        Case::new("logsumexp", &[&[]], rows),
        Case::new("logsumexp", &[&[4, 5]], rows).domain(0, 800.0, 1000.0).first_order(),
        Case::new("logsumexp", &[&[4, 5]], rows).integers(0, -3, 3).no_gradient(),
        Case::new("logsumexp", &[&[4, 5]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.logsumexp(1)?])).half(),
    ]);
    cases
}
