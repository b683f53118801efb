//! Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2015). The names of the parameters
//! are torchvision's.

use crate::error::Result;
use crate::graph::Tensor;
use crate::models::conv_norm::{ConvNorm, Window};
use crate::nn::{Linear, MaxPool2d, Module, Scope, Sequential};
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
    stem: ConvNorm,
    pool: Option<MaxPool2d>,
    layers: Vec<Sequential>,
    fc: Linear,
}

impl ResNet18 {
    /// For images of about 32 x 32: the stem is 3 x 3 and keeps the size. 11,173,962 parameters for 10 classes.
    ///
    /// # Errors
    /// What the device meets on the way.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::ResNet18, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = ResNet18::cifar(&Scope::new(&device), 10)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 8, 8])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn cifar(scope: &Scope, classes: usize) -> Result<ResNet18> {
        let stem = Window { inputs: 3, outputs: 64, size: 3, stride: 1, groups: 1 };
        ResNet18::with_stem(scope, classes, stem, None)
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
        let stem = Window { inputs: 3, outputs: 64, size: 7, stride: 2, groups: 1 };
        let options = MaxPool2dOptions { stride: Some([2, 2]), padding: [1, 1], ..MaxPool2dOptions::default() };
        ResNet18::with_stem(scope, classes, stem, Some(MaxPool2d { kernel_size: [3, 3], options }))
    }

    fn with_stem(scope: &Scope, classes: usize, stem: Window, pool: Option<MaxPool2d>) -> Result<ResNet18> {
        let mut layers = Vec::new();
        let mut inputs = stem.outputs;
        for (i, (outputs, stride)) in [(64, 1), (128, 2), (256, 2), (512, 2)].into_iter().enumerate() {
            let layer = scope.at(format!("layer{}", i + 1));
            layers.push(
                Sequential::new().push(BasicBlock::new(&layer.at(0), inputs, outputs, stride)?).push(BasicBlock::new(
                    &layer.at(1),
                    outputs,
                    outputs,
                    1,
                )?),
            );
            inputs = outputs;
        }
        Ok(ResNet18 {
            stem: ConvNorm::new(&scope.at("conv1"), &scope.at("bn1"), stem)?,
            pool,
            layers,
            fc: Linear::new(&scope.at("fc"), inputs, classes)?,
        })
    }
}

impl Module for ResNet18 {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.forward(input)?.relu()?;
        if let Some(pool) = &self.pool {
            x = pool.forward(&x)?;
        }
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.fc.forward(&x.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> Vec<&dyn Module> {
        let layers = self.layers.iter().map(|layer| layer as &dyn Module);
        std::iter::once(&self.stem as &dyn Module).chain(layers).chain([&self.fc as &dyn Module]).collect()
    }
}

/// `relu(bn2(conv2(relu(bn1(conv1(x))))) + x)`, with `downsample(x)` for `x` where the shape changes.
struct BasicBlock {
    first: ConvNorm,
    second: ConvNorm,
    downsample: Option<ConvNorm>,
}

impl BasicBlock {
    fn new(scope: &Scope, inputs: usize, outputs: usize, stride: usize) -> Result<BasicBlock> {
        let first = Window { inputs, outputs, size: 3, stride, groups: 1 };
        let second = Window { inputs: outputs, stride: 1, ..first };
        let downsample = scope.at("downsample");
        Ok(BasicBlock {
            first: ConvNorm::new(&scope.at("conv1"), &scope.at("bn1"), first)?,
            second: ConvNorm::new(&scope.at("conv2"), &scope.at("bn2"), second)?,
            downsample: match (inputs, stride) == (outputs, 1) {
                true => None,
                false => Some(ConvNorm::new(&downsample.at(0), &downsample.at(1), Window { size: 1, ..first })?),
            },
        })
    }
}

impl Module for BasicBlock {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.second.forward(&self.first.forward(input)?.relu()?)?;
        match &self.downsample {
            Some(downsample) => x.add(&downsample.forward(input)?)?.relu(),
            None => x.add(input)?.relu(),
        }
    }
    fn children(&self) -> Vec<&dyn Module> {
        let convolutions: [&dyn Module; 2] = [&self.first, &self.second];
        convolutions.into_iter().chain(self.downsample.as_ref().map(|layer| layer as &dyn Module)).collect()
    }
}
