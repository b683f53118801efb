//! Products over any dimensions, with gradients that are right even if factors are 0.

use super::Kind;
use super::forms::reduction;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::case::Case;

/// `g` times the product of all other elements, for each element of `x`; `g` has size 1 along `dims`.
///
/// If no element is 0, it is the total product divided by the element. If one is, only that one has others whose product is not
/// 0; if two are, none has. Only the device knows which of these applies, so all are written down: the other elements that are
/// not 0 give `p`, the others that are 0 give 1, themselves, or 0. "Themselves" are zeros too, but the second derivative needs
/// them.
pub(super) fn gradient(x: &Tensor, g: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let zero = x.eq_scalar(0.0)?;
    let nonzero = zero.where_(&x.ones_like()?, x)?;
    let p = (nonzero.prod_keepdim(dims)? / &nonzero)?;
    let is_zero = zero.to_dtype(DType::F32)?;
    let other_zeros = (is_zero.sum_keepdim(dims)? - &is_zero)?;
    let zeros = zero.where_(x, &x.zeros_like()?)?;
    let the_other = (zeros.sum_keepdim(dims)? - &zeros)?;
    let one_other = other_zeros.eq_scalar(1.0)?.where_(&the_other, &x.zeros_like()?)?;
    let none_other = other_zeros.eq_scalar(0.0)?;
    g * &p * none_other.where_(&x.ones_like()?, &one_other)?
}

impl Tensor {
    #[track_caller]
    fn prod_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Kind::Product, dims, keepdim)
    }
}

reduction! {
    /// The product over `dims`; 1 over nothing.
    ///
    /// f16 is multiplied in f32; integers keep their type; truth values become i32. The gradient of an element is the product of
    /// the others, also if some are 0.
    ///
    /// # Errors
    /// As [`sum`](Tensor::sum).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.prod(1)?.to_vec::<f32>()?, [2.0, 12.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    prod(..), prod_keepdim, prod_all => prod_over
}

pub(super) fn cases() -> Vec<Case> {
    let prod = |shape: &[usize], dims: &'static [usize], keepdim: bool| {
        Case::new("prod", &[shape], move |x| Ok(vec![x[0].prod_over(dims, keepdim)?]))
            .with("dims", dims)
            .with("keepdim", keepdim)
            .domain(0, 0.5, 1.8)
    };
    // Inputs of 0 are added to these factors: rows with no zero, one, two and three.
    let factors =
        [1.5f32, 0.5, 2.0, 1.0, 0.8, 1.2, 0.0, 0.7, 1.0, 2.0, 0.0, 1.5, 0.0, 0.5, 3.0, 0.0, 0.0, 2.0, 1.0, 0.0];
    let zeroed = move |x: &[Tensor]| {
        let moved = x[0].add(&Tensor::from_slice(x[0].device(), &factors, &[4, 5])?)?;
        Ok(vec![moved.prod(1)?, moved.prod_keepdim(0)?, moved.prod_all()?])
    };
    vec![
        prod(&[5, 3, 4], &[0, 1, 2], false),
        prod(&[5, 3, 4], &[1], true),
        prod(&[5, 3, 4], &[0, 2], false),
        prod(&[3, 0], &[1], false),
        prod(&[0, 3], &[1], false),
        prod(&[], &[], false),
        prod(&[2, 70], &[1], false).domain(0, 0.9, 1.1),
        Case::new("prod", &[&[3, 5]], |x| Ok(vec![x[0].t()?.prod(0)?])),
        Case::new("prod", &[&[4, 5]], zeroed).domain(0, 0.0, 0.0),
        Case::new("prod", &[&[4, 5]], |x| Ok(vec![x[0].prod(1)?])).integers(0, -3, 3).no_gradient(),
        Case::new("prod", &[&[4, 5]], |x| Ok(vec![x[0].prod_keepdim(0)?])).truth(0).no_gradient(),
        Case::new("prod", &[&[4, 5]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.prod(1)?])).half(),
    ]
}
