//! Norms over any dimensions.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::case::Case;

impl Tensor {
    /// The norm of order `p` over `dims` (all of them where the list is empty): `(sum of |x|^p)^(1/p)`. Order
    /// infinity is the largest `|x|`, minus infinity the smallest, 0 the number of elements that are not 0. Reduced
    /// dimensions stay with size 1 where `keepdim`.
    ///
    /// The gradient is 0 where the norm is 0, and for orders up to 1 at elements that are 0; extremes that tie share
    /// it.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::DimRepeated`], [`Error::WrongDType`] for types other than floats;
    /// [`Error::Invalid`] where `p` is NaN, or infinite over an empty dimension.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, -4.0], &[2])?;
    /// assert_eq!(x.norm(2.0, &[], false)?.item::<f32>()?, 5.0);
    /// assert_eq!(x.norm(f32::INFINITY, &[], false)?.item::<f32>()?, 4.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn norm(&self, p: f32, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        const OP: &str = "norm";
        let _line = ascribe_to_caller();
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        if p.is_nan() {
            return Err(Error::invalid(OP, "the order p is NaN"));
        }
        self.shape().dims(OP, dims)?;
        if p == f32::INFINITY {
            return self.abs()?.amax(dims, keepdim);
        }
        if p == f32::NEG_INFINITY {
            return self.abs()?.amin(dims, keepdim);
        }
        if p == 0.0 {
            // By way of the sign, whose gradient is 0 and not absent.
            let counted = self.ne_scalar(0.0)?.where_(&self.ones_like()?, &self.sign()?)?;
            return counted.sum(dims, keepdim);
        }
        if p == 1.0 {
            return self.abs()?.sum(dims, keepdim);
        }
        if self.dtype() != DType::F32 {
            return self.to_dtype(DType::F32)?.norm(p, dims, keepdim)?.to_dtype(self.dtype()); // powers need the range
        }
        if p < 0.0 {
            return self.abs()?.pow_scalar(p)?.sum(dims, keepdim)?.pow_scalar(1.0 / p);
        }
        // What is 0 goes round the powers: their slopes there are infinite, or 0 times infinite.
        let around = |x: &Tensor, run: &dyn Fn(&Tensor) -> Result<Tensor>| {
            let zero = x.eq_scalar(0.0)?;
            zero.where_(&x.zeros_like()?, &run(&zero.where_(&x.ones_like()?, x)?)?)
        };
        if p == 2.0 {
            return around(&self.square()?.sum(dims, keepdim)?, &|sum| sum.sqrt());
        }
        let powers = around(self, &|x| x.abs()?.pow_scalar(p))?;
        around(&powers.sum(dims, keepdim)?, &|sum| sum.pow_scalar(1.0 / p))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for p in [2.0, 1.0, 3.0, 0.5, -1.0, f32::INFINITY, f32::NEG_INFINITY, 0.0] {
        for (dims, keepdim) in [(&[][..], false), (&[1], true), (&[-1, 0], false)] {
            let mut case = Case::new("norm", &[&[3, 5, 4]], move |x| Ok(vec![x[0].norm(p, dims, keepdim)?]))
                .domain(0, 0.5, 2.0)
                .distinct();
            if p.is_infinite() || p == 1.0 || p == 0.0 {
                case = case.first_order();
            }
            cases.push(case);
        }
        if p.is_finite() && p > 0.0 {
            cases.push(Case::new("norm", &[&[4, 0]], move |x| Ok(vec![x[0].norm(p, &[1], false)?])));
        }
    }
    cases.push(Case::new("norm", &[&[5, 7]], |x| Ok(vec![x[0].t()?.norm(2.0, &[0], false)?])));
    cases
}
