//! ConvNeXt (Liu et al., "A ConvNet for the 2020s", 2022). The names of the parameters are torchvision's.

use super::{Backbone, initial};
use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::blocks::{StochasticDepth, StochasticDepthMode};
use crate::nn::{self, Conv2d, Flatten, Gelu, LayerNorm, LayerNormOptions, Linear, Module, Scope, Sequential};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of a [`ConvNeXt`]; the default is torchvision's `convnext_tiny`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    ConvNeXtOptions {
        /// Channels of each stage.
        widths: [usize; 4] = [96, 192, 384, 768],
        /// Blocks of each stage.
        depths: [usize; 4] = [3, 3, 9, 3],
        /// The probability with which the last block is dropped in training; it grows from 0 with depth.
        stochastic_depth: f64 = 0.1,
        /// The factor by which each block's result begins.
        layer_scale: f64 = 1e-6,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl ConvNeXtOptions {
    /// torchvision's `convnext_tiny`: 28,589,128 parameters.
    pub fn convnext_tiny() -> ConvNeXtOptions {
        ConvNeXtOptions::default()
    }

    /// torchvision's `convnext_small`: 50,223,688 parameters.
    pub fn convnext_small() -> ConvNeXtOptions {
        ConvNeXtOptions::default().depths([3, 3, 27, 3]).stochastic_depth(0.4)
    }

    /// torchvision's `convnext_base`: 88,591,464 parameters.
    pub fn convnext_base() -> ConvNeXtOptions {
        ConvNeXtOptions::convnext_small().widths([128, 256, 512, 1024]).stochastic_depth(0.5)
    }

    /// torchvision's `convnext_large`: 197,767,336 parameters.
    pub fn convnext_large() -> ConvNeXtOptions {
        ConvNeXtOptions::convnext_small().widths([192, 384, 768, 1536]).stochastic_depth(0.5)
    }
}

/// ConvNeXt: `[N, channels, H, W] -> [N, classes]` logits, from 32 x 32 on.
///
/// `features` are a stem of 4 x 4 windows side by side, then stages of blocks, each at half the size of the one before.
pub struct ConvNeXt {
    features: Sequential,
    classifier: Sequential,
}

impl ConvNeXt {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `stochastic_depth` is not from 0 to 1.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{ConvNeXt, ConvNeXtOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = ConvNeXtOptions::convnext_tiny().widths([8, 16, 24, 32]).depths([1, 1, 2, 1]).classes(10);
    /// let net = ConvNeXt::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &ConvNeXtOptions) -> Result<ConvNeXt> {
        let ConvNeXtOptions { widths, depths, stochastic_depth, layer_scale, classes, channels } = *options;
        let patches = |size: usize| Conv2dOptions::default().stride(size);
        let mut features = Sequential::new(&scope.at("features")).make(|s| {
            Sequential::new(s)
                .make(|s| Conv2d::new(s, channels, widths[0], 4, &patches(4)))?
                .make(|s| LayerNorm2d::new(s, widths[0]))
        })?;
        let last = depths.iter().sum::<usize>().saturating_sub(1).max(1);
        let mut number = 0usize;
        for (stage, (&width, &depth)) in widths.iter().zip(&depths).enumerate() {
            if stage > 0 {
                let inputs = widths[stage - 1];
                features = features.make(|s| {
                    Sequential::new(s)
                        .make(|s| LayerNorm2d::new(s, inputs))?
                        .make(|s| Conv2d::new(s, inputs, width, 2, &patches(2)))
                })?;
            }
            features = features.make(|s| {
                (0..depth).try_fold(Sequential::new(s), |blocks, _| {
                    let p = stochastic_depth * number as f64 / last as f64;
                    number += 1;
                    blocks.make(|s| Block::new(s, width, layer_scale, p))
                })
            })?;
        }
        let classifier = Sequential::new(&scope.at("classifier"))
            .make(|s| LayerNorm2d::new(s, widths[3]))?
            .push(Flatten)
            .make(|s| Linear::new(s, widths[3], classes))?;
        let net = ConvNeXt { features, classifier };
        initial::draw(&net, initial::trunc_normal(0.02), initial::trunc_normal(0.02))?;
        Ok(net)
    }
}

impl Backbone for ConvNeXt {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for ConvNeXt {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.global_avg_pool()?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

const NORM: LayerNormOptions = LayerNormOptions { eps: 1e-6, elementwise_affine: true, bias: true };

/// The channels of each position normalized: `[N, C, H, W]`.
struct LayerNorm2d {
    norm: LayerNorm,
}

impl LayerNorm2d {
    fn new(scope: &Scope, channels: usize) -> Result<LayerNorm2d> {
        Ok(LayerNorm2d { norm: LayerNorm::new(scope, &[channels], &NORM)? })
    }
}

impl Module for LayerNorm2d {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.norm.call(&input.permute([0, 2, 3, 1])?)?.permute([0, 3, 1, 2])
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        self.norm.own_parameters()
    }
}

/// A convolution of 7 x 7 of each channel alone, then two linear layers over the channels of each position.
struct Block {
    layer_scale: Parameter,
    block: Sequential,
    stochastic_depth: StochasticDepth,
}

impl Block {
    fn new(scope: &Scope, width: usize, layer_scale: f64, stochastic_depth: f64) -> Result<Block> {
        let depthwise = Conv2dOptions::default().padding(3).groups(width);
        let block = Sequential::new(&scope.at("block"))
            .make(|s| Conv2d::new(s, width, width, 7, &depthwise))?
            .push(nn::Lambda::new(|x: &Tensor| x.permute([0, 2, 3, 1])))
            .make(|s| LayerNorm::new(s, &[width], &NORM))?
            .make(|s| Linear::new(s, width, 4 * width))?
            .push(Gelu)
            .make(|s| Linear::new(s, 4 * width, width))?
            .push(nn::Lambda::new(|x: &Tensor| x.permute([0, 3, 1, 2])));
        let scale = Tensor::filled(scope.device(), &[width, 1, 1], layer_scale)?;
        Ok(Block {
            layer_scale: scope.parameter("layer_scale", &scale),
            block,
            stochastic_depth: StochasticDepth::new(stochastic_depth, StochasticDepthMode::Row)?,
        })
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.block.forward(input)?.mul(&self.layer_scale.value())?;
        self.stochastic_depth.forward(&output)?.add(input)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; layer_scale]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; block, stochastic_depth]
    }
}
