//! Blocks that many convolutional networks share. Names of parameters are torchvision's where it has the block.

mod activation;
mod cbam;
mod conv_norm;
mod norm_layer;
mod separable;
mod squeeze_excitation;
mod stochastic_depth;

pub use activation::Activation;
pub use cbam::{Cbam, ChannelAttention, SpatialAttention};
pub use conv_norm::{ConvNormActivation, ConvNormActivationOptions};
pub use norm_layer::{Norm, NormLayer};
pub use separable::{DepthwiseSeparable, InvertedResidual, InvertedResidualOptions};
pub use squeeze_excitation::SqueezeExcitation;
pub use stochastic_depth::{StochasticDepth, StochasticDepthMode};
