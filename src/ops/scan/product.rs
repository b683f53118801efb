//! The gradient of a running product.

use super::{Kind, Scan};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Tensor, grad_enabled, record_one};
use crate::ops::case::Case;

#[track_caller]
fn scan(kind: Kind, x: &Tensor, reverse: bool) -> Result<Tensor> {
    record_one(Scan { kind, reverse }, &[&x.contiguous()?])
}

/// The gradient of `y = running product of x` along the middle dimension.
///
/// `dx[i] = sum over j >= i of g[j] y[j] / x[i]` serves where `x[i]` is not 0: behind the first zero all `y` are 0, and so is the
/// gradient. For the first zero itself, `y` is the running product with a 1 in its place. The gradient of later zeros is 0, for
/// each of their products contains the first one; that of the second zero still has a slope there, so the second derivative needs
/// it written out.
pub(super) fn gradient(x: &Tensor, y: &Tensor, g: &Tensor, reverse: bool) -> Result<Tensor> {
    let behind = |y: &Tensor| scan(Kind::Sum, &(g * y)?, !reverse);
    let (zeros, ones) = (x.zeros_like()?, x.ones_like()?);
    let zero = x.eq_scalar(0.0)?;
    let number = scan(Kind::Sum, &zero.to_dtype(DType::I32)?, reverse)?;
    let numbered = |n: i32| zero.logical_and(&number.eq(&Tensor::full(x.device(), &[], n)?)?);
    let first = numbered(1)?;
    let without_first = first.where_(&ones, x)?;
    let of_first = behind(&scan(Kind::Product, &without_first, reverse)?)?;
    let of_others = (behind(y)? / zero.where_(&ones, x)?)?;
    let mut of_zeros = first.where_(&of_first, &zeros)?;
    if grad_enabled() {
        let second = numbered(2)?;
        let without_both = second.where_(&ones, &without_first)?;
        let of_second = behind(&scan(Kind::Product, &without_both, reverse)?)?;
        let the_first = scan(Kind::Sum, &first.where_(x, &zeros)?, reverse)?;
        of_zeros = second.where_(&(&of_second * &the_first)?, &of_zeros)?;
    }
    zero.where_(&of_zeros, &of_others)
}

pub(super) fn cases() -> Vec<Case> {
    // Inputs of 0 are added to these factors: rows with no zero, one, two and three, at the start, between, at the end.
    let factors =
        [1.5f32, 0.5, 2.0, 1.0, 0.8, 1.2, 0.0, 0.7, 1.0, 2.0, 0.0, 1.5, 0.0, 0.5, 3.0, 0.0, 0.0, 2.0, 1.0, 0.0];
    let zeroed = move |x: &[Tensor]| {
        let moved = x[0].add(&Tensor::from_slice(x[0].device(), &factors, &[4, 5])?)?;
        Ok(vec![moved.cumprod(1)?, moved.cumprod(0)?])
    };
    vec![Case::new("cumprod", &[&[4, 5]], zeroed).domain(0, 0.0, 0.0)]
}
