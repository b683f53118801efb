//! Distances and angles between vectors, and the triplet loss under any distance.

use super::floats;
use super::margin::hinge;
use crate::dims::Dim;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller, no_grad};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;

options! {
    /// Options of [`Tensor::triplet_margin_with_distance_loss`].
    #[derive(Clone, Copy, Debug)]
    TripletMarginWithDistanceOptions {
        /// The margin by which the negative example should be further away; above 0.
        margin: f64 = 1.0,
        /// Uses the distance from the positive to the negative example if it is the smaller one.
        swap: bool = false,
        /// Reduction of the losses of the samples.
        reduction: Reduction = Reduction::Mean,
    }
}

impl Tensor {
    /// The distance `(sum over the last dimension of |self - other + eps|^p)^(1/p)`; shapes broadcast. PyTorch's
    /// defaults are `p` 2 and `eps` 1e-6.
    ///
    /// # Errors
    /// As [`norm`](Tensor::norm); [`Error::Broadcast`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let a = Tensor::from_slice(&device, &[1.0f32, 2.0], &[1, 2])?;
    /// let b = Tensor::from_slice(&device, &[4.0f32, 6.0], &[2])?;
    /// assert_eq!(a.pairwise_distance(&b, 2.0, 0.0)?.to_vec::<f32>()?, [5.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn pairwise_distance(&self, other: &Tensor, p: f64, eps: f64) -> Result<Tensor> {
        floats("pairwise_distance", &[self, other])?;
        ((self - other)? + eps)?.norm(p, -1)
    }

    /// [`pairwise_distance`](Tensor::pairwise_distance) that keeps the last dimension, with size 1.
    ///
    /// # Errors
    /// As `pairwise_distance`.
    #[track_caller]
    pub fn pairwise_distance_keepdim(&self, other: &Tensor, p: f64, eps: f64) -> Result<Tensor> {
        floats("pairwise_distance", &[self, other])?;
        ((self - other)? + eps)?.norm_keepdim(p, -1)
    }

    /// The cosine of the angle between vectors along `dim`:
    /// `sum of a b / (max(|a|, eps) max(|b|, eps))`; shapes broadcast. PyTorch's defaults are `dim` 1 and `eps` 1e-8.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::Broadcast`], [`Error::WrongDType`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let a = Tensor::from_slice(&device, &[3.0f32, 4.0], &[2])?;
    /// let b = Tensor::from_slice(&device, &[0.0f32, 2.0], &[2])?;
    /// assert_eq!(a.cosine_similarity(&b, 0, 1e-8)?.item::<f32>()?, 0.8);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn cosine_similarity(&self, other: &Tensor, dim: impl Dim, eps: f64) -> Result<Tensor> {
        const OP: &str = "cosine_similarity";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.cosine_similarity(&cast.of(other)?, dim, eps);
        }
        let _line = ascribe_to_caller();
        floats(OP, &[self, other])?;
        let shape = self.shape().broadcast(other.shape(), OP)?;
        let dims = shape.dims(OP, dim.number())?;
        // The gradient of a length ignores its lower bound, as in PyTorch.
        let unit = |x: &Tensor| -> Result<Tensor> {
            let x = x.expand_to(shape, OP)?;
            let length = x.norm_keepdim(2.0, &dims)?;
            let missing = no_grad(|| length.maximum_scalar(eps)? - &length)?;
            &x / (&length + &missing)
        };
        (unit(self)? * unit(other)?)?.sum(&dims)
    }

    /// `max(0, |self - positive| - |self - negative| + margin)` under any distance, this being the anchor; reduced.
    /// PyTorch's default distance is [`pairwise_distance`](Tensor::pairwise_distance). With `swap`, the distance from
    /// `positive` to `negative` replaces the second one if it is smaller.
    ///
    /// # Errors
    /// [`Error::Invalid`] for different ranks or a margin not above 0; those of `distance`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, TripletMarginWithDistanceOptions};
    /// # let device = Device::reference();
    /// let anchor = Tensor::zeros(&device, &[1, 2])?;
    /// let near = Tensor::full(&device, &[1, 2], 0.5f32)?;
    /// let far = Tensor::full(&device, &[1, 2], 0.75f32)?;
    /// let distance = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.sum(1);
    /// let options = TripletMarginWithDistanceOptions::default();
    /// assert_eq!(anchor.triplet_margin_with_distance_loss(&near, &far, distance, &options)?.item::<f32>()?, 0.5);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn triplet_margin_with_distance_loss(
        &self,
        positive: &Tensor,
        negative: &Tensor,
        distance: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
        options: &TripletMarginWithDistanceOptions,
    ) -> Result<Tensor> {
        triplet("triplet_margin_with_distance_loss", [self, positive, negative], distance, options)
    }
}

/// The loss of an anchor, a positive and a negative.
#[track_caller]
pub(super) fn triplet(
    op: &'static str,
    [anchor, positive, negative]: [&Tensor; 3],
    distance: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    options: &TripletMarginWithDistanceOptions,
) -> Result<Tensor> {
    let &TripletMarginWithDistanceOptions { margin, swap, reduction } = options;
    if margin.is_nan() || margin <= 0.0 {
        return Err(Error::invalid(op, format!("margin is {margin}; it must be above 0")));
    }
    if positive.rank() != anchor.rank() || negative.rank() != anchor.rank() {
        let shapes = format!("{}, {} and {}", anchor.shape(), positive.shape(), negative.shape());
        return Err(Error::invalid(op, format!("{shapes} must have as many dimensions as each other")));
    }
    let near = distance(anchor, positive)?;
    let mut far = distance(anchor, negative)?;
    if swap {
        far = far.minimum(&distance(positive, negative)?)?;
    }
    reduction.of(&hinge(&((&near - &far)? + margin)?)?)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (p, keepdim) in [(2.0, false), (3.0, true)] {
        cases.push(
            Case::new("pairwise_distance", &[&[4, 3], &[3]], move |x| {
                let (x, y) = (&x[0], &x[1]);
                Ok(vec![if keepdim {
                    x.pairwise_distance_keepdim(y, p, 1e-6)
                } else {
                    x.pairwise_distance(y, p, 1e-6)
                }?])
            })
            .with("p", p)
            .with("keepdim", keepdim)
            .domain(0, 1.0, 2.0)
            .domain(1, -2.0, 0.5),
        );
    }
    for (dim, eps, a, b) in [(1, 1e-8, &[4, 3][..], &[4, 3][..]), (0, 9.0, &[2, 3, 4], &[3, 1]), (-1, 1e-8, &[7], &[7])]
    {
        // Active lower bounds change the slope but not the gradient.
        let case = Case::new("cosine_similarity", &[a, b], move |x| Ok(vec![x[0].cosine_similarity(&x[1], dim, eps)?]));
        let case = case.with("dim", dim).with("eps", eps).domain(0, 0.5, 2.0);
        cases.push(if eps > 1.0 { case.no_differences() } else { case });
    }
    for (swap, reduction) in [(false, Reduction::Mean), (true, Reduction::None), (false, Reduction::Sum)] {
        let options = TripletMarginWithDistanceOptions { margin: 9.0, swap, reduction };
        cases.push(
            Case::new("triplet_margin_with_distance_loss", &[&[4, 3], &[4, 3], &[1, 3]], move |x| {
                let distance = |a: &Tensor, b: &Tensor| a.pairwise_distance(b, 2.0, 1e-6);
                Ok(vec![x[0].triplet_margin_with_distance_loss(&x[1], &x[2], distance, &options)?])
            })
            .options(&options)
            .domain(0, 1.0, 2.0)
            .domain(1, -0.5, 0.5)
            .domain(2, -4.0, -2.0),
        );
    }
    cases
}
