//! What most networks since 2015 are made of.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Module, Scope};
use crate::ops::{Conv2dOptions, Padding};

/// A square convolution without a bias, padded by half its size, and the batch normalization that shifts instead.
#[derive(Clone, Debug)]
pub(super) struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

/// Numbers of channels, size of the window, stride and groups of a [`ConvNorm`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub inputs: usize,
    pub outputs: usize,
    pub size: usize,
    pub stride: usize,
    pub groups: usize,
}

impl ConvNorm {
    /// The two layers, which networks name in different ways.
    pub fn new(conv: &Scope, norm: &Scope, window: Window) -> Result<ConvNorm> {
        let Window { inputs, outputs, size, stride, groups } = window;
        let padding = Padding::Explicit([size / 2; 2]);
        let options = Conv2dOptions { stride: [stride; 2], padding, groups, ..Conv2dOptions::default() };
        Ok(ConvNorm {
            conv: Conv2d::without_bias(conv, inputs, outputs, [size; 2], &options)?,
            norm: BatchNorm2d::new(norm, outputs, &BatchNormLayerOptions::default())?,
        })
    }
}

impl Module for ConvNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(input)?)
    }
    fn children(&self) -> Vec<&dyn Module> {
        vec![&self.conv, &self.norm]
    }
}
