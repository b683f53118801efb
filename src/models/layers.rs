//! Layers of most networks since 2015.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::blocks::StochasticDepth;
use crate::nn::{BatchNorm2d, BatchNormLayerOptions, Children, Conv2d, Module, Relu, Scope, Sequential};
use crate::ops::Conv2dOptions;

/// A convolution without a bias that keeps the size at stride 1.
pub(super) fn convolution(
    scope: &Scope,
    inputs: usize,
    outputs: usize,
    size: usize,
    options: Conv2dOptions,
) -> Result<Conv2d> {
    let padding = size / 2 * options.dilation[0];
    Conv2d::without_bias(scope, inputs, outputs, size, &options.padding(padding))
}

pub(super) fn norm(scope: &Scope, channels: usize) -> Result<BatchNorm2d> {
    BatchNorm2d::new(scope, channels, &BatchNormLayerOptions::default())
}

/// Three more layers: a [`convolution`], its batch normalization, ReLU.
pub(super) fn conv_norm_relu(
    layers: Sequential,
    inputs: usize,
    outputs: usize,
    size: usize,
    options: Conv2dOptions,
) -> Result<Sequential> {
    let layers = layers.make(|s| convolution(s, inputs, outputs, size, options))?;
    Ok(layers.make(|s| norm(s, outputs))?.push(Relu))
}

/// Layers whose input is added to their result where `has_shortcut`, behind stochastic depth where there is one.
pub(super) struct Shortcut {
    /// The name of the layers.
    pub name: &'static str,
    pub layers: Sequential,
    pub has_shortcut: bool,
    pub stochastic_depth: Option<StochasticDepth>,
}

impl Module for Shortcut {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.layers.forward(input)?;
        match &self.stochastic_depth {
            _ if !self.has_shortcut => Ok(output),
            Some(stochastic_depth) => stochastic_depth.forward(&output)?.add(input),
            None => output.add(input),
        }
    }
    fn children(&self) -> Children<'_> {
        let layers = (self.name.to_string(), &self.layers as &dyn Module);
        let depth = self.stochastic_depth.as_ref().map(|depth| ("stochastic_depth".to_string(), depth as &dyn Module));
        std::iter::once(layers).chain(depth).collect()
    }
}
