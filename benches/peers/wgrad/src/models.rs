//! The networks of the training steps that the crate lacks.

use wgrad::nn::{
    self, AdaptiveAvgPool2d, BatchNorm2d, BatchNormLayerOptions, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu,
    Scope, Sequential,
};
use wgrad::{Conv2dOptions, Padding, Result, Tensor};

/// Convolutions 32, 32, pool, 64, 64, pool, then 512 and 10.
pub fn cifar_cnn(scope: &Scope) -> Result<Sequential> {
    let options = Conv2dOptions::default().padding(1);
    let conv = |scope: &Scope, inputs, outputs| Conv2d::new(scope, inputs, outputs, [3, 3], &options);
    Sequential::new(&scope.at("cifar_cnn"))
        .make(|s| conv(s, 3, 32))?
        .push(Relu)
        .make(|s| conv(s, 32, 32))?
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .make(|s| conv(s, 32, 64))?
        .push(Relu)
        .make(|s| conv(s, 64, 64))?
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Flatten)
        .make(|s| Linear::new(s, 64 * 8 * 8, 512))?
        .push(Relu)
        .make(|s| Linear::new(s, 512, 10))
}

/// ResNet-18 for CIFAR: a 3x3 convolution first and no pooling after it.
pub fn resnet18(scope: &Scope) -> Result<Sequential> {
    let mut network = Sequential::new(&scope.at("resnet18")).make(|s| conv_bn(s, 3, 64, 3, 1))?.push(Relu);
    let stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)];
    for (inputs, outputs, stride) in stages.into_iter().chain([(512, 512, 1)]) {
        network = network.make(|s| BasicBlock::new(s, inputs, outputs, stride))?.push(Relu);
    }
    network.push(AdaptiveAvgPool2d::new([1, 1])).push(Flatten).make(|s| Linear::new(s, 512, 10))
}

/// A convolution without bias and the batch normalization after it.
fn conv_bn(scope: &Scope, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Result<Sequential> {
    let options = Conv2dOptions::default().stride([stride, stride]).padding([kernel / 2, kernel / 2]);
    Sequential::new(scope)
        .make(|s| Conv2d::without_bias(s, inputs, outputs, [kernel, kernel], &options))?
        .make(|s| BatchNorm2d::new(s, outputs, &BatchNormLayerOptions::default()))
}

/// Two 3x3 convolutions, whose input is added to their output.
struct BasicBlock {
    residual: Sequential,
    /// The path of the input if the block changes its shape.
    shortcut: Option<Sequential>,
}

impl BasicBlock {
    fn new(scope: &Scope, inputs: usize, outputs: usize, stride: usize) -> Result<BasicBlock> {
        let residual = Sequential::new(&scope.at("residual"))
            .make(|s| conv_bn(s, inputs, outputs, 3, stride))?
            .push(Relu)
            .make(|s| conv_bn(s, outputs, outputs, 3, 1))?;
        let shortcut = || conv_bn(&scope.at("shortcut"), inputs, outputs, 1, stride);
        Ok(BasicBlock { residual, shortcut: (inputs != outputs).then(shortcut).transpose()? })
    }
}

impl Module for BasicBlock {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.residual.forward(input)?;
        match &self.shortcut {
            Some(shortcut) => output.add(&shortcut.forward(input)?),
            None => output.add(input),
        }
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; residual, shortcut]
    }
}
