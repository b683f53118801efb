//! The structure that the layers over channels share: a weight, a bias and running statistics.

use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::{Held, Scope};

/// Statistics over the batches of training.
#[derive(Clone, Debug)]
pub struct RunningStatistics {
    /// `[C]`.
    pub mean: Parameter,
    /// `[C]`; of unbiased variances.
    pub var: Parameter,
    /// `[]`, i32: number of batches it was trained on.
    pub num_batches_tracked: Parameter,
}

impl RunningStatistics {
    /// Mean 0 and variance 1, before any batch.
    pub(super) fn new(scope: &Scope, channels: usize) -> Result<RunningStatistics> {
        let device = scope.device();
        Ok(RunningStatistics {
            mean: scope.buffer("running_mean", &Tensor::zeros(device, &[channels])?),
            var: scope.buffer("running_var", &Tensor::ones(device, &[channels])?),
            num_batches_tracked: scope.buffer("num_batches_tracked", &Tensor::full(device, &[], 0i32)?),
        })
    }
}

impl Held for RunningStatistics {
    fn list(&self, parameters: &mut Vec<Parameter>) {
        [&self.mean, &self.var, &self.num_batches_tracked].into_iter().for_each(|held| held.list(parameters));
    }
}

/// Declares a layer that normalizes channels, its options, and its constructor.
macro_rules! channel_norm {
    (
        $(#[$about:meta])*
        $norm:ident($options:ident), affine: $affine:literal, track_running_stats: $track:literal, no_momentum: $effect:literal
    ) => {
        crate::options::options! {
            #[doc = concat!("Options of [`", stringify!($norm), "`]; the defaults are PyTorch's.")]
            #[derive(Clone, Copy, Debug, PartialEq)]
            $options {
                /// Added to the variance.
                eps: f64 = 1e-5,
                #[doc = concat!("Weight of the batch in the running statistics; `None` ", $effect, ".")]
                momentum: Option<f64> = Some(0.1),
                /// Adds a weight and a bias.
                affine: bool = $affine,
                /// Keeps running statistics, by which evaluation normalizes. Without them it normalizes as training does.
                track_running_stats: bool = $track,
            }
        }

        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $norm<const D: usize> {
            /// `[C]`.
            pub weight: Option<Parameter>,
            /// `[C]`.
            pub bias: Option<Parameter>,
            /// The statistics that evaluation normalizes by.
            pub running: Option<crate::nn::RunningStatistics>,
            /// Added to the variance.
            pub eps: f64,
            #[doc = concat!("Weight of the batch in the running statistics; `None` ", $effect, ".")]
            pub momentum: Option<f64>,
            mode: Mode,
        }

        impl<const D: usize> $norm<D> {
            const NAME: &'static str = match D {
                1 => concat!(stringify!($norm), "1d"),
                2 => concat!(stringify!($norm), "2d"),
                _ => concat!(stringify!($norm), "3d"),
            };

            /// A layer for inputs of `num_features` channels.
            ///
            /// # Errors
            /// [`Error::TooLarge`].
            pub fn new(scope: &crate::nn::Scope, num_features: usize, options: &$options) -> Result<$norm<D>> {
                let $options { eps, momentum, affine, track_running_stats } = *options;
                let (weight, bias) = crate::nn::norm::affine(scope, &[num_features], affine, affine)?;
                let running = match track_running_stats {
                    true => Some(crate::nn::RunningStatistics::new(scope, num_features)?),
                    false => None,
                };
                Ok($norm { weight, bias, running, eps, momentum, mode: Mode::default() })
            }
        }
    };
}
pub(super) use channel_norm;
