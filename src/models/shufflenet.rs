//! ShuffleNetV2 (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018). The names of
//! the parameters are torchvision's.

use super::Backbone;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Linear, MaxPool2d, Module, Relu, Scope, Sequential};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of a [`ShuffleNetV2`]; the default is torchvision's `shufflenet_v2_x1_0`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ShuffleNetV2Options {
        /// Channels of the stem, of the three stages and of the last convolution.
        widths: [usize; 5] = [24, 116, 232, 464, 1024],
        /// Blocks of each stage.
        depths: [usize; 3] = [4, 8, 4],
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

impl ShuffleNetV2Options {
    /// torchvision's `shufflenet_v2_x0_5`: 1,366,792 parameters.
    pub fn shufflenet_v2_x0_5() -> ShuffleNetV2Options {
        ShuffleNetV2Options::default().widths([24, 48, 96, 192, 1024])
    }

    /// torchvision's `shufflenet_v2_x1_0`: 2,278,604 parameters.
    pub fn shufflenet_v2_x1_0() -> ShuffleNetV2Options {
        ShuffleNetV2Options::default()
    }

    /// torchvision's `shufflenet_v2_x1_5`: 3,503,624 parameters.
    pub fn shufflenet_v2_x1_5() -> ShuffleNetV2Options {
        ShuffleNetV2Options::default().widths([24, 176, 352, 704, 1024])
    }

    /// torchvision's `shufflenet_v2_x2_0`: 7,393,996 parameters.
    pub fn shufflenet_v2_x2_0() -> ShuffleNetV2Options {
        ShuffleNetV2Options::default().widths([24, 244, 488, 976, 2048])
    }
}

/// ShuffleNetV2: `[N, channels, H, W] -> [N, classes]` logits.
///
/// A block convolves half of its channels, and shuffles the halves into each other; `conv1` and pooling quarter the size, and
/// each of `stage2` to `stage4` halves it.
pub struct ShuffleNetV2 {
    conv1: Sequential,
    maxpool: MaxPool2d,
    stage2: Sequential,
    stage3: Sequential,
    stage4: Sequential,
    conv5: Sequential,
    fc: Linear,
}

impl ShuffleNetV2 {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a stage has an odd number of channels, or no blocks.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{ShuffleNetV2, ShuffleNetV2Options}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = ShuffleNetV2Options::shufflenet_v2_x0_5().classes(10);
    /// let net = ShuffleNetV2::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &ShuffleNetV2Options) -> Result<ShuffleNetV2> {
        let ShuffleNetV2Options { widths, depths, classes, channels } = *options;
        if widths[1..4].iter().any(|width| width % 2 == 1) || depths.contains(&0) {
            let rule =
                format!("stages of {:?} channels and {depths:?} blocks; expected even numbers above 0", &widths[1..4]);
            return Err(Error::invalid("ShuffleNetV2", rule));
        }
        let stage = |name: &str, number: usize| {
            let (inputs, outputs) = (widths[number], widths[number + 1]);
            let first = Sequential::new(&scope.at(name)).make(|s| Block::halving(s, inputs, outputs))?;
            (1..depths[number]).try_fold(first, |stage, _| stage.make(|s| Block::keeping(s, outputs)))
        };
        Ok(ShuffleNetV2 {
            conv1: convolved(Sequential::new(&scope.at("conv1")), channels, widths[0], 3, 2)?,
            maxpool: MaxPool2d { kernel_size: [3; 2], options: MaxPool2dOptions::default().stride(2).padding(1) },
            stage2: stage("stage2", 0)?,
            stage3: stage("stage3", 1)?,
            stage4: stage("stage4", 2)?,
            conv5: convolved(Sequential::new(&scope.at("conv5")), widths[3], widths[4], 1, 1)?,
            fc: Linear::new(&scope.at("fc"), widths[4], classes)?,
        })
    }
}

impl Backbone for ShuffleNetV2 {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        let stem = self.maxpool.forward(&self.conv1.forward(input)?)?;
        let stages = [&self.stage2, &self.stage3, &self.stage4, &self.conv5];
        stages.into_iter().try_fold(stem, |x, stage| stage.forward(&x))
    }
}

impl Module for ShuffleNetV2 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, maxpool, stage2, stage3, stage4, conv5, fc]
    }
}

/// With a convolution, its norm and ReLU.
fn convolved(layers: Sequential, inputs: usize, outputs: usize, size: usize, stride: usize) -> Result<Sequential> {
    let options = Conv2dOptions::default().stride(stride).padding(size / 2);
    let layers = layers.make(|s| Conv2d::without_bias(s, inputs, outputs, size, &options))?;
    Ok(normalized(layers, outputs)?.push(Relu))
}

/// With a convolution of each channel alone, and its norm.
fn depthwise(layers: Sequential, channels: usize, stride: usize) -> Result<Sequential> {
    let options = Conv2dOptions::default().stride(stride).padding(1).groups(channels);
    normalized(layers.make(|s| Conv2d::without_bias(s, channels, channels, 3, &options))?, channels)
}

fn normalized(layers: Sequential, channels: usize) -> Result<Sequential> {
    layers.make(|s| BatchNorm2d::new(s, channels, &BatchNormLayerOptions::default()))
}

/// Two branches side by side, their channels shuffled.
struct Block {
    /// Present where the size is halved; else the first half of the channels stays as it is.
    branch1: Option<Sequential>,
    branch2: Sequential,
}

impl Block {
    fn halving(scope: &Scope, inputs: usize, outputs: usize) -> Result<Block> {
        let half = outputs / 2;
        let branch1 = depthwise(Sequential::new(&scope.at("branch1")), inputs, 2)?;
        Ok(Block {
            branch1: Some(convolved(branch1, inputs, half, 1, 1)?),
            branch2: Block::branch2(scope, inputs, half, 2)?,
        })
    }

    fn keeping(scope: &Scope, channels: usize) -> Result<Block> {
        Ok(Block { branch1: None, branch2: Block::branch2(scope, channels / 2, channels / 2, 1)? })
    }

    fn branch2(scope: &Scope, inputs: usize, outputs: usize, stride: usize) -> Result<Sequential> {
        let first = convolved(Sequential::new(&scope.at("branch2")), inputs, outputs, 1, 1)?;
        convolved(depthwise(first, outputs, stride)?, outputs, outputs, 1, 1)
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let (left, right) = match &self.branch1 {
            Some(branch1) => (branch1.forward(input)?, self.branch2.forward(input)?),
            None => {
                let half = input.shape()[1] / 2;
                (input.narrow(1, 0, half)?, self.branch2.forward(&input.narrow(1, half, half)?)?)
            }
        };
        Tensor::cat(&[&left, &right], 1)?.channel_shuffle(2)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; branch1, branch2]
    }
}
