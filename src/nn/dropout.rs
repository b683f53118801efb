//! Dropout.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{Mode, Module};

macro_rules! dropouts {
    ($($(#[$doc:meta])* $layer:ident, $method:ident;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("See [`Tensor::", stringify!($method), "`]. In evaluation it is the identity.")]
            #[derive(Clone, Debug)]
            pub struct $layer {
                /// The probability of being dropped.
                pub p: f64,
                mode: Mode,
            }

            impl $layer {
                /// A layer that drops with probability `p`, in training.
                pub fn new(p: f64) -> $layer {
                    $layer { p, mode: Mode::default() }
                }
            }

            impl Default for $layer {
                /// A probability of 0.5.
                fn default() -> $layer {
                    $layer::new(0.5)
                }
            }

            impl Module for $layer {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    input.$method(self.p, self.mode.is_training())
                }
                fn mode(&self) -> Option<&Mode> {
                    Some(&self.mode)
                }
            }
        )*
    };
}

dropouts! {
    /// Elements dropped at random.
    Dropout, dropout;
    /// Channels dropped at random: `[N, C, L]` or `[C, L]`.
    Dropout1d, dropout1d;
    /// Channels dropped at random: `[N, C, H, W]`.
    Dropout2d, dropout2d;
    /// Channels dropped at random: `[N, C, D, H, W]` or `[C, D, H, W]`.
    Dropout3d, dropout3d;
    /// Elements dropped at random such that mean 0 and variance 1 are preserved.
    AlphaDropout, alpha_dropout;
    /// Channels dropped at random such that mean 0 and variance 1 are preserved: `[N, C, ..]`.
    FeatureAlphaDropout, feature_alpha_dropout;
}
