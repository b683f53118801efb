//! MNASNet, the variant B1 (Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2018). The names of
//! the parameters are torchvision's.

use super::divisible::make_divisible;
use super::layers::Shortcut;
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Dropout, Linear, Module, Relu, Scope, Sequential, init,
};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of an [`MnasNet`]; the default is torchvision's `mnasnet1_0`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    MnasNetOptions {
        /// Factor of the numbers of channels.
        alpha: f64 = 1.0,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.2,
    }
}

impl MnasNetOptions {
    /// torchvision's `mnasnet0_5`: 2,218,512 parameters.
    pub fn mnasnet0_5() -> MnasNetOptions {
        MnasNetOptions::default().alpha(0.5)
    }

    /// torchvision's `mnasnet0_75`: 3,170,208 parameters.
    pub fn mnasnet0_75() -> MnasNetOptions {
        MnasNetOptions::default().alpha(0.75)
    }

    /// torchvision's `mnasnet1_0`: 4,383,312 parameters.
    pub fn mnasnet1_0() -> MnasNetOptions {
        MnasNetOptions::default()
    }

    /// torchvision's `mnasnet1_3`: 6,282,256 parameters.
    pub fn mnasnet1_3() -> MnasNetOptions {
        MnasNetOptions::default().alpha(1.3)
    }
}

/// Channels, window, stride, expansion and blocks of each stack.
const STACKS: [(usize, usize, usize, usize, usize); 6] =
    [(24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1)];

/// MNASNet: `[N, channels, H, W] -> [N, classes]` logits.
///
/// `layers` are a convolution of stride 2, a depthwise separable one, stacks of inverted residual blocks down to `H / 32`, and
/// a convolution of 1 x 1 to 1,280 channels; `classifier.1` is linear in their means.
pub struct MnasNet {
    layers: Sequential,
    classifier: Sequential,
}

impl MnasNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `alpha` is not a positive number.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{MnasNet, MnasNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = MnasNet::new(&Scope::new(&device), &MnasNetOptions::mnasnet0_5().classes(10))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &MnasNetOptions) -> Result<MnasNet> {
        let MnasNetOptions { alpha, classes, channels, dropout } = *options;
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(Error::invalid("MnasNet", format!("alpha is {alpha}; it must be above 0")));
        }
        let scaled = |channels: usize| make_divisible(channels as f64 * alpha, 8);
        let stem = scaled(32);
        let mut width = scaled(16);
        let plain = Conv2dOptions::default();
        let layers = Sequential::new(&scope.at("layers"));
        let layers = convolved(layers, [channels, stem], 3, plain.stride(2).padding(1))?.push(Relu);
        let layers = convolved(layers, [stem; 2], 3, plain.padding(1).groups(stem))?.push(Relu);
        let mut layers = convolved(layers, [stem, width], 1, plain)?;
        for (outputs, size, stride, expansion, blocks) in STACKS {
            let outputs = scaled(outputs);
            layers = layers.make(|s| {
                let first = Sequential::new(s).make(|s| block(s, width, outputs, size, stride, expansion))?;
                (1..blocks).try_fold(first, |stack, _| stack.make(|s| block(s, outputs, outputs, size, 1, expansion)))
            })?;
            width = outputs;
        }
        let layers = convolved(layers, [width, 1280], 1, plain)?.push(Relu);
        let classifier = Sequential::new(&scope.at("classifier"))
            .push(Dropout::new(dropout))
            .make(|s| Linear::new(s, 1280, classes))?;
        let net = MnasNet { layers, classifier };
        let sigmoid = |weight: &_| init::kaiming_uniform(weight, init::FanMode::FanOut, init::Nonlinearity::Sigmoid);
        initial::draw(&net, initial::kaiming_fan_out, sigmoid)?;
        Ok(net)
    }
}

impl Backbone for MnasNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.forward(input)
    }
}

impl Module for MnasNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; layers, classifier]
    }
}

/// With a convolution and its norm, whose momentum is that of the paper.
fn convolved(
    layers: Sequential,
    [inputs, outputs]: [usize; 2],
    size: usize,
    options: Conv2dOptions,
) -> Result<Sequential> {
    let norm = BatchNormLayerOptions::default().momentum(1.0 - 0.9997);
    layers
        .make(|s| Conv2d::without_bias(s, inputs, outputs, size, &options))?
        .make(|s| BatchNorm2d::new(s, outputs, &norm))
}

/// An inverted residual block whose layers are numbered in one list.
fn block(
    scope: &Scope,
    inputs: usize,
    outputs: usize,
    size: usize,
    stride: usize,
    expansion: usize,
) -> Result<Shortcut> {
    let (expanded, plain) = (inputs * expansion, Conv2dOptions::default());
    let depthwise = plain.stride(stride).padding(size / 2).groups(expanded);
    let layers = convolved(Sequential::new(&scope.at("layers")), [inputs, expanded], 1, plain)?.push(Relu);
    let layers = convolved(layers, [expanded; 2], size, depthwise)?.push(Relu);
    let layers = convolved(layers, [expanded, outputs], 1, plain)?;
    let has_shortcut = stride == 1 && inputs == outputs;
    Ok(Shortcut { name: "layers", layers, has_shortcut, stochastic_depth: None })
}
