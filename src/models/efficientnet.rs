//! EfficientNet (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019) and EfficientNetV2
//! (Tan and Le, "EfficientNetV2: Smaller Models and Faster Training", 2021). The names of the parameters are torchvision's.

use super::divisible::make_divisible;
use super::layers::Shortcut;
use super::{Backbone, initial};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::blocks::{
    Activation, ConvNormActivation, ConvNormActivationOptions, InvertedResidual, InvertedResidualOptions,
    StochasticDepth, StochasticDepthMode,
};
use crate::nn::{self, BatchNormLayerOptions, Dropout, Linear, Module, Scope, Sequential, init};
use crate::number::nearest;
use crate::options::options;

/// Blocks of one kind, of which the first may change the size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EfficientNetStage {
    /// A convolution of all channels in place of expansion, depthwise convolution and squeeze and excitation.
    pub fused: bool,
    /// Expanded channels by input channels.
    pub expansion: usize,
    /// Height and width of the windows.
    pub kernel_size: usize,
    /// Step of the first block's windows.
    pub stride: usize,
    /// Channels.
    pub channels: usize,
    /// Blocks.
    pub blocks: usize,
}

options! {
    /// Options of an [`EfficientNet`]; the default is torchvision's `efficientnet_b0`.
    #[derive(Clone, Debug, PartialEq)]
    EfficientNetOptions {
        /// Channels of the first convolution.
        stem: usize = 32,
        /// The stages in order.
        stages: Vec<EfficientNetStage> = scaled(1.0, 1.0),
        /// Channels of the last convolution.
        last: usize = 1280,
        /// The batch normalization of all convolutions.
        norm: BatchNormLayerOptions = BatchNormLayerOptions::default(),
        /// The probability with which the last block is dropped in training; it grows from 0 with depth.
        stochastic_depth: f64 = 0.2,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.2,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

/// Numbers of a stage: expansion, kernel size, stride, channels, blocks.
type Row = [usize; 5];

const B: [Row; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];

/// The first three stages of EfficientNetV2 are fused.
const V2_FUSED: usize = 3;

const V2_S: [Row; 6] =
    [[1, 3, 1, 24, 2], [4, 3, 2, 48, 4], [4, 3, 2, 64, 4], [4, 3, 2, 128, 6], [6, 3, 1, 160, 9], [6, 3, 2, 256, 15]];

const V2_M: [Row; 7] = [
    [1, 3, 1, 24, 3],
    [4, 3, 2, 48, 5],
    [4, 3, 2, 80, 5],
    [4, 3, 2, 160, 7],
    [6, 3, 1, 176, 14],
    [6, 3, 2, 304, 18],
    [6, 3, 1, 512, 5],
];

const V2_L: [Row; 7] = [
    [1, 3, 1, 32, 4],
    [4, 3, 2, 64, 7],
    [4, 3, 2, 96, 7],
    [4, 3, 2, 192, 10],
    [6, 3, 1, 224, 19],
    [6, 3, 2, 384, 25],
    [6, 3, 1, 640, 7],
];

/// The stages of some rows, of which the first are fused.
fn stages(rows: &[Row], fused: usize) -> Vec<EfficientNetStage> {
    let stage = |(number, &[expansion, kernel_size, stride, channels, blocks]): (usize, &Row)| EfficientNetStage {
        fused: number < fused,
        expansion,
        kernel_size,
        stride,
        channels,
        blocks,
    };
    rows.iter().enumerate().map(stage).collect()
}

/// The stages of EfficientNet with numbers of channels and blocks multiplied.
fn scaled(width: f64, depth: f64) -> Vec<EfficientNetStage> {
    let scale = |stage: EfficientNetStage| EfficientNetStage {
        channels: make_divisible(stage.channels as f64 * width, 8),
        blocks: nearest((stage.blocks as f64 * depth).ceil()),
        ..stage
    };
    stages(&B, 0).into_iter().map(scale).collect()
}

impl EfficientNetOptions {
    fn b(width: f64, depth: f64, dropout: f64) -> EfficientNetOptions {
        let stages = scaled(width, depth);
        let last = 4 * stages.last().map_or(0, |stage| stage.channels);
        EfficientNetOptions::default().stem(make_divisible(32.0 * width, 8)).stages(stages).last(last).dropout(dropout)
    }

    fn v2(rows: &[Row], dropout: f64) -> EfficientNetOptions {
        let stages = stages(rows, V2_FUSED);
        EfficientNetOptions::default()
            .stem(stages[0].channels)
            .stages(stages)
            .norm(BatchNormLayerOptions::default().eps(1e-3))
            .dropout(dropout)
    }

    /// torchvision's `efficientnet_b0`: 5,288,548 parameters.
    pub fn efficientnet_b0() -> EfficientNetOptions {
        EfficientNetOptions::b(1.0, 1.0, 0.2)
    }

    /// torchvision's `efficientnet_b1`: 7,794,184 parameters.
    pub fn efficientnet_b1() -> EfficientNetOptions {
        EfficientNetOptions::b(1.0, 1.1, 0.2)
    }

    /// torchvision's `efficientnet_b2`: 9,109,994 parameters.
    pub fn efficientnet_b2() -> EfficientNetOptions {
        EfficientNetOptions::b(1.1, 1.2, 0.3)
    }

    /// torchvision's `efficientnet_b3`: 12,233,232 parameters.
    pub fn efficientnet_b3() -> EfficientNetOptions {
        EfficientNetOptions::b(1.2, 1.4, 0.3)
    }

    /// torchvision's `efficientnet_b4`: 19,341,616 parameters.
    pub fn efficientnet_b4() -> EfficientNetOptions {
        EfficientNetOptions::b(1.4, 1.8, 0.4)
    }

    /// torchvision's `efficientnet_b5`: 30,389,784 parameters.
    pub fn efficientnet_b5() -> EfficientNetOptions {
        EfficientNetOptions::b(1.6, 2.2, 0.4).norm(SLOW_NORM)
    }

    /// torchvision's `efficientnet_b6`: 43,040,704 parameters.
    pub fn efficientnet_b6() -> EfficientNetOptions {
        EfficientNetOptions::b(1.8, 2.6, 0.5).norm(SLOW_NORM)
    }

    /// torchvision's `efficientnet_b7`: 66,347,960 parameters.
    pub fn efficientnet_b7() -> EfficientNetOptions {
        EfficientNetOptions::b(2.0, 3.1, 0.5).norm(SLOW_NORM)
    }

    /// torchvision's `efficientnet_v2_s`: 21,458,488 parameters.
    pub fn efficientnet_v2_s() -> EfficientNetOptions {
        EfficientNetOptions::v2(&V2_S, 0.2)
    }

    /// torchvision's `efficientnet_v2_m`: 54,139,356 parameters.
    pub fn efficientnet_v2_m() -> EfficientNetOptions {
        EfficientNetOptions::v2(&V2_M, 0.3)
    }

    /// torchvision's `efficientnet_v2_l`: 118,515,272 parameters.
    pub fn efficientnet_v2_l() -> EfficientNetOptions {
        EfficientNetOptions::v2(&V2_L, 0.4)
    }
}

/// The batch normalization of the largest networks.
const SLOW_NORM: BatchNormLayerOptions =
    BatchNormLayerOptions { eps: 1e-3, momentum: Some(0.01), affine: true, track_running_stats: true };

/// EfficientNet and EfficientNetV2: `[N, channels, H, W] -> [N, classes]` logits.
///
/// `features` are a convolution of stride 2, stages of inverted residual blocks down to `H / 32`, and a convolution of 1 x 1;
/// `classifier.1` is linear in the means of their channels.
pub struct EfficientNet {
    features: Sequential,
    classifier: Sequential,
}

impl EfficientNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `stochastic_depth` is not from 0 to 1, or a stage has a stride of 0.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{EfficientNet, EfficientNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let mut options = EfficientNetOptions::efficientnet_b0().classes(10);
    /// options.stages.truncate(3);
    /// let net = EfficientNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &EfficientNetOptions) -> Result<EfficientNet> {
        let EfficientNetOptions { stem, stages, last, norm, stochastic_depth, dropout, classes, channels } = options;
        let plain = ConvNormActivationOptions::default().norm(*norm).activation(Activation::Silu);
        let mut width = *stem;
        let mut features = Sequential::new(&scope.at("features"))
            .make(|s| ConvNormActivation::new(s, *channels, width, &plain.stride(2)))?;
        let total: usize = stages.iter().map(|stage| stage.blocks).sum();
        let mut number = 0usize;
        for stage in stages {
            features = features.make(|s| {
                (0..stage.blocks).try_fold(Sequential::new(s), |layers, block| {
                    let stride = if block == 0 { stage.stride } else { 1 };
                    let p = stochastic_depth * number as f64 / total as f64;
                    let layers = if stage.fused {
                        layers.make(|s| fused_block(s, width, stage, stride, *norm, p))
                    } else {
                        layers.make(|s| inverted(s, width, stage, stride, *norm, p))
                    };
                    width = stage.channels;
                    number += 1;
                    layers
                })
            })?;
        }
        let features = features.make(|s| ConvNormActivation::new(s, width, *last, &plain.kernel_size(1)))?;
        let classifier = Sequential::new(&scope.at("classifier"))
            .push(Dropout::new(*dropout))
            .make(|s| Linear::new(s, *last, *classes))?;
        let net = EfficientNet { features, classifier };
        let bound = 1.0 / (*classes as f64).sqrt();
        initial::draw(&net, initial::kaiming_fan_out, |weight| init::uniform(weight, -bound, bound))?;
        Ok(net)
    }
}

impl Backbone for EfficientNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for EfficientNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

fn inverted(
    scope: &Scope,
    inputs: usize,
    stage: &EfficientNetStage,
    stride: usize,
    norm: BatchNormLayerOptions,
    stochastic_depth: f64,
) -> Result<InvertedResidual> {
    let options = InvertedResidualOptions::default()
        .kernel_size(stage.kernel_size)
        .stride(stride)
        .squeezed((inputs / 4).max(1))
        .activation(Activation::Silu)
        .squeeze_activations([Activation::Silu, Activation::Sigmoid])
        .norm(norm)
        .stochastic_depth(stochastic_depth);
    InvertedResidual::new(scope, inputs, inputs * stage.expansion, stage.channels, &options)
}

/// A convolution to the expanded channels and one of 1 x 1 back, or one convolution where nothing is expanded.
fn fused_block(
    scope: &Scope,
    inputs: usize,
    stage: &EfficientNetStage,
    stride: usize,
    norm: BatchNormLayerOptions,
    stochastic_depth: f64,
) -> Result<Shortcut> {
    let &EfficientNetStage { expansion, kernel_size, channels, .. } = stage;
    let expanded = inputs * expansion;
    let options = ConvNormActivationOptions::default().norm(norm).activation(Activation::Silu);
    let wide = options.kernel_size(kernel_size).stride(stride);
    let layers = Sequential::new(&scope.at("block"));
    let layers = if expansion == 1 {
        layers.make(|s| ConvNormActivation::new(s, inputs, channels, &wide))?
    } else {
        layers
            .make(|s| ConvNormActivation::new(s, inputs, expanded, &wide))?
            .make(|s| ConvNormActivation::new(s, expanded, channels, &options.kernel_size(1).activation(None)))?
    };
    let has_shortcut = stride == 1 && inputs == channels;
    let depth = StochasticDepth::new(stochastic_depth, StochasticDepthMode::Row)?;
    Ok(Shortcut { name: "block", layers, has_shortcut, stochastic_depth: has_shortcut.then_some(depth) })
}
