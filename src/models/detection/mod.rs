//! Detectors, with torchvision's names, and the parts that they share.

mod backbone;
mod feature_pyramid;
mod sampler;

pub use backbone::{
    BackboneWithFpn, DetectionBackbone, MobileNetBackboneOptions, ResNetFpnOptions, mobilenet_backbone,
    resnet_fpn_backbone,
};
pub use feature_pyramid::{ExtraBlocks, FeaturePyramid, FeaturePyramidOptions};
pub use sampler::{BalancedPositiveNegativeSampler, Sample};
