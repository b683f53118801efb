//! The networks of the training steps.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

/// Images to logits of ten classes.
pub trait Network: Module {
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, padding: usize, bias: bool, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(bias)
        .init(device)
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

fn pool(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([2, 2]))
}

/// LeNet-5 with ReLU and max pooling.
#[derive(Module, Debug)]
pub struct LeNet5 {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet5 {
    pub fn new(device: &Device) -> LeNet5 {
        LeNet5 {
            conv1: conv([1, 6], 5, 1, 2, true, device),
            conv2: conv([6, 16], 5, 1, 0, true, device),
            fc1: linear(400, 120, device),
            fc2: linear(120, 84, device),
            fc3: linear(84, 10, device),
        }
    }
}

impl Network for LeNet5 {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = pool(relu(self.conv1.forward(images)));
        let x = pool(relu(self.conv2.forward(x))).flatten(1, 3);
        let x = relu(self.fc1.forward(x));
        self.fc3.forward(relu(self.fc2.forward(x)))
    }
}

/// Convolutions 32, 32, pool, 64, 64, pool, then 512 and 10.
#[derive(Module, Debug)]
pub struct CifarCnn {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    conv4: Conv2d,
    fc1: Linear,
    fc2: Linear,
}

impl CifarCnn {
    pub fn new(device: &Device) -> CifarCnn {
        CifarCnn {
            conv1: conv([3, 32], 3, 1, 1, true, device),
            conv2: conv([32, 32], 3, 1, 1, true, device),
            conv3: conv([32, 64], 3, 1, 1, true, device),
            conv4: conv([64, 64], 3, 1, 1, true, device),
            fc1: linear(64 * 8 * 8, 512, device),
            fc2: linear(512, 10, device),
        }
    }
}

impl Network for CifarCnn {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.conv1.forward(images));
        let x = pool(relu(self.conv2.forward(x)));
        let x = relu(self.conv3.forward(x));
        let x = pool(relu(self.conv4.forward(x))).flatten(1, 3);
        self.fc2.forward(relu(self.fc1.forward(x)))
    }
}

/// ResNet-18 for CIFAR: a 3x3 convolution first and no pooling after it.
#[derive(Module, Debug)]
pub struct ResNet18 {
    conv1: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<BasicBlock>,
    pool: AdaptiveAvgPool2d,
    fc: Linear,
}

impl ResNet18 {
    pub fn new(device: &Device) -> ResNet18 {
        let stages =
            [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)];
        let stages = stages.into_iter().chain([(512, 512, 1)]);
        ResNet18 {
            conv1: conv([3, 64], 3, 1, 1, false, device),
            bn1: BatchNormConfig::new(64).init(device),
            blocks: stages.map(|(inputs, outputs, stride)| BasicBlock::new(inputs, outputs, stride, device)).collect(),
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: linear(512, 10, device),
        }
    }
}

impl Network for ResNet18 {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.bn1.forward(self.conv1.forward(images)));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.fc.forward(self.pool.forward(x).flatten(1, 3))
    }
}

#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    shortcut: Option<Shortcut>,
}

/// The path of the input if the block changes its shape.
#[derive(Module, Debug)]
struct Shortcut {
    conv: Conv2d,
    bn: BatchNorm,
}

impl BasicBlock {
    fn new(inputs: usize, outputs: usize, stride: usize, device: &Device) -> BasicBlock {
        let bn = || BatchNormConfig::new(outputs).init(device);
        BasicBlock {
            conv1: conv([inputs, outputs], 3, stride, 1, false, device),
            bn1: bn(),
            conv2: conv([outputs, outputs], 3, 1, 1, false, device),
            bn2: bn(),
            shortcut: (inputs != outputs)
                .then(|| Shortcut { conv: conv([inputs, outputs], 1, stride, 0, false, device), bn: bn() }),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let y = self.bn2.forward(self.conv2.forward(y));
        let x = match &self.shortcut {
            Some(shortcut) => shortcut.bn.forward(shortcut.conv.forward(x)),
            None => x,
        };
        relu(x + y)
    }
}
