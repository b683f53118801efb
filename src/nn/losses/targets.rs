//! Losses of an input and a target.

use super::{Loss, options, with_options};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{
    CapsuleMarginOptions, CrossEntropyOptions, KlDivOptions, MinedTripletOptions, MultiMarginOptions,
    PoissonNllOptions, Reduction,
};

with_options! {
    /// Cross entropy of logits; see [`Tensor::cross_entropy`].
    CrossEntropyLoss(CrossEntropyOptions);
    /// The negative logarithm of the labels' probabilities; see [`Tensor::nll_loss`].
    NllLoss(CrossEntropyOptions);
    /// The divergence from one distribution to another; see [`Tensor::kl_div`].
    KlDivLoss(KlDivOptions);
    /// The negative log likelihood of counts; see [`Tensor::poisson_nll_loss`].
    PoissonNllLoss(PoissonNllOptions);
    /// The margin loss of the lengths of capsules; see [`Tensor::capsule_margin_loss`].
    CapsuleMarginLoss(CapsuleMarginOptions);
    /// A hinge between the distances to similar and to dissimilar examples, in a batch of labelled embeddings; see
    /// [`Tensor::mined_triplet_loss`].
    MinedTripletLoss(MinedTripletOptions);
    /// A hinge on the margins between a label's score and all others; see [`Tensor::multi_margin_loss`].
    MultiMarginLoss(MultiMarginOptions);
}

options! {
    /// The squared error; see [`Tensor::mse_loss`].
    MseLoss {
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// The absolute error; see [`Tensor::l1_loss`].
    L1Loss {
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// The absolute error, squared near 0; see [`Tensor::smooth_l1_loss`].
    SmoothL1Loss {
        /// The error at which it becomes linear.
        beta: f64 = 1.0,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// The squared error, linear far from 0; see [`Tensor::huber_loss`].
    HuberLoss {
        /// The error at which it becomes linear.
        delta: f64 = 1.0,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// Cross entropy of probabilities of yes or no; see [`Tensor::binary_cross_entropy`].
    BceLoss {
        /// A weight for each element, of a shape that broadcasts to the input's.
        weight: Option<Tensor> = None,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// Cross entropy of logits of yes or no; see [`Tensor::binary_cross_entropy_with_logits`].
    BceWithLogitsLoss {
        /// A weight for each element, of a shape that broadcasts to the input's.
        weight: Option<Tensor> = None,
        /// A weight for positive targets, of a shape that broadcasts to the input's.
        pos_weight: Option<Tensor> = None,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// Cross entropy of logits in which easy examples count little; see [`Tensor::sigmoid_focal_loss`]. The defaults are the
    /// same, except that the reduction is a mean, as for all losses here.
    SigmoidFocalLoss {
        /// The weight of positive targets; below 0 for no weights.
        alpha: f64 = 0.25,
        /// Strength by which easy examples count less.
        gamma: f64 = 2.0,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// One minus the overlap of two masks; see [`Tensor::dice_loss`].
    DiceLoss {
        /// Added to both sides of the fraction.
        smooth: f64 = 1.0,
        /// Reduction of the losses of the samples and classes.
        reduction: Reduction = Reduction::Mean,
    }
    /// A hinge for distances of pairs, 1 for alike and -1 for not; see [`Tensor::hinge_embedding_loss`].
    HingeEmbeddingLoss {
        /// The distance past which different pairs cost nothing.
        margin: f64 = 1.0,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// Half the squares of the distances of similar pairs, marked by 1, and of the amounts by which dissimilar pairs, marked by
    /// -1, fall short of a margin; see [`Tensor::contrastive_loss`].
    ContrastiveLoss {
        /// The distance past which different pairs cost nothing.
        margin: f64 = 1.0,
        /// Reduction of the losses of the pairs.
        reduction: Reduction = Reduction::Mean,
    }
    /// Logistic loss of scores and signs; see [`Tensor::soft_margin_loss`].
    SoftMarginLoss {
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
    /// A hinge between the scores of all labels and all others; see [`Tensor::multilabel_margin_loss`].
    MultiLabelMarginLoss {
        /// Reduction of the losses of the samples.
        reduction: Reduction = Reduction::Mean,
    }
    /// Cross entropy of several labels' logits; see [`Tensor::multilabel_soft_margin_loss`].
    MultiLabelSoftMarginLoss {
        /// A weight for each class, `[C]`.
        weight: Option<Tensor> = None,
        /// Reduction of the losses of the samples.
        reduction: Reduction = Reduction::Mean,
    }
}

macro_rules! losses {
    ($($loss:ident: |$this:ident, $input:ident, $target:ident| $value:expr;)*) => {$(
        impl Loss for $loss {
            #[track_caller]
            fn forward(&self, $input: &Tensor, $target: &Tensor) -> Result<Tensor> {
                let $this = self;
                $value
            }
        }
    )*};
}

losses! {
    CrossEntropyLoss: |loss, input, target| input.cross_entropy(target, &loss.options);
    NllLoss: |loss, input, target| input.nll_loss(target, &loss.options);
    KlDivLoss: |loss, input, target| input.kl_div(target, &loss.options);
    PoissonNllLoss: |loss, input, target| input.poisson_nll_loss(target, &loss.options);
    MultiMarginLoss: |loss, input, target| input.multi_margin_loss(target, &loss.options);
    CapsuleMarginLoss: |loss, input, target| input.capsule_margin_loss(target, &loss.options);
    MseLoss: |loss, input, target| input.mse_loss(target, loss.reduction);
    L1Loss: |loss, input, target| input.l1_loss(target, loss.reduction);
    SmoothL1Loss: |loss, input, target| input.smooth_l1_loss(target, loss.beta, loss.reduction);
    HuberLoss: |loss, input, target| input.huber_loss(target, loss.delta, loss.reduction);
    BceLoss: |loss, input, target| input.binary_cross_entropy(target, loss.weight.as_ref(), loss.reduction);
    BceWithLogitsLoss: |loss, input, target| {
        let (weight, pos_weight) = (loss.weight.as_ref(), loss.pos_weight.as_ref());
        input.binary_cross_entropy_with_logits(target, weight, pos_weight, loss.reduction)
    };
    SigmoidFocalLoss: |loss, input, target| {
        input.sigmoid_focal_loss(target, loss.alpha, loss.gamma, loss.reduction)
    };
    DiceLoss: |loss, input, target| input.dice_loss(target, loss.smooth, loss.reduction);
    HingeEmbeddingLoss: |loss, input, target| input.hinge_embedding_loss(target, loss.margin, loss.reduction);
    ContrastiveLoss: |loss, input, target| input.contrastive_loss(target, loss.margin, loss.reduction);
    MinedTripletLoss: |loss, input, target| input.mined_triplet_loss(target, &loss.options);
    SoftMarginLoss: |loss, input, target| input.soft_margin_loss(target, loss.reduction);
    MultiLabelMarginLoss: |loss, input, target| input.multilabel_margin_loss(target, loss.reduction);
    MultiLabelSoftMarginLoss: |loss, input, target| {
        input.multilabel_soft_margin_loss(target, loss.weight.as_ref(), loss.reduction)
    };
}
