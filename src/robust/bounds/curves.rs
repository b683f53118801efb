//! Bounds of activations that fall before they grow, and of the softmax.

use super::rules::Interval;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::shape::Shape;

/// A logit that takes no part in a softmax; its gradient, unlike that of -inf, is 0.
const NOTHING: f64 = -1e30;

/// Where activations that fall before they grow are least.
pub(super) const HARDSWISH_MINIMUM: f64 = -1.5;
pub(super) const SILU_MINIMUM: f64 = -1.278_464_542_761_074;
pub(super) const GELU_MINIMUM: f64 = -0.751_791_524_693_564_6;
pub(super) const MISH_MINIMUM: f64 = -1.192_431_214_515_495_2;

impl Interval {
    /// By a function that falls up to `minimum`, and grows from there on.
    pub(super) fn by_valley(&self, minimum: f64, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Interval> {
        let nearest = self.lower.maximum_scalar(minimum)?.minimum(&self.upper)?;
        Ok(Interval { lower: of(&nearest)?, upper: of(&self.lower)?.maximum(&of(&self.upper)?)? })
    }

    /// The softmax along a dimension, or its logarithm: a share grows with its own logit and falls with all others, so that both
    /// bounds are taken by some logits.
    pub(super) fn softmax(&self, dim: usize, log: bool) -> Result<Interval> {
        let share = |own: &Tensor, others: &Tensor| {
            let lead = (own - sum_of_others(others, dim)?)?;
            if log { lead.logsigmoid() } else { lead.sigmoid() }
        };
        Ok(Interval { lower: share(&self.lower, &self.upper)?, upper: share(&self.upper, &self.lower)? })
    }
}

/// `log(sum over j except i of e^x[j])` along a dimension.
fn sum_of_others(x: &Tensor, dim: usize) -> Result<Tensor> {
    let at: isize = nearest(dim);
    let sum = |x: &Tensor| x.logsumexp_keepdim(at);
    let mut sizes = vec![1; x.rank()];
    sizes[dim] = x.shape()[dim];
    let places =
        Tensor::arange(x.device(), 0.0, sizes[dim] as f64, 1.0, DType::I32)?.reshape_to(Shape::new(&sizes)?)?;
    let largest = x.argmax_keepdim(at)?.eq(&places)?;
    // Others can be taken off the sum again, since they are half of it at most; the largest is left out beforehand.
    let others = x.masked_fill(&largest, NOTHING)?;
    let total = sum(x)?;
    let without = (&total + (others.clone() - &total)?.exp()?.neg()?.log1p()?)?;
    largest.where_(&sum(&others)?, &without)
}
