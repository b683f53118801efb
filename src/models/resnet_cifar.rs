//! The residual networks for CIFAR's images of He et al. ("Deep Residual Learning for Image Recognition", 2015, and "Identity
//! Mappings in Deep Residual Networks", 2016).

use super::layers::{convolution, norm};
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, BatchNorm2d, Conv2d, Linear, Module, Scope, Sequential};
use crate::ops::{Conv2dOptions, PadMode};
use crate::options::options;

options! {
    /// Options of a [`CifarResNet`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    CifarResNetOptions {
        /// Layers in all: 20, 32, 44, 56, 110, or any other that is 2 and a multiple of 6.
        depth: usize = 20,
        /// Norms and ReLUs before the convolutions instead of behind them, and none behind the sum.
        pre_activation: bool = false,
        /// Logits.
        classes: usize = 10,
        /// Channels of the images.
        channels: usize = 3,
    }
}

/// Networks of the papers' depths.
macro_rules! depths {
    ($($name:ident: $depth:literal, $pre_activation:literal;)*) => {
        impl CifarResNetOptions {
            $(
                #[doc = concat!("Of ", $depth, " layers.")]
                pub fn $name() -> CifarResNetOptions {
                    CifarResNetOptions::default().depth($depth).pre_activation($pre_activation)
                }
            )*
        }
    };
}

depths! {
    resnet20: 20, false;
    resnet32: 32, false;
    resnet44: 44, false;
    resnet56: 56, false;
    resnet110: 110, false;
    preact_resnet20: 20, true;
    preact_resnet56: 56, true;
    preact_resnet110: 110, true;
}

/// A residual network for images of about 32 x 32: `[N, channels, H, W] -> [N, classes]` logits.
///
/// | layer | channels | size |
/// |---|---|---|
/// | `conv1`: 3 x 3 | 16 | `H` |
/// | `layer1`, `layer2`, `layer3`: `(depth - 2) / 6` blocks of two convolutions each | 16, 32, 64 | `H`, `H / 2`, `H / 4` |
/// | the mean of each channel; `fc` | `classes` | |
///
/// Shortcuts have no parameters: where the size is halved they leave out every second position, and zeros are their further
/// channels. Of 20 layers it has 269,722 parameters for 10 classes, of 110 1,727,962.
pub struct CifarResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layer1: Sequential,
    layer2: Sequential,
    layer3: Sequential,
    fc: Linear,
    pre_activation: bool,
}

impl CifarResNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `depth` is not 2 and a multiple of 6.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{CifarResNet, CifarResNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = CifarResNet::new(&Scope::new(&device), &CifarResNetOptions::default().depth(8))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 8, 8])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &CifarResNetOptions) -> Result<CifarResNet> {
        let CifarResNetOptions { depth, pre_activation, classes, channels } = *options;
        if depth < 8 || depth % 6 != 2 {
            let rule = format!("depth is {depth}; it must be 2 and a multiple of 6, such as 20 or 56");
            return Err(Error::invalid("CifarResNet", rule));
        }
        let layer = |name: &str, inputs: usize, outputs: usize| {
            let first = Sequential::new(&scope.at(name)).make(|s| Block::new(s, inputs, outputs, pre_activation))?;
            (1..(depth - 2) / 6)
                .try_fold(first, |layer, _| layer.make(|s| Block::new(s, outputs, outputs, pre_activation)))
        };
        let net = CifarResNet {
            conv1: convolution(&scope.at("conv1"), channels, 16, 3, Conv2dOptions::default())?,
            bn1: norm(&scope.at("bn1"), if pre_activation { 64 } else { 16 })?,
            layer1: layer("layer1", 16, 16)?,
            layer2: layer("layer2", 16, 32)?,
            layer3: layer("layer3", 32, 64)?,
            fc: Linear::new(&scope.at("fc"), 64, classes)?,
            pre_activation,
        };
        initial::draw_weights(&net, initial::kaiming_fan_out, initial::kept)?;
        Ok(net)
    }
}

impl Backbone for CifarResNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        let normed = |x: &Tensor| self.bn1.forward(x)?.relu();
        let stem = self.conv1.forward(input)?;
        let stem = if self.pre_activation { stem } else { normed(&stem)? };
        let layers = [&self.layer1, &self.layer2, &self.layer3];
        let x = layers.into_iter().try_fold(stem, |x, layer| layer.forward(&x))?;
        if self.pre_activation { normed(&x) } else { Ok(x) }
    }
}

impl Module for CifarResNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, layer1, layer2, layer3, fc]
    }
}

/// Two convolutions of 3 x 3, of which the first halves the size where channels are added.
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    added_channels: usize,
    pre_activation: bool,
}

impl Block {
    fn new(scope: &Scope, inputs: usize, outputs: usize, pre_activation: bool) -> Result<Block> {
        let stride = if inputs == outputs { 1 } else { 2 };
        let plain = Conv2dOptions::default();
        Ok(Block {
            conv1: convolution(&scope.at("conv1"), inputs, outputs, 3, plain.stride(stride))?,
            bn1: norm(&scope.at("bn1"), if pre_activation { inputs } else { outputs })?,
            conv2: convolution(&scope.at("conv2"), outputs, outputs, 3, plain)?,
            bn2: norm(&scope.at("bn2"), outputs)?,
            added_channels: outputs - inputs,
            pre_activation,
        })
    }

    fn shortcut(&self, input: &Tensor) -> Result<Tensor> {
        if self.added_channels == 0 {
            return Ok(input.clone());
        }
        let [height, width] = [input.shape()[2] as isize, input.shape()[3] as isize];
        let halved = input.slice(2, 0, height, 2)?.slice(3, 0, width, 2)?;
        let (before, after) = (self.added_channels / 2, self.added_channels.div_ceil(2));
        halved.pad(&[0, 0, 0, 0, before as isize, after as isize], PadMode::Constant(0.0))
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let shortcut = self.shortcut(input)?;
        if self.pre_activation {
            let x = self.conv1.forward(&self.bn1.forward(input)?.relu()?)?;
            return self.conv2.forward(&self.bn2.forward(&x)?.relu()?)?.add(&shortcut);
        }
        let x = self.bn1.forward(&self.conv1.forward(input)?)?.relu()?;
        self.bn2.forward(&self.conv2.forward(&x)?)?.add(&shortcut)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, conv2, bn2]
    }
}
