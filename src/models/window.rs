//! The pair of layers that most networks since 2015 are made of.

use crate::error::Result;
use crate::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Scope};
use crate::ops::{Conv2dOptions, Padding};

/// Numbers of channels, size of the window, stride and groups of a square convolution that is padded by half its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub inputs: usize,
    pub outputs: usize,
    pub size: usize,
    pub stride: usize,
    pub groups: usize,
}

impl Window {
    /// The convolution, without a bias: the normalization that follows shifts instead.
    pub fn convolution(self, scope: &Scope) -> Result<Conv2d> {
        let Window { inputs, outputs, size, stride, groups } = self;
        let padding = Padding::Explicit([size / 2; 2]);
        let options = Conv2dOptions::default().stride([stride; 2]).padding(padding).groups(groups);
        Conv2d::without_bias(scope, inputs, outputs, [size; 2], &options)
    }

    /// The batch normalization of its outputs.
    pub fn normalization(self, scope: &Scope) -> Result<BatchNorm2d> {
        BatchNorm2d::new(scope, self.outputs, &BatchNormLayerOptions::default())
    }
}
