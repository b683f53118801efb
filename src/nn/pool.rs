//! Pooling layers.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::ops::{AvgPool2dOptions, MaxPool2dOptions};

/// The largest value of each window: `[N, C, H, W] -> [N, C, H', W']` (see [`Tensor::max_pool2d`]).
#[derive(Clone, Debug)]
pub struct MaxPool2d {
    /// Height and width of the window.
    pub kernel_size: [usize; 2],
    /// Stride (the window's size where it is left out), padding, dilation, rounding.
    pub options: MaxPool2dOptions,
}

impl MaxPool2d {
    /// Windows side by side.
    pub fn new(kernel_size: [usize; 2]) -> MaxPool2d {
        MaxPool2d { kernel_size, options: MaxPool2dOptions::default() }
    }
}

impl Module for MaxPool2d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.max_pool2d(self.kernel_size, &self.options)
    }
}

/// The mean of each window: `[N, C, H, W] -> [N, C, H', W']` (see [`Tensor::avg_pool2d`]).
#[derive(Clone, Debug)]
pub struct AvgPool2d {
    /// Height and width of the window.
    pub kernel_size: [usize; 2],
    /// Stride (the window's size where it is left out), padding, rounding, how the edge counts.
    pub options: AvgPool2dOptions,
}

impl AvgPool2d {
    /// Windows side by side.
    pub fn new(kernel_size: [usize; 2]) -> AvgPool2d {
        AvgPool2d { kernel_size, options: AvgPool2dOptions::default() }
    }
}

impl Module for AvgPool2d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.avg_pool2d(self.kernel_size, &self.options)
    }
}
