//! Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2015). The names of the parameters
//! are torchvision's.

use crate::error::Result;
use crate::graph::Tensor;
use crate::models::window::Window;
use crate::nn::{self, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, Scope, Sequential};
use crate::ops::MaxPool2dOptions;

/// ResNet-18: `[N, 3, H, W] -> [N, classes]` logits.
///
/// | layer | channels | size |
/// |---|---|---|
/// | `conv1`, `bn1`; ReLU | 64 | `H`; for ImageNet `H / 4`, after max pooling 3 x 3 |
/// | `layer1`, two blocks | 64 | the same |
/// | `layer2`, `layer3`, `layer4`, two blocks each | 128, 256, 512 | half the size, each |
/// | the mean of each channel; `fc` | `classes` | |
///
/// A block is two convolutions of 3 x 3, each followed by batch normalization, with its input added before the second
/// ReLU; where channels or size change, the input goes through a 1 x 1 convolution (`downsample`).
pub struct ResNet18 {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    maxpool: Option<MaxPool2d>,
    layer1: Sequential,
    layer2: Sequential,
    layer3: Sequential,
    layer4: Sequential,
    fc: Linear,
}

impl ResNet18 {
    /// For images of about 32 x 32: the stem is 3 x 3 and keeps the size. 11,173,962 parameters for 10 classes.
    ///
    /// # Errors
    /// Errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::ResNet18, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = ResNet18::cifar(&Scope::new(&device), 10)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 8, 8])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn cifar(scope: &Scope, classes: usize) -> Result<ResNet18> {
        ResNet18::small(scope, 3, classes)
    }

    /// For images of about 224 x 224, as torchvision's: the stem is 7 x 7 and quarters the size together with max
    /// pooling. 11,689,512 parameters for 1,000 classes.
    ///
    /// # Errors
    /// As [`cifar`](ResNet18::cifar).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::ResNet18, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = ResNet18::imagenet(&Scope::new(&device), 1000)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 1000]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn imagenet(scope: &Scope, classes: usize) -> Result<ResNet18> {
        ResNet18::large(scope, 3, classes)
    }

    /// [`cifar`](ResNet18::cifar) for images of so many channels.
    pub(super) fn small(scope: &Scope, channels: usize, classes: usize) -> Result<ResNet18> {
        let stem = Window { inputs: channels, outputs: 64, size: 3, stride: 1, groups: 1 };
        ResNet18::with_stem(scope, classes, stem, None)
    }

    /// [`imagenet`](ResNet18::imagenet) for images of so many channels.
    pub(super) fn large(scope: &Scope, channels: usize, classes: usize) -> Result<ResNet18> {
        let stem = Window { inputs: channels, outputs: 64, size: 7, stride: 2, groups: 1 };
        let options = MaxPool2dOptions::default().stride(2).padding(1);
        ResNet18::with_stem(scope, classes, stem, Some(MaxPool2d { kernel_size: [3, 3], options }))
    }

    /// Lets each block start as its shortcut, by zeros in the weight of its last norm (torchvision's `zero_init_residual`;
    /// Goyal et al., 2017). Deep networks train faster so at first.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn zero_init_residual(&self) -> Result<()> {
        self.parameters().iter().filter(|p| p.name().ends_with("bn2.weight")).try_for_each(nn::init::zeros)
    }

    fn with_stem(scope: &Scope, classes: usize, stem: Window, maxpool: Option<MaxPool2d>) -> Result<ResNet18> {
        let layer = |name: &str, inputs, outputs, stride| {
            Sequential::new(&scope.at(name))
                .make(|s| BasicBlock::new(s, inputs, outputs, stride))?
                .make(|s| BasicBlock::new(s, outputs, outputs, 1))
        };
        Ok(ResNet18 {
            conv1: stem.convolution(&scope.at("conv1"))?,
            bn1: stem.normalization(&scope.at("bn1"))?,
            maxpool,
            layer1: layer("layer1", 64, 64, 1)?,
            layer2: layer("layer2", 64, 128, 2)?,
            layer3: layer("layer3", 128, 256, 2)?,
            layer4: layer("layer4", 256, 512, 2)?,
            fc: Linear::new(&scope.at("fc"), 512, classes)?,
        })
    }
}

impl Module for ResNet18 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let mut x = self.bn1.forward(&self.conv1.forward(input)?)?.relu()?;
        if let Some(maxpool) = &self.maxpool {
            x = maxpool.forward(&x)?;
        }
        for layer in [&self.layer1, &self.layer2, &self.layer3, &self.layer4] {
            x = layer.forward(&x)?;
        }
        self.fc.forward(&x.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, maxpool, layer1, layer2, layer3, layer4, fc]
    }
}

/// `relu(bn2(conv2(relu(bn1(conv1(x))))) + x)`, with `downsample(x)` for `x` where the shape changes.
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential>,
}

impl BasicBlock {
    fn new(scope: &Scope, inputs: usize, outputs: usize, stride: usize) -> Result<BasicBlock> {
        let first = Window { inputs, outputs, size: 3, stride, groups: 1 };
        let second = Window { inputs: outputs, stride: 1, ..first };
        let shortcut = Window { size: 1, ..first };
        Ok(BasicBlock {
            conv1: first.convolution(&scope.at("conv1"))?,
            bn1: first.normalization(&scope.at("bn1"))?,
            conv2: second.convolution(&scope.at("conv2"))?,
            bn2: second.normalization(&scope.at("bn2"))?,
            downsample: match (inputs, stride) == (outputs, 1) {
                true => None,
                false => Some(
                    Sequential::new(&scope.at("downsample"))
                        .make(|s| shortcut.convolution(s))?
                        .make(|s| shortcut.normalization(s))?,
                ),
            },
        })
    }
}

impl Module for BasicBlock {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.bn1.forward(&self.conv1.forward(input)?)?.relu()?;
        let x = self.bn2.forward(&self.conv2.forward(&x)?)?;
        match &self.downsample {
            Some(downsample) => (x + downsample.forward(input)?)?.relu(),
            None => (x + input)?.relu(),
        }
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, conv2, bn2, downsample]
    }
}
