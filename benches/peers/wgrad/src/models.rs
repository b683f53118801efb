//! The networks of the training steps that are not in the crate.

use wgrad::nn::{
    AdaptiveAvgPool2d, BatchNorm2d, BatchNormLayerOptions, Conv2d, Flatten, Linear, MaxPool2d, Module, Relu, Scope,
    Sequential,
};
use wgrad::{Conv2dOptions, Padding, Result, Tensor};

/// Convolutions 32, 32, pool, 64, 64, pool, then 512 and 10.
pub fn cifar_cnn(scope: &Scope) -> Result<Sequential> {
    let options = Conv2dOptions { padding: Padding::Explicit([1, 1]), ..Conv2dOptions::default() };
    let conv = |name, inputs, outputs| Conv2d::new(&scope.at("cifar_cnn").at(name), inputs, outputs, [3, 3], &options);
    Ok(Sequential::new()
        .push(conv("conv1", 3, 32)?)
        .push(Relu)
        .push(conv("conv2", 32, 32)?)
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(conv("conv3", 32, 64)?)
        .push(Relu)
        .push(conv("conv4", 64, 64)?)
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Flatten)
        .push(Linear::new(&scope.at("cifar_cnn").at("fc1"), 64 * 8 * 8, 512)?)
        .push(Relu)
        .push(Linear::new(&scope.at("cifar_cnn").at("fc2"), 512, 10)?))
}

/// ResNet-18 for CIFAR: a 3x3 convolution first and no pooling after it.
pub fn resnet18(scope: &Scope) -> Result<Sequential> {
    let scope = scope.at("resnet18");
    let mut network = Sequential::new().push(conv_bn(&scope.at("stem"), 3, 64, 3, 1)?).push(Relu);
    let stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)];
    for (at, (inputs, outputs, stride)) in stages.into_iter().chain([(512, 512, 1)]).enumerate() {
        network = network.push(BasicBlock::new(&scope.at(at), inputs, outputs, stride)?).push(Relu);
    }
    Ok(network.push(AdaptiveAvgPool2d::new([1, 1])).push(Flatten).push(Linear::new(&scope.at("fc"), 512, 10)?))
}

/// A convolution without bias and the batch normalization after it.
fn conv_bn(scope: &Scope, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Result<Sequential> {
    let options = Conv2dOptions {
        stride: [stride, stride],
        padding: Padding::Explicit([kernel / 2, kernel / 2]),
        ..Conv2dOptions::default()
    };
    Ok(Sequential::new()
        .push(Conv2d::without_bias(&scope.at("conv"), inputs, outputs, [kernel, kernel], &options)?)
        .push(BatchNorm2d::new(&scope.at("bn"), outputs, &BatchNormLayerOptions::default())?))
}

/// Two 3x3 convolutions round which the input is added.
struct BasicBlock {
    residual: Sequential,
    /// What the input goes through where the block changes its shape.
    shortcut: Sequential,
}

impl BasicBlock {
    fn new(scope: &Scope, inputs: usize, outputs: usize, stride: usize) -> Result<BasicBlock> {
        let residual = Sequential::new()
            .push(conv_bn(&scope.at(1), inputs, outputs, 3, stride)?)
            .push(Relu)
            .push(conv_bn(&scope.at(2), outputs, outputs, 3, 1)?);
        let mut shortcut = Sequential::new();
        if inputs != outputs {
            shortcut = shortcut.push(conv_bn(&scope.at("shortcut"), inputs, outputs, 1, stride)?);
        }
        Ok(BasicBlock { residual, shortcut })
    }
}

impl Module for BasicBlock {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.residual.forward(input)?.add(&self.shortcut.forward(input)?)
    }
    fn children(&self) -> Vec<&dyn Module> {
        vec![&self.residual, &self.shortcut]
    }
}
