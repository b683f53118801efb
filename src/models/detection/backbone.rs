//! Backbones of detectors: the layers of a classifier, with maps of one resolution or several.

use super::{ExtraBlocks, FeaturePyramid, FeaturePyramidOptions};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::intermediate::IntermediateLayers;
use crate::models::{MobileNetV3Options, ResNet, ResNetOptions, initial};
use crate::nn::blocks::NormLayer;
use crate::nn::{Children, Conv2d, Module, Scope, Sequential, children};
use crate::ops::Conv2dOptions;
use crate::options::options;

/// A network that makes the maps which a detector looks at.
pub trait DetectionBackbone: Module {
    /// The maps `[N, out_channels, H_i, W_i]`, the finest first.
    ///
    /// # Errors
    /// Those of the layers.
    fn levels(&self, images: &Tensor) -> Result<Vec<Tensor>>;

    /// Channels of all maps.
    fn out_channels(&self) -> usize;

    /// The number of maps that regions are pooled from: those without the extra ones on top.
    fn pooled_levels(&self) -> usize;
}

/// A [`FeaturePyramid`] (`fpn`) over the layers of a classifier (`body`), torchvision's `BackboneWithFPN`.
pub struct BackboneWithFpn {
    body: IntermediateLayers,
    fpn: FeaturePyramid,
    out_channels: usize,
    pooled_levels: usize,
}

impl BackboneWithFpn {
    fn new(
        scope: &Scope,
        layers: Sequential,
        returned: &[(String, usize)],
        options: &FeaturePyramidOptions,
    ) -> Result<BackboneWithFpn> {
        let (names, channels): (Vec<String>, Vec<usize>) = returned.iter().cloned().unzip();
        Ok(BackboneWithFpn {
            body: IntermediateLayers::new(layers, &names)?,
            fpn: FeaturePyramid::new(&scope.at("fpn"), &channels, options)?,
            out_channels: options.out_channels,
            pooled_levels: names.len(),
        })
    }
}

impl DetectionBackbone for BackboneWithFpn {
    fn levels(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        self.fpn.levels(&self.body.outputs(images)?)
    }
    fn out_channels(&self) -> usize {
        self.out_channels
    }
    fn pooled_levels(&self) -> usize {
        self.pooled_levels
    }
}

impl Module for BackboneWithFpn {
    /// The coarsest map.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let last = self.levels(input)?.pop();
        last.ok_or_else(|| Error::invalid("BackboneWithFpn", "the backbone has no level"))
    }
    fn children(&self) -> Children<'_> {
        children![self; body, fpn]
    }
}

/// The layers of a classifier, and a convolution of 1 x 1 after them.
struct SingleLevel {
    layers: Sequential,
    out_channels: usize,
}

impl DetectionBackbone for SingleLevel {
    fn levels(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.layers.forward(images)?])
    }
    fn out_channels(&self) -> usize {
        self.out_channels
    }
    fn pooled_levels(&self) -> usize {
        1
    }
}

impl Module for SingleLevel {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.call(input)
    }
    fn children(&self) -> Children<'_> {
        self.layers.children()
    }
}

options! {
    /// Options of [`resnet_fpn_backbone`]; the defaults are torchvision's.
    #[derive(Clone, Debug, PartialEq)]
    ResNetFpnOptions {
        /// The classifier; its classes have no meaning here.
        resnet: ResNetOptions = ResNetOptions::resnet50().norm(NormLayer::FROZEN),
        /// Parts that are trained, from the last one on: of `layer4`, `layer3`, `layer2`, `layer1` and, with 5, all before.
        trainable_layers: usize = 3,
        /// The numbers of the layers that the pyramid takes, from 1 to 4.
        returned_layers: Vec<usize> = vec![1, 2, 3, 4],
        /// The pyramid.
        fpn: FeaturePyramidOptions = FeaturePyramidOptions::default().extra_blocks(ExtraBlocks::LastLevelMaxPool),
    }
}

/// A ResNet with a feature pyramid, torchvision's function of the same name.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::models::ResNetOptions;
/// use wgrad::models::detection::{DetectionBackbone, ResNetFpnOptions, resnet_fpn_backbone};
/// # let device = Device::reference();
/// use wgrad::nn::blocks::NormLayer;
/// let resnet = ResNetOptions::resnet18().norm(NormLayer::FROZEN);
/// let options = ResNetFpnOptions::default().resnet(resnet).trainable_layers(2);
/// let backbone = resnet_fpn_backbone(&Scope::new(&device).at("backbone"), &options)?;
/// let sizes: Vec<usize> =
///     backbone.levels(&Tensor::zeros(&device, &[1, 3, 32, 32])?)?.iter().map(|level| level.shape()[2]).collect();
/// assert_eq!(sizes, [8, 4, 2, 1, 1]);
/// assert_eq!(backbone.parameters()[0].name(), "backbone.body.conv1.weight");
/// assert!(!backbone.parameters()[0].requires_grad());
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for numbers of layers that a ResNet does not have; those of [`ResNet::new`].
pub fn resnet_fpn_backbone(scope: &Scope, options: &ResNetFpnOptions) -> Result<BackboneWithFpn> {
    const OP: &str = "resnet_fpn_backbone";
    let ResNetFpnOptions { resnet, trainable_layers, ref returned_layers, fpn } = *options;
    if trainable_layers > 5 {
        return Err(Error::invalid(OP, format!("trainable_layers is {trainable_layers}; it must be from 0 to 5")));
    }
    let of_layer = |&number: &usize| match resnet.widths().get(number.wrapping_sub(1)) {
        Some(&channels) => Ok((format!("layer{number}"), channels)),
        None => Err(Error::invalid(OP, format!("returned_layers has {number}; it must be from 1 to 4"))),
    };
    let returned = returned_layers.iter().map(of_layer).collect::<Result<Vec<_>>>()?;
    let layers = ResNet::new(&scope.at("body"), &resnet)?.into_layers();
    let trained: Vec<String> = (1..=4).rev().take(trainable_layers).map(|number| format!("layer{number}")).collect();
    let frozen = layers.children().into_iter().filter(|(name, _)| trainable_layers < 5 && !trained.contains(name));
    frozen.for_each(|(_, layer)| freeze(layer));
    BackboneWithFpn::new(scope, layers, &returned, &fpn)
}

options! {
    /// Options of [`mobilenet_backbone`]; the defaults are torchvision's.
    #[derive(Clone, Debug, PartialEq)]
    MobileNetBackboneOptions {
        /// The classifier; its classes and its dropout have no meaning here.
        mobilenet: MobileNetV3Options = MobileNetV3Options::mobilenet_v3_large().norm(NormLayer::FROZEN),
        /// Stages that are trained, from the last one on, of at most 6.
        trainable_layers: usize = 2,
        /// The numbers of the stages that the pyramid takes, counted from 0; `None` for the last two.
        returned_layers: Option<Vec<usize>> = None,
        /// The pyramid; `None` for a convolution of 1 x 1 to 256 channels.
        fpn: Option<FeaturePyramidOptions> =
            Some(FeaturePyramidOptions::default().extra_blocks(ExtraBlocks::LastLevelMaxPool)),
    }
}

/// A MobileNetV3 with or without a feature pyramid, torchvision's function of the same name. Stages are the first convolution,
/// the stretches that begin with each block that halves the size, and the last convolution.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::models::detection::{MobileNetBackboneOptions, mobilenet_backbone};
/// # let device = Device::reference();
/// let backbone = mobilenet_backbone(&Scope::new(&device).at("backbone"), &MobileNetBackboneOptions::default())?;
/// let levels = backbone.levels(&Tensor::zeros(&device, &[1, 3, 64, 64])?)?;
/// let sizes: Vec<usize> = levels.iter().map(|level| level.shape()[2]).collect();
/// assert_eq!(sizes, [2, 2, 1]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for numbers of stages that the network does not have; those of its layers.
pub fn mobilenet_backbone(scope: &Scope, options: &MobileNetBackboneOptions) -> Result<Box<dyn DetectionBackbone>> {
    const OP: &str = "mobilenet_backbone";
    let MobileNetBackboneOptions { mobilenet, trainable_layers, ref returned_layers, fpn } = *options;
    let stages = mobilenet.stages();
    let Some(first_trained) = stages.len().checked_sub(trainable_layers) else {
        let rule = format!("trainable_layers is {trainable_layers}; it must be from 0 to {}", stages.len());
        return Err(Error::invalid(OP, rule));
    };
    let features = mobilenet.features(&scope.at(if fpn.is_some() { "body" } else { "0" }))?;
    initial::draw(&features, initial::kaiming_fan_out, initial::kept)?;
    let end = stages.get(first_trained).map_or(features.len(), |&(number, _)| number);
    features.iter().take(end).for_each(freeze);
    let Some(fpn) = fpn else {
        let out_channels = FeaturePyramidOptions::default().out_channels;
        let layers = Sequential::new(scope)
            .push(features)
            .make(|s| Conv2d::new(s, mobilenet.width(), out_channels, 1, &Conv2dOptions::default()))?;
        return Ok(Box::new(SingleLevel { layers, out_channels }));
    };
    let last_two = || vec![stages.len() - 2, stages.len() - 1];
    let of_stage = |&stage: &usize| match stages.get(stage) {
        Some(&(number, channels)) => Ok((number.to_string(), channels)),
        None => {
            Err(Error::invalid(OP, format!("returned_layers has {stage}; it must be from 0 to {}", stages.len() - 1)))
        }
    };
    let returned = returned_layers.clone().unwrap_or_else(last_two).iter().map(of_stage).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(BackboneWithFpn::new(scope, features, &returned, &fpn)?))
}

/// Leaves all parameters of a part where they are.
pub(super) fn freeze(part: &dyn Module) {
    part.parameters().iter().filter(|parameter| !parameter.is_buffer()).for_each(|p| p.set_requires_grad(false));
}
