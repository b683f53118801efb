//! Variance and standard deviation.

use super::{centered, single};
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::reduce::forms::reduction;

impl Tensor {
    #[track_caller]
    fn var_over(&self, dims: &[usize], correction: f64, keepdim: bool) -> Result<Tensor> {
        let (unit, variance) = self.variance("var", dims, correction, keepdim)?;
        (&variance * &unit * &unit)?.to_dtype(self.dtype())
    }

    #[track_caller]
    fn std_over(&self, dims: &[usize], correction: f64, keepdim: bool) -> Result<Tensor> {
        let (unit, variance) = self.variance("std", dims, correction, keepdim)?;
        // The root's slope at 0 is infinite, and infinity times 0 would be NaN.
        let zero = variance.eq(&variance.zeros_like()?)?;
        let root = zero.where_(&variance.ones_like()?, &variance)?.sqrt()?;
        (zero.where_(&variance.zeros_like()?, &root)? * &unit)?.to_dtype(self.dtype())
    }

    /// A unit in which to measure deviations, and the variance in its square. In f32, for any input type: f16 may hold the root
    /// and not the square.
    #[track_caller]
    fn variance(&self, op: &'static str, dims: &[usize], correction: f64, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let x = single(op, self)?;
        let count: usize = dims.iter().map(|&d| self.shape()[d]).product();
        let left = (count as f64 - correction).max(0.0);
        let (_, deviations) = centered(&x, dims)?;
        // Squares have twice the exponent and sums of them more, so the largest deviation is the unit; no gradient belongs
        // to a choice of units.
        let largest =
            if count == 0 { deviations.sum_keepdim(dims)? } else { deviations.abs()?.amax_keepdim(dims)? }.detach();
        let fits = largest.gt_scalar(0.0)?.logical_and(&largest.isfinite()?)?;
        let unit = fits.where_(&largest, &largest.ones_like()?)?;
        let variance = ((&deviations / &unit)?.square()?.sum_over(dims, keepdim)? / nearest::<f64>(left))?;
        Ok((unit.reshape_to(*variance.shape())?, variance))
    }
}

reduction! {
    /// The variance over `dims`: `sum over e of (input[.., e, ..] - mean)^2 / max(0, n - correction)` for `n` elements.
    ///
    /// A `correction` of 1 is the unbiased estimate (PyTorch's default), 0 the plain mean. NaN if nothing is left to divide by.
    /// The mean is taken first, so that a large one costs no digits.
    ///
    /// # Errors
    /// As [`sum`](Tensor::sum); [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 6.0, 6.0, 6.0], &[2, 3])?;
    /// assert_eq!(x.var(1, 1.0)?.to_vec::<f32>()?, [1.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    var(.., correction: f64), var_keepdim, var_all => var_over
}

reduction! {
    /// The standard deviation: the root of [`var`](Tensor::var). No gradient flows where it is 0.
    ///
    /// # Errors
    /// As `var`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 5.0], &[2])?;
    /// assert_eq!(x.std_all(0.0)?.item::<f32>()?, 2.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    std(.., correction: f64), std_keepdim, std_all => std_over
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, dims, correction, keepdim) in [
        (&[7][..], &[0][..], 1.0, false),
        (&[5, 7, 11], &[0, 2], 0.0, true),
        (&[5, 7], &[1], 1.0, false),
        (&[5, 7], &[0], 2.5, true),
        (&[4, 1], &[1], 0.0, false),
        (&[0, 4], &[1], 1.0, false),
    ] {
        let var = move |x: &[Tensor]| Ok(vec![x[0].var_over(dims, correction, keepdim)?]);
        let std = move |x: &[Tensor]| Ok(vec![x[0].std_over(dims, correction, keepdim)?]);
        for case in [Case::new("var", &[shape], var), Case::new("std", &[shape], std)] {
            cases.push(case.with("dims", dims).with("correction", correction).with("keepdim", keepdim));
        }
    }
    cases.push(Case::new("var", &[&[6, 5]], |x| Ok(vec![x[0].t()?.var(1, 1.0)?])));
    cases.push(Case::new("var", &[&[6, 5]], |x| Ok(vec![x[0].to_dtype(crate::DType::F16)?.var(1, 1.0)?])).half());
    cases
}
