//! Residual networks over clips (Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", 2018). The
//! names of the parameters are torchvision's.

use crate::error::Result;
use crate::graph::Tensor;
use crate::models::{Backbone, initial};
use crate::nn::{self, BatchNorm3d, BatchNormLayerOptions, Conv3d, Linear, Module, Relu, Scope, Sequential};
use crate::ops::Conv3dOptions;
use crate::options::options;

/// The windows of a [`VideoResNet`]'s convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoConvolution {
    /// 3 x 3 x 3, over time and space at once.
    #[default]
    Spatiotemporal,
    /// 1 x 3 x 3, over each frame by itself.
    Spatial,
    /// 1 x 3 x 3 over each frame, normalization, ReLU, and then 3 x 1 x 1 over time. There are as many channels between the
    /// two that both have about as many weights as one of 3 x 3 x 3.
    Factorized,
}

options! {
    /// Options of a [`VideoResNet`]; the default is torchvision's `r3d_18`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    VideoResNetOptions {
        /// The convolutions of the stem, of 7 x 7 in space instead of 3 x 3.
        stem: VideoConvolution = VideoConvolution::Spatiotemporal,
        /// The convolutions of each layer.
        convolutions: [VideoConvolution; 4] = [VideoConvolution::Spatiotemporal; 4],
        /// Blocks of each layer.
        layers: [usize; 4] = [2, 2, 2, 2],
        /// Channels of the stem and of `layer1`; each further layer has twice as many as the one before.
        base_width: usize = 64,
        /// Logits.
        classes: usize = 400,
        /// Channels of the frames.
        channels: usize = 3,
    }
}

impl VideoResNetOptions {
    /// torchvision's `r3d_18`: 33,371,472 parameters.
    pub fn r3d_18() -> VideoResNetOptions {
        VideoResNetOptions::default()
    }

    /// torchvision's `mc3_18`, which looks at time in the stem and `layer1` alone: 11,695,440 parameters.
    pub fn mc3_18() -> VideoResNetOptions {
        let mut convolutions = [VideoConvolution::Spatial; 4];
        convolutions[0] = VideoConvolution::Spatiotemporal;
        VideoResNetOptions::default().convolutions(convolutions)
    }

    /// torchvision's `r2plus1d_18`: 31,505,325 parameters.
    pub fn r2plus1d_18() -> VideoResNetOptions {
        let factorized = VideoConvolution::Factorized;
        VideoResNetOptions::default().stem(factorized).convolutions([factorized; 4])
    }
}

/// A residual network over clips: `[N, channels, T, H, W] -> [N, classes]` logits.
///
/// | layer | channels | frames | size |
/// |---|---|---|---|
/// | `stem` | 64 | `T` | `H / 2` |
/// | `layer1` | 64 | the same | the same |
/// | `layer2`, `layer3`, `layer4` | 128, 256, 512 | half, each, but for [`Spatial`](VideoConvolution::Spatial) | half, each |
/// | the mean of each channel; `fc` | `classes` | | |
///
/// A block is two convolutions, each followed by batch normalization, with its input added before the last ReLU; where
/// channels or size change, the input goes through a 1 x 1 x 1 convolution (`downsample`).
pub struct VideoResNet {
    stem: Sequential,
    layer1: Sequential,
    layer2: Sequential,
    layer3: Sequential,
    layer4: Sequential,
    fc: Linear,
}

impl VideoResNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a width or channels of 0; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::video::{VideoResNet, VideoResNetOptions};
    /// # let device = Device::reference();
    /// let options = VideoResNetOptions::mc3_18().base_width(8).classes(5);
    /// let net = VideoResNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 4, 16, 16])?)?.shape()[..], [2, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &VideoResNetOptions) -> Result<VideoResNet> {
        let VideoResNetOptions { stem, convolutions, layers, base_width, classes, channels } = *options;
        let mut inputs = base_width;
        let mut layer = |number: usize| {
            let convolution = convolutions[number];
            let outputs = base_width << number;
            let shape = Shape { inputs, outputs, stride: if number > 0 { 2 } else { 1 } };
            inputs = outputs;
            let blocks = Sequential::new(&scope.at(format!("layer{}", number + 1)));
            let first = blocks.make(|s| Block::new(s, convolution, shape))?;
            let rest = Shape { inputs, outputs, stride: 1 };
            (1..layers[number]).try_fold(first, |blocks, _| blocks.make(|s| Block::new(s, convolution, rest)))
        };
        // The factorized stem of 64 channels has 45 between its convolutions.
        let windows = Windows { size: 7, stride: [1, 2], between: (45 * base_width).div_ceil(64) };
        let net = VideoResNet {
            stem: stem
                .push(Sequential::new(&scope.at("stem")), channels, base_width, windows)?
                .make(|s| norm(s, base_width))?
                .push(Relu),
            layer1: layer(0)?,
            layer2: layer(1)?,
            layer3: layer(2)?,
            layer4: layer(3)?,
            fc: Linear::new(&scope.at("fc"), 8 * base_width, classes)?,
        };
        initial::draw(&net, initial::kaiming_fan_out, initial::normal(0.01))?;
        Ok(net)
    }
}

/// [`features`](Backbone::features) are `[N, 512, T', H', W']`.
impl Backbone for VideoResNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.stem.forward(input)?;
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().try_fold(x, |x, layer| layer.forward(&x))
    }
}

impl Module for VideoResNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; stem, layer1, layer2, layer3, layer4, fc]
    }
}

/// The windows of a convolution.
#[derive(Clone, Copy)]
struct Windows {
    /// Height and width.
    size: usize,
    /// Steps over time and over space.
    stride: [usize; 2],
    /// Channels between a factorized convolution's two.
    between: usize,
}

impl VideoConvolution {
    /// Adds the convolution to a list of layers.
    fn push(self, layers: Sequential, inputs: usize, outputs: usize, windows: Windows) -> Result<Sequential> {
        let Windows { size, stride: [time, space], between } = windows;
        let strides = [time, space, space];
        match self {
            VideoConvolution::Spatiotemporal => layers.make(|s| conv(s, inputs, outputs, [3, size, size], strides)),
            VideoConvolution::Spatial => layers.make(|s| conv(s, inputs, outputs, [1, size, size], [1, space, space])),
            VideoConvolution::Factorized => layers
                .make(|s| conv(s, inputs, between, [1, size, size], [1, space, space]))?
                .make(|s| norm(s, between))?
                .push(Relu)
                .make(|s| conv(s, between, outputs, [3, 1, 1], [time, 1, 1])),
        }
    }

    /// Adds the convolution as one layer, with its normalization.
    fn push_with_norm(self, layers: Sequential, inputs: usize, outputs: usize, windows: Windows) -> Result<Sequential> {
        let layers = match self {
            VideoConvolution::Factorized => layers.make(|s| self.push(Sequential::new(s), inputs, outputs, windows))?,
            _ => self.push(layers, inputs, outputs, windows)?,
        };
        layers.make(|s| norm(s, outputs))
    }

    /// Steps over time and space where a block's are `stride`.
    fn strides(self, stride: usize) -> [usize; 2] {
        [if self == VideoConvolution::Spatial { 1 } else { stride }, stride]
    }
}

/// A convolution without a bias that keeps the size at stride 1.
fn conv(scope: &Scope, inputs: usize, outputs: usize, size: [usize; 3], stride: [usize; 3]) -> Result<Conv3d> {
    let options = Conv3dOptions::default().stride(stride).padding(size.map(|size| size / 2));
    Conv3d::without_bias(scope, inputs, outputs, size, &options)
}

fn norm(scope: &Scope, channels: usize) -> Result<BatchNorm3d> {
    BatchNorm3d::new(scope, channels, &BatchNormLayerOptions::default())
}

/// Channels of a block's input and output, and the step of its windows.
#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    outputs: usize,
    stride: usize,
}

/// The convolutions of a block's branch, and its shortcut.
struct Block {
    conv1: Sequential,
    conv2: Sequential,
    downsample: Option<Sequential>,
}

impl Block {
    fn new(scope: &Scope, convolution: VideoConvolution, shape: Shape) -> Result<Block> {
        let Shape { inputs, outputs, stride } = shape;
        // Both factorized convolutions have as many channels between as the first needs.
        let between = inputs * outputs * 27 / (inputs * 9 + outputs * 3).max(1);
        let strides = convolution.strides(stride);
        let at = |name: &str| Sequential::new(&scope.at(name));
        let first = Windows { size: 3, stride: strides, between };
        let second = Windows { stride: [1, 1], ..first };
        let downsample = || {
            let [time, space] = strides;
            at("downsample")
                .make(|s| conv(s, inputs, outputs, [1; 3], [time, space, space]))?
                .make(|s| norm(s, outputs))
        };
        let is_changed = stride != 1 || inputs != outputs;
        Ok(Block {
            conv1: convolution.push_with_norm(at("conv1"), inputs, outputs, first)?.push(Relu),
            conv2: convolution.push_with_norm(at("conv2"), outputs, outputs, second)?,
            downsample: is_changed.then(downsample).transpose()?,
        })
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.conv2.forward(&self.conv1.forward(input)?)?;
        let shortcut = self.downsample.as_ref().map_or_else(|| Ok(input.clone()), |layers| layers.forward(input))?;
        x.add(&shortcut)?.relu()
    }
    fn type_name(&self) -> String {
        "BasicBlock".to_string()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, conv2, downsample]
    }
}
