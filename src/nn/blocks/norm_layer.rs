//! The choice of a normalization.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{BatchNorm2d, BatchNormLayerOptions, FrozenBatchNorm2d, GroupNorm, GroupNormOptions, Module, Scope};
use crate::options::As;

/// The normalization after the convolutions of a network, torchvision's `norm_layer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormLayer {
    /// By the batch in training; see [`BatchNorm2d`].
    BatchNorm2d(BatchNormLayerOptions),
    /// By fixed statistics; see [`FrozenBatchNorm2d`].
    FrozenBatchNorm2d {
        /// Added to the variance.
        eps: f64,
    },
    /// By each image's groups of channels; see [`GroupNorm`].
    GroupNorm {
        /// The number of groups, which divides the number of channels.
        num_groups: usize,
    },
}

impl NormLayer {
    /// [`FrozenBatchNorm2d`] with torchvision's default, 1e-5.
    pub const FROZEN: NormLayer = NormLayer::FrozenBatchNorm2d { eps: 1e-5 };

    /// The layer for inputs of `channels` channels.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge); [`Error::Invalid`](crate::Error::Invalid) if groups do not divide the
    /// channels.
    pub fn layer(&self, scope: &Scope, channels: usize) -> Result<Box<dyn Norm>> {
        Ok(match self {
            NormLayer::BatchNorm2d(options) => Box::new(BatchNorm2d::new(scope, channels, options)?),
            NormLayer::FrozenBatchNorm2d { eps } => Box::new(FrozenBatchNorm2d::new(scope, channels, *eps)?),
            NormLayer::GroupNorm { num_groups } => {
                Box::new(GroupNorm::new(scope, *num_groups, channels, &GroupNormOptions::default())?)
            }
        })
    }
}

/// A layer that [`NormLayer`] makes.
pub trait Norm: Module {
    /// The output for images, of which only those with `counts` (`[N]`, bool) true enter the statistics in training: for a fixed
    /// number of regions, some of which are padding.
    ///
    /// # Errors
    /// Those of [`forward`](Module::forward).
    fn forward_rows(&self, input: &Tensor, counts: &Tensor) -> Result<Tensor>;
}

impl Norm for BatchNorm2d {
    fn forward_rows(&self, input: &Tensor, counts: &Tensor) -> Result<Tensor> {
        BatchNorm2d::forward_rows(self, input, counts)
    }
}

impl Norm for FrozenBatchNorm2d {
    fn forward_rows(&self, input: &Tensor, _: &Tensor) -> Result<Tensor> {
        self.forward(input)
    }
}

impl Norm for GroupNorm {
    fn forward_rows(&self, input: &Tensor, _: &Tensor) -> Result<Tensor> {
        self.forward(input)
    }
}

impl Default for NormLayer {
    fn default() -> NormLayer {
        NormLayer::BatchNorm2d(BatchNormLayerOptions::default())
    }
}

impl As<NormLayer> for BatchNormLayerOptions {
    fn convert(self) -> NormLayer {
        NormLayer::BatchNorm2d(self)
    }
}

impl As<Option<NormLayer>> for BatchNormLayerOptions {
    fn convert(self) -> Option<NormLayer> {
        Some(NormLayer::BatchNorm2d(self))
    }
}
