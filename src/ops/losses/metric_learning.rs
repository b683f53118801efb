//! Losses of embeddings that bring similar examples close together.

use super::floats;
use super::margin::hinge;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;

/// The negatives that [`Tensor::mined_triplet_loss`] compares with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TripletMining {
    /// A triplet for each anchor: the farthest positive and the nearest negative (Hermans, Beyer and Leibe, "In defense of the
    /// triplet loss for person re-identification", 2017).
    #[default]
    BatchHard,
    /// A triplet for each anchor and positive: the nearest negative that is farther away than the positive, or the farthest
    /// negative if there is none (Schroff, Kalenichenko and Philbin, "FaceNet", 2015).
    SemiHard,
}

options! {
    /// Options of [`Tensor::mined_triplet_loss`].
    #[derive(Clone, Copy, Debug)]
    MinedTripletOptions {
        /// The choice of negatives.
        mining: TripletMining = TripletMining::BatchHard,
        /// The margin by which the negative example should be further away; above 0.
        margin: f64 = 1.0,
        /// Takes squares of distances, as FaceNet does.
        squared: bool = false,
    }
}

impl Tensor {
    /// With this the distance `x` of a pair: `x^2 / 2` if the target is 1, for similar pairs, and `max(0, margin - x)^2 / 2` if
    /// it is -1; reduced. The contrastive loss of Hadsell, Chopra and LeCun ("Dimensionality reduction by learning an invariant
    /// mapping", 2006), with the target of [`hinge_embedding_loss`](Tensor::hinge_embedding_loss). Shapes broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`], [`Error::WrongDType`].
    ///
    /// ```
    /// # use wgrad::{Device, Reduction, Tensor};
    /// # let device = Device::reference();
    /// let distances = Tensor::from_slice(&device, &[2.0f32, 0.25, 3.0], &[3])?;
    /// let target = Tensor::from_slice(&device, &[1, -1, -1], &[3])?;
    /// assert_eq!(distances.contrastive_loss(&target, 1.25, Reduction::None)?.to_vec::<f32>()?, [2.0, 0.5, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn contrastive_loss(&self, target: &Tensor, margin: f64, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "contrastive_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.contrastive_loss(target, margin, reduction);
        }
        let _line = ascribe_to_caller();
        floats(OP, &[self])?;
        let x = self.expand_to(self.shape().broadcast(target.shape(), OP)?, OP)?;
        let zeros = x.zeros_like()?;
        let alike = target.eq_scalar(1.0)?.where_(&x.square()?, &zeros)?;
        let apart = target.eq_scalar(-1.0)?.where_(&hinge(&(margin - &x)?)?.square()?, &zeros)?;
        reduction.of(&((alike + apart)? * 0.5)?)
    }

    /// The triplet loss `max(0, d(anchor, positive) - d(anchor, negative) + margin)` of embeddings `[N, D]`, with i32 labels
    /// `[N]`; [`TripletMining`] chooses the triplets of the batch. The result is their mean, or 0 if there are none. Distances
    /// are Euclidean, or their squares.
    ///
    /// Takes memory for `N N D` elements, and semi-hard mining for `N N N`. Nothing is read back.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes or a margin not above 0, [`Error::WrongDType`].
    ///
    /// ```
    /// # use wgrad::{Device, MinedTripletOptions, Tensor};
    /// # let device = Device::reference();
    /// let embeddings = Tensor::from_slice(&device, &[0.0f32, 1.0, 3.0], &[3, 1])?;
    /// let labels = Tensor::from_slice(&device, &[7, 7, 8], &[3])?;
    /// // The anchors 0 and 1 are 1 from each other, and 3 and 2 from the third, which has no positive.
    /// let loss = embeddings.mined_triplet_loss(&labels, &MinedTripletOptions::default().margin(4.0))?;
    /// assert_eq!(loss.item::<f32>()?, (2.0 + 3.0) / 2.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn mined_triplet_loss(&self, labels: &Tensor, options: &MinedTripletOptions) -> Result<Tensor> {
        const OP: &str = "mined_triplet_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.mined_triplet_loss(labels, options);
        }
        let _line = ascribe_to_caller();
        let &MinedTripletOptions { mining, margin, squared } = options;
        floats(OP, &[self])?;
        if labels.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: OP, expected: "i32 labels", got: labels.dtype() });
        }
        let &[count, _] = &self.shape()[..] else {
            return Err(Error::invalid(OP, format!("embeddings {} must be [N, D]", self.shape())));
        };
        if labels.shape()[..] != [count] {
            let rule = format!("labels {} must be [{count}], one for each embedding", labels.shape());
            return Err(Error::invalid(OP, rule));
        }
        if margin.is_nan() || margin <= 0.0 {
            return Err(Error::invalid(OP, format!("margin is {margin}; it must be above 0")));
        }
        let differences = (self.unsqueeze(1)? - self.unsqueeze(0)?)?;
        let distances = if squared { differences.square()?.sum(-1)? } else { differences.norm(2.0, -1)? };
        let same = labels.unsqueeze(1)?.eq(&labels.unsqueeze(0)?)?;
        let others = Tensor::eye(self.device(), count, count)?.eq_scalar(0.0)?;
        let triplets =
            Triplets { distances, positive: same.logical_and(&others)?, negative: same.logical_not()?, margin };
        match mining {
            TripletMining::BatchHard => triplets.batch_hard(),
            TripletMining::SemiHard => triplets.semi_hard(),
        }
    }
}

/// The pairs of a batch, `[N, N]`: anchors by other examples.
struct Triplets {
    distances: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: f64,
}

impl Triplets {
    #[track_caller]
    fn batch_hard(&self) -> Result<Tensor> {
        let farthest = chosen(&self.distances, &self.positive, f32::MIN)?.amax(1)?;
        let nearest = chosen(&self.distances, &self.negative, f32::MAX)?.amin(1)?;
        let exists = self.positive.any(1)?.logical_and(&self.negative.any(1)?)?;
        self.mean(&exists, &farthest, &nearest)
    }

    #[track_caller]
    fn semi_hard(&self) -> Result<Tensor> {
        // [anchor, positive, negative].
        let (positives, negatives) = (self.distances.unsqueeze(2)?, self.distances.unsqueeze(1)?);
        let farther = negatives.gt(&positives)?.logical_and(&self.negative.unsqueeze(1)?)?;
        let nearest = chosen(&negatives, &farther, f32::MAX)?.amin(2)?;
        let farthest = chosen(&self.distances, &self.negative, f32::MIN)?.amax_keepdim(1)?;
        let negative = farther.any(2)?.where_(&nearest, &farthest)?;
        let exists = self.positive.logical_and(&self.negative.any_keepdim(1)?)?;
        self.mean(&exists, &self.distances, &negative)
    }

    /// The mean loss of the triplets that exist.
    #[track_caller]
    fn mean(&self, exists: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        let zeros = positive.zeros_like()?;
        let short = exists.where_(&(positive - negative)?, &zeros)?;
        let losses = exists.where_(&hinge(&(short + self.margin)?)?, &zeros)?;
        let count = exists.to_dtype(losses.dtype())?.sum_all()?.clamp(Some(1.0), None)?;
        losses.sum_all()? / count
    }
}

/// Values where a mask is true, otherwise a number.
#[track_caller]
fn chosen(values: &Tensor, mask: &Tensor, otherwise: f32) -> Result<Tensor> {
    let shape = values.shape().broadcast(mask.shape(), "mined_triplet_loss")?;
    mask.where_(values, &Tensor::full(values.device(), &shape, otherwise)?)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        let run = move |x: &[Tensor]| {
            let target = x[1].mul_scalar(2.0)?.sub_scalar(1.0)?;
            Ok(vec![x[0].contrastive_loss(&target, 1.25, reduction)?])
        };
        let mut case = Case::new("contrastive_loss", &[&[3, 5], &[5]], run).domain(0, 0.25, 2.0).integers(1, 0, 1);
        case.inputs[0].kinks = &[1.25];
        cases.push(case.with("reduction", reduction));
    }
    for mining in [TripletMining::BatchHard, TripletMining::SemiHard] {
        for (shape, classes, squared) in [([7, 3], 2, false), ([6, 2], 1, true), ([5, 1], 4, false), ([1, 2], 1, false)]
        {
            // All triplets fall short of the margin.
            let options = MinedTripletOptions::default().mining(mining).margin(40.0).squared(squared);
            let run = move |x: &[Tensor]| Ok(vec![x[0].mined_triplet_loss(&x[1], &options)?]);
            let case = Case::new("mined_triplet_loss", &[&shape, &shape[..1]], run);
            cases.push(case.options(&options).integers(1, 0, classes).first_order());
        }
    }
    cases
}
