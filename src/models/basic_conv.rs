//! Inception's networks share a convolution and a change of their images' normalization.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Module, Scope};
use crate::ops::Conv2dOptions;
use crate::options::As;

/// A convolution without a bias, its batch normalization and ReLU: torchvision's `BasicConv2d`.
pub(super) struct BasicConv2d {
    conv: Conv2d,
    bn: BatchNorm2d,
}

impl BasicConv2d {
    pub fn new(
        scope: &Scope,
        inputs: usize,
        outputs: usize,
        size: impl As<[usize; 2]>,
        options: &Conv2dOptions,
    ) -> Result<BasicConv2d> {
        let norm = BatchNormLayerOptions::default().eps(1e-3);
        Ok(BasicConv2d {
            conv: Conv2d::without_bias(&scope.at("conv"), inputs, outputs, size, options)?,
            bn: BatchNorm2d::new(&scope.at("bn"), outputs, &norm)?,
        })
    }

    /// One that keeps the size.
    pub fn same(scope: &Scope, inputs: usize, outputs: usize, size: impl As<[usize; 2]>) -> Result<BasicConv2d> {
        let size = size.convert();
        BasicConv2d::new(scope, inputs, outputs, size, &Conv2dOptions::default().padding(size.map(|size| size / 2)))
    }

    /// One of 3 x 3 and stride 2 without padding.
    pub fn halving(scope: &Scope, inputs: usize, outputs: usize) -> Result<BasicConv2d> {
        BasicConv2d::new(scope, inputs, outputs, 3, &Conv2dOptions::default().stride(2))
    }
}

impl Module for BasicConv2d {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.bn.forward(&self.conv.forward(input)?)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, bn]
    }
}

/// Images normalized by ImageNet's means and deviations, normalized by 0.5 and 0.5 instead: torchvision's `transform_input`.
pub(super) fn transform_input(images: &Tensor) -> Result<Tensor> {
    let (means, deviations) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let scale = Tensor::from_f64(images.device(), &deviations.map(|deviation: f64| deviation / 0.5), &[3, 1, 1])?;
    let shift = Tensor::from_f64(images.device(), &means.map(|mean: f64| (mean - 0.5) / 0.5), &[3, 1, 1])?;
    images.mul(&scale)?.add(&shift)
}
