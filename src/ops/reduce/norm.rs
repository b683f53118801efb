//! Norms over any dimensions.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::case::Case;
use crate::ops::reduce::forms::reduction;

impl Tensor {
    #[track_caller]
    fn norm_over(&self, p: f64, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        const OP: &str = "norm";
        let _line = ascribe_to_caller();
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        if p.is_nan() {
            return Err(Error::invalid(OP, "the order p is NaN"));
        }
        if p == f64::INFINITY {
            return self.abs()?.amax_over(dims, keepdim);
        }
        if p == f64::NEG_INFINITY {
            return self.abs()?.amin_over(dims, keepdim);
        }
        if p == 0.0 {
            // Computed from the sign, whose gradient is 0 and not absent.
            let counted = self.ne_scalar(0.0)?.where_(&self.ones_like()?, &self.sign()?)?;
            return counted.sum_over(dims, keepdim);
        }
        if p == 1.0 {
            return self.abs()?.sum_over(dims, keepdim);
        }
        if self.dtype() != DType::F32 {
            // Powers need f32's range.
            return self.to_dtype(DType::F32)?.norm_over(p, dims, keepdim)?.to_dtype(self.dtype());
        }
        if p < 0.0 {
            return self.abs()?.pow_scalar(p)?.sum_over(dims, keepdim)?.pow_scalar(1.0 / p);
        }
        // Zeros avoid the powers: their slopes there are infinite, or 0 times infinity.
        let around = |x: &Tensor, run: &dyn Fn(&Tensor) -> Result<Tensor>| {
            let zero = x.eq_scalar(0.0)?;
            zero.where_(&x.zeros_like()?, &run(&zero.where_(&x.ones_like()?, x)?)?)
        };
        if p == 2.0 {
            return around(&self.square()?.sum_over(dims, keepdim)?, &|sum| sum.sqrt());
        }
        let powers = around(self, &|x| x.abs()?.pow_scalar(p))?;
        around(&powers.sum_over(dims, keepdim)?, &|sum| sum.pow_scalar(1.0 / p))
    }
}

reduction! {
    /// The norm of order `p` over `dims`: `(sum of |x|^p)^(1/p)`. Order infinity is the largest `|x|`, minus infinity the
    /// smallest, 0 the number of elements that are not 0.
    ///
    /// The gradient is 0 if the norm is 0, and for orders up to 1 at elements that are 0; extremes that tie split it.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::DimRepeated`], [`Error::WrongDType`] for types other than floats;
    /// [`Error::Invalid`] if `p` is NaN, or infinite over an empty dimension.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, -4.0], &[2])?;
    /// assert_eq!(x.norm(2.0, 0)?.item::<f32>()?, 5.0);
    /// assert_eq!(x.norm_all(f64::INFINITY)?.item::<f32>()?, 4.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    norm(p: f64, ..), norm_keepdim, norm_all => norm_over
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for p in [2.0, 1.0, 3.0, 0.5, -1.0, f64::INFINITY, f64::NEG_INFINITY, 0.0] {
        for (dims, keepdim) in [(&[0, 1, 2][..], false), (&[1], true), (&[0, 2], false)] {
            let mut case = Case::new("norm", &[&[3, 5, 4]], move |x| Ok(vec![x[0].norm_over(p, dims, keepdim)?]))
                .with("p", p)
                .with("dims", dims)
                .with("keepdim", keepdim)
                .domain(0, 0.5, 2.0)
                .distinct();
            if p.is_infinite() || p == 1.0 || p == 0.0 {
                case = case.first_order();
            }
            cases.push(case);
        }
        if p.is_finite() && p > 0.0 {
            cases.push(Case::new("norm", &[&[4, 0]], move |x| Ok(vec![x[0].norm(p, 1)?])).with("p", p));
        }
    }
    cases.push(Case::new("norm", &[&[5, 7]], |x| Ok(vec![x[0].t()?.norm(2.0, 0)?])));
    cases
}
