//! Losses with arguments other than an input and a target.

use super::{options, with_options};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{
    CtcLengths, CtcLossOptions, GaussianNllOptions, Reduction, TripletMarginOptions, TripletMarginWithDistanceOptions,
};
use std::fmt;

with_options! {
    /// The negative log likelihood of numbers whose variances are estimated too; see [`Tensor::gaussian_nll_loss`].
    GaussianNllLoss(GaussianNllOptions);
    /// A hinge between the distances to a similar and to a dissimilar example; see [`Tensor::triplet_margin_loss`].
    TripletMarginLoss(TripletMarginOptions);
    /// The loss of all alignments of a sequence of labels; see [`Tensor::ctc_loss`].
    CtcLoss(CtcLossOptions);
}

options! {
    /// A hinge on the cosine between two vectors, 1 for similar and -1 for dissimilar; see [`Tensor::cosine_embedding_loss`].
    CosineEmbeddingLoss {
        /// The cosine below which different pairs cost nothing.
        margin: f64 = 0.0,
        /// Reduction of the losses of the pairs.
        reduction: Reduction = Reduction::Mean,
    }
    /// A hinge on the order of two scores; see [`Tensor::margin_ranking_loss`].
    MarginRankingLoss {
        /// Distance that the scores should have.
        margin: f64 = 0.0,
        /// Reduction of the losses of the pairs.
        reduction: Reduction = Reduction::Mean,
    }
}

impl GaussianNllLoss {
    /// The loss of means, for numbers and variances.
    ///
    /// # Errors
    /// Those of [`Tensor::gaussian_nll_loss`].
    #[track_caller]
    pub fn forward(&self, input: &Tensor, target: &Tensor, var: &Tensor) -> Result<Tensor> {
        input.gaussian_nll_loss(target, var, &self.options)
    }
}

impl CosineEmbeddingLoss {
    /// The loss of pairs of vectors, and 1 or -1 for each.
    ///
    /// # Errors
    /// Those of [`Tensor::cosine_embedding_loss`].
    #[track_caller]
    pub fn forward(&self, first: &Tensor, second: &Tensor, target: &Tensor) -> Result<Tensor> {
        first.cosine_embedding_loss(second, target, self.margin, self.reduction)
    }
}

impl MarginRankingLoss {
    /// The loss of pairs of scores, and 1 or -1 for each: the one that should be larger.
    ///
    /// # Errors
    /// Those of [`Tensor::margin_ranking_loss`].
    #[track_caller]
    pub fn forward(&self, first: &Tensor, second: &Tensor, target: &Tensor) -> Result<Tensor> {
        first.margin_ranking_loss(second, target, self.margin, self.reduction)
    }
}

impl TripletMarginLoss {
    /// The loss of anchors, positives and negatives.
    ///
    /// # Errors
    /// Those of [`Tensor::triplet_margin_loss`].
    #[track_caller]
    pub fn forward(&self, anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        anchor.triplet_margin_loss(positive, negative, &self.options)
    }
}

impl CtcLoss {
    /// The loss of log probabilities `[T, N, C]`, for labels and lengths.
    ///
    /// # Errors
    /// Those of [`Tensor::ctc_loss`].
    #[track_caller]
    pub fn forward<'a>(
        &self,
        log_probs: &Tensor,
        targets: &Tensor,
        input_lengths: impl Into<CtcLengths<'a>>,
        target_lengths: impl Into<CtcLengths<'a>>,
    ) -> Result<Tensor> {
        log_probs.ctc_loss(targets, input_lengths, target_lengths, &self.options)
    }
}

/// The distances between two batches of vectors, pair by pair.
type Distance = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync>;

/// A hinge between two distances by your own function; see [`Tensor::triplet_margin_with_distance_loss`].
pub struct TripletMarginWithDistanceLoss {
    /// The loss's options.
    pub options: TripletMarginWithDistanceOptions,
    distance: Distance,
}

impl TripletMarginWithDistanceLoss {
    /// A loss with these options.
    ///
    /// ```
    /// use wgrad::nn::TripletMarginWithDistanceLoss;
    /// use wgrad::{Device, Tensor, TripletMarginWithDistanceOptions};
    ///
    /// let loss = TripletMarginWithDistanceLoss::new(
    ///     |a: &Tensor, b: &Tensor| a.cosine_similarity(b, 1, 1e-8)?.neg(),
    ///     TripletMarginWithDistanceOptions::default(),
    /// );
    /// let x = Tensor::ones(&Device::reference(), &[2, 3])?;
    /// assert_eq!(loss.forward(&x, &x, &x)?.item::<f32>()?, 1.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(
        distance: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
        options: TripletMarginWithDistanceOptions,
    ) -> TripletMarginWithDistanceLoss {
        TripletMarginWithDistanceLoss { options, distance: Box::new(distance) }
    }

    /// The loss of anchors, positives and negatives.
    ///
    /// # Errors
    /// Those of [`Tensor::triplet_margin_with_distance_loss`], and of the distance.
    #[track_caller]
    pub fn forward(&self, anchor: &Tensor, positive: &Tensor, negative: &Tensor) -> Result<Tensor> {
        anchor.triplet_margin_with_distance_loss(positive, negative, &self.distance, &self.options)
    }
}

impl fmt::Debug for TripletMarginWithDistanceLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TripletMarginWithDistanceLoss").field("options", &self.options).finish_non_exhaustive()
    }
}
