//! MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018). The names of the parameters
//! are torchvision's.

use super::divisible::make_divisible;
use super::layers::{Shortcut, convolution, norm};
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::blocks::{Activation, ConvNormActivation, ConvNormActivationOptions};
use crate::nn::{self, Dropout, Linear, Module, Scope, Sequential};
use crate::ops::Conv2dOptions;
use crate::options::options;

options! {
    /// Options of a [`MobileNetV2`]; the defaults are those of torchvision's `mobilenet_v2`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    MobileNetV2Options {
        /// Factor of all numbers of channels.
        width_mult: f64 = 1.0,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.2,
    }
}

impl MobileNetV2Options {
    /// torchvision's `mobilenet_v2`.
    pub fn mobilenet_v2() -> MobileNetV2Options {
        MobileNetV2Options::default()
    }
}

/// Expansion, channels, blocks and stride of each stage.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// MobileNetV2: `[N, channels, H, W] -> [N, classes]` logits; 3,504,872 parameters for 1,000 classes at width 1.
///
/// `features` are a convolution of stride 2, inverted residual blocks down to `H / 32`, and a convolution of 1 x 1;
/// `classifier.1` is linear in the means of their channels.
pub struct MobileNetV2 {
    features: Sequential,
    classifier: Sequential,
}

impl MobileNetV2 {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `width_mult` is not a positive number.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{MobileNetV2, MobileNetV2Options}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = MobileNetV2Options::default().width_mult(0.25).classes(10);
    /// let net = MobileNetV2::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &MobileNetV2Options) -> Result<MobileNetV2> {
        let MobileNetV2Options { width_mult, classes, channels, dropout } = *options;
        if !(width_mult.is_finite() && width_mult > 0.0) {
            return Err(Error::invalid("MobileNetV2", format!("width_mult is {width_mult}; it must be above 0")));
        }
        let scaled = |channels: usize| make_divisible(channels as f64 * width_mult, 8);
        let last = make_divisible(1280.0 * width_mult.max(1.0), 8);
        let plain = ConvNormActivationOptions::default().activation(Activation::Relu6);
        let mut width = scaled(32);
        let mut features = Sequential::new(&scope.at("features"))
            .make(|s| ConvNormActivation::new(s, channels, width, &plain.stride(2)))?;
        for (expansion, outputs, blocks, stride) in STAGES {
            let outputs = scaled(outputs);
            for number in 0..blocks {
                let stride = if number == 0 { stride } else { 1 };
                features = features.make(|s| block(s, width, outputs, stride, expansion))?;
                width = outputs;
            }
        }
        let features = features.make(|s| ConvNormActivation::new(s, width, last, &plain.kernel_size(1)))?;
        let classifier = Sequential::new(&scope.at("classifier"))
            .push(Dropout::new(dropout))
            .make(|s| Linear::new(s, last, classes))?;
        let net = MobileNetV2 { features, classifier };
        initial::draw(&net, initial::kaiming_fan_out, initial::normal(0.01))?;
        Ok(net)
    }
}

impl Backbone for MobileNetV2 {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for MobileNetV2 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}

/// An inverted residual block; torchvision's names have no module around its last convolution and norm.
fn block(scope: &Scope, inputs: usize, outputs: usize, stride: usize, expansion: usize) -> Result<Shortcut> {
    let plain = ConvNormActivationOptions::default().activation(Activation::Relu6);
    let expanded = inputs * expansion;
    let mut conv = Sequential::new(&scope.at("conv"));
    if expansion != 1 {
        conv = conv.make(|s| ConvNormActivation::new(s, inputs, expanded, &plain.kernel_size(1)))?;
    }
    let depthwise = plain.stride(stride).groups(expanded);
    let layers = conv
        .make(|s| ConvNormActivation::new(s, expanded, expanded, &depthwise))?
        .make(|s| convolution(s, expanded, outputs, 1, Conv2dOptions::default()))?
        .make(|s| norm(s, outputs))?;
    let has_shortcut = stride == 1 && inputs == outputs;
    Ok(Shortcut { name: "conv", layers, has_shortcut, stochastic_depth: None })
}
