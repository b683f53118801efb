//! Losses of order and distance, which are 0 beyond a margin.

use super::distance::{TripletMarginWithDistanceOptions, triplet};
use super::floats;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;

options! {
    /// Options of [`Tensor::triplet_margin_loss`].
    #[derive(Clone, Copy, Debug)]
    TripletMarginOptions {
        /// The margin by which the negative example should be further away; above 0.
        margin: f64 = 1.0,
        /// The norm of the distance.
        p: f64 = 2.0,
        /// Added to each difference.
        eps: f64 = 1e-6,
        /// Uses the distance from the positive to the negative example if it is the smaller one.
        swap: bool = false,
        /// Reduction of the losses of the samples.
        reduction: Reduction = Reduction::Mean,
    }
}

/// `max(0, x)`, with no gradient if `x` is NaN: PyTorch clamps, whereas its `relu` passes one.
#[track_caller]
pub(super) fn hinge(x: &Tensor) -> Result<Tensor> {
    x.clamp(Some(0.0), None)
}

/// `values` where the target is `label`, 0 elsewhere.
#[track_caller]
fn labelled(target: &Tensor, label: f64, values: &Tensor) -> Result<Tensor> {
    target.eq_scalar(label)?.where_(values, &values.zeros_like()?)
}

impl Tensor {
    /// `1 - cos` where the target is 1, `max(0, cos - margin)` where it is -1, with `cos` that of the angle between
    /// this and `other`; reduced. Both are `[N, D]` and the target `[N]`, or `[D]` and `[]` (PyTorch's default
    /// margin is 0). 1e-12 is added to squared lengths, so that nothing is divided by 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other ranks, [`Error::Broadcast`], [`Error::WrongDType`].
    #[track_caller]
    pub fn cosine_embedding_loss(
        &self,
        other: &Tensor,
        target: &Tensor,
        margin: f64,
        reduction: Reduction,
    ) -> Result<Tensor> {
        const OP: &str = "cosine_embedding_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.cosine_embedding_loss(&cast.of(other)?, target, margin, reduction);
        }
        let _line = ascribe_to_caller();
        floats(OP, &[self, other])?;
        if target.rank() > 1 || self.rank() != target.rank() + 1 || other.rank() != self.rank() {
            let shapes = format!("{}, {} and target {}", self.shape(), other.shape(), target.shape());
            return Err(Error::invalid(OP, format!("{shapes} must be [N, D], [N, D] and [N], or [D], [D] and []")));
        }
        let length = |x: &Tensor| x.square()?.sum(-1)? + 1e-12;
        let cos = ((self * other)?.sum(-1)? / (length(self)? * length(other)?)?.sqrt()?)?;
        let shape = cos.shape().broadcast(target.shape(), OP)?;
        let cos = cos.expand_to(shape, OP)?;
        let alike = labelled(target, 1.0, &(1.0 - &cos)?)?;
        let unlike = labelled(target, -1.0, &hinge(&(&cos - margin)?)?)?;
        reduction.of(&(&alike + &unlike)?)
    }

    /// With a distance `x` in this: `x` where the target is 1, `max(0, margin - x)` where it is -1 (PyTorch's default
    /// margin is 1), the sum of both elsewhere; reduced. Shapes broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`], [`Error::WrongDType`].
    #[track_caller]
    pub fn hinge_embedding_loss(&self, target: &Tensor, margin: f64, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "hinge_embedding_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.hinge_embedding_loss(target, margin, reduction);
        }
        floats(OP, &[self])?;
        let shape = self.shape().broadcast(target.shape(), OP)?;
        let x = self.expand_to(shape, OP)?;
        let apart = hinge(&(margin - &x)?)?;
        let zeros = x.zeros_like()?;
        let apart = target.ne_scalar(1.0)?.where_(&apart, &zeros)?;
        reduction.of(&(&apart + target.ne_scalar(-1.0)?.where_(&x, &zeros)?)?)
    }

    /// `max(0, margin - t (self - other))`: a target `t` of 1 wants this to be the larger one, -1 the smaller one
    /// (PyTorch's default margin is 0); reduced. Shapes of one rank broadcast.
    ///
    /// # Errors
    /// [`Error::Invalid`] for different ranks, [`Error::Broadcast`], [`Error::WrongDType`].
    #[track_caller]
    pub fn margin_ranking_loss(
        &self,
        other: &Tensor,
        target: &Tensor,
        margin: f64,
        reduction: Reduction,
    ) -> Result<Tensor> {
        const OP: &str = "margin_ranking_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.margin_ranking_loss(&cast.of(other)?, &cast.of(target)?, margin, reduction);
        }
        floats(OP, &[self, other])?;
        if other.rank() != self.rank() || target.rank() != self.rank() {
            let shapes = format!("{}, {} and target {}", self.shape(), other.shape(), target.shape());
            return Err(Error::invalid(OP, format!("{shapes} must have as many dimensions as each other")));
        }
        let target = target.to_dtype(self.dtype())?;
        reduction.of(&hinge(&(((-target)? * (self - other))? + margin)?)?)
    }

    /// `max(0, |self - positive| - |self - negative| + margin)`, this being the anchor; reduced. A distance is
    /// `|a - b| = (sum over the last dimension of |a - b + eps|^p)^(1/p)`; with `swap`, that from `positive` to
    /// `negative` replaces `|self - negative|` if it is smaller. Shapes of one rank broadcast.
    ///
    /// # Errors
    /// [`Error::Invalid`] for different ranks or a margin not above 0, [`Error::Broadcast`], [`Error::WrongDType`].
    #[track_caller]
    pub fn triplet_margin_loss(
        &self,
        positive: &Tensor,
        negative: &Tensor,
        options: &TripletMarginOptions,
    ) -> Result<Tensor> {
        const OP: &str = "triplet_margin_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.triplet_margin_loss(&cast.of(positive)?, &cast.of(negative)?, options);
        }
        let _line = ascribe_to_caller();
        floats(OP, &[self, positive, negative])?;
        let &TripletMarginOptions { margin, p, eps, swap, reduction } = options;
        let distance = |a: &Tensor, b: &Tensor| ((a - b)? + eps)?.norm(p, -1);
        let options = TripletMarginWithDistanceOptions { margin, swap, reduction };
        triplet(OP, [self, positive, negative], distance, &options)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        // Margins that are far from any cosine or difference: first all are active, then none.
        for margin in [-1.5, 1.5] {
            cases.push(
                Case::new("cosine_embedding_loss", &[&[5, 3], &[5, 3], &[5]], move |x| {
                    let target = x[2].mul_scalar(2.0)?.sub_scalar(1.0)?;
                    Ok(vec![x[0].cosine_embedding_loss(&x[1], &target, margin, reduction)?])
                })
                .with("margin", margin)
                .with("reduction", reduction)
                .domain(0, 0.5, 2.0)
                .integers(2, 0, 1),
            );
            cases.push(
                Case::new("margin_ranking_loss", &[&[3, 5], &[1, 5], &[3, 1]], move |x| {
                    let target = x[2].mul_scalar(2.0)?.sub_scalar(1.0)?;
                    Ok(vec![x[0].margin_ranking_loss(&x[1], &target, 4.0 * margin, reduction)?])
                })
                .with("margin", 4.0 * margin)
                .with("reduction", reduction)
                .integers(2, 0, 1),
            );
            cases.push(
                Case::new("hinge_embedding_loss", &[&[3, 5], &[5]], move |x| {
                    let target = x[1].mul_scalar(2.0)?.sub_scalar(1.0)?;
                    Ok(vec![x[0].hinge_embedding_loss(&target, 2.0 * margin, reduction)?])
                })
                .with("margin", 2.0 * margin)
                .with("reduction", reduction)
                .integers(1, 0, 1),
            );
        }
        for (p, swap) in [(2.0, false), (2.0, true), (3.0, false), (1.0, true)] {
            let options = TripletMarginOptions::default().margin(9.0).p(p).swap(swap).reduction(reduction);
            // All of one sign: 1 is nowhere near a difference of 0, where some norms have a kink. Gradients of the two distances
            // nearly cancel.
            cases.push(
                Case::new("triplet_margin_loss", &[&[4, 3], &[4, 3], &[1, 3]], move |x| {
                    Ok(vec![x[0].triplet_margin_loss(&x[1], &x[2], &options)?])
                })
                .options(&options)
                .domain(0, 1.0, 2.0)
                .domain(1, -0.5, 0.5)
                .domain(2, -4.0, -2.0)
                .tolerance(8.5),
            );
        }
    }
    let one = |x: &[Tensor], run: fn(&[Tensor]) -> Result<Tensor>| Ok(vec![run(x)?]);
    cases.push(
        Case::new("cosine_embedding_loss", &[&[7], &[7], &[]], move |x| {
            one(x, |x| x[0].cosine_embedding_loss(&x[1], &x[2], 0.0, Reduction::Mean))
        })
        .integers(2, 1, 1),
    );
    cases
}
