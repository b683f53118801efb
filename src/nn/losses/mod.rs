//! Losses as values that hold their options, under PyTorch's names.

mod several;
mod targets;

pub use several::{
    CosineEmbeddingLoss, CtcLoss, GaussianNllLoss, MarginRankingLoss, TripletMarginLoss, TripletMarginWithDistanceLoss,
};
pub use targets::{
    BceLoss, BceWithLogitsLoss, CapsuleMarginLoss, ContrastiveLoss, CrossEntropyLoss, DiceLoss, HingeEmbeddingLoss,
    HuberLoss, KlDivLoss, L1Loss, MinedTripletLoss, MseLoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss,
    MultiMarginLoss, NllLoss, PoissonNllLoss, SigmoidFocalLoss, SmoothL1Loss, SoftMarginLoss,
};

use crate::error::Result;
use crate::graph::Tensor;

/// A loss of an input and its target, with its options: a training loop takes it without knowing which loss it is.
///
/// ```
/// use wgrad::nn::{CrossEntropyLoss, Loss, MseLoss};
/// use wgrad::{CrossEntropyOptions, Device, Tensor};
///
/// let device = Device::reference();
/// let logits = Tensor::zeros(&device, &[2, 3])?;
/// let losses: [Box<dyn Loss>; 2] = [
///     Box::new(CrossEntropyLoss::new(CrossEntropyOptions::default().label_smoothing(0.1))),
///     Box::new(MseLoss::default()),
/// ];
/// let labels = Tensor::from_slice(&device, &[0i32, 2], &[2])?;
/// assert!((losses[0].forward(&logits, &labels)?.item::<f32>()? - 3f32.ln()).abs() < 1e-6);
/// assert_eq!(losses[1].forward(&logits, &logits)?.item::<f32>()?, 0.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Loss: Send + Sync {
    /// The loss, a scalar unless its reduction is [`Reduction::None`](crate::Reduction::None).
    ///
    /// # Errors
    /// Those of the tensor's method of the loss.
    fn forward(&self, input: &Tensor, target: &Tensor) -> Result<Tensor>;
}

/// Structs of options with PyTorch's defaults, and a method to set each.
macro_rules! options {
    ($($(#[$doc:meta])* $loss:ident { $($fields:tt)* })*) => {$(
        crate::options::options! {
            $(#[$doc])*
            #[derive(Clone, Debug)]
            $loss { $($fields)* }
        }
    )*};
}
use options;

/// Structs that hold the options of a tensor's method.
macro_rules! with_options {
    ($($(#[$doc:meta])* $loss:ident($options:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $loss {
            /// The loss's options.
            pub options: $options,
        }

        impl $loss {
            /// A loss with these options.
            pub fn new(options: $options) -> $loss {
                $loss { options }
            }
        }
    )*};
}
use with_options;
