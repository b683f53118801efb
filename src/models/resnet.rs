//! Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2015) and their kin: ResNeXt (Xie et al. 2017),
//! Wide ResNet (Zagoruyko and Komodakis 2016), and with attention to channels and positions. The names of the parameters are
//! torchvision's.

use super::layers::convolution;
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::blocks::{Activation, Cbam, Norm, NormLayer, SqueezeExcitation};
use crate::nn::{self, Conv2d, Linear, MaxPool2d, Module, Relu, Scope, Sequential};
use crate::ops::{Conv2dOptions, MaxPool2dOptions};
use crate::options::options;

/// The first layers of a [`ResNet`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResNetStem {
    /// A convolution of 7 x 7 with stride 2 and max pooling, which quarter the size: for images of about 224 x 224.
    #[default]
    Large,
    /// A convolution of 3 x 3 that keeps the size: for images of about 32 x 32.
    Small,
}

/// Attention at the end of each branch of a [`ResNet`], which reduces channels to a sixteenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResNetAttention {
    /// To channels (Hu et al., "Squeeze-and-Excitation Networks", 2018).
    SqueezeExcitation,
    /// To channels and positions (Woo et al., "CBAM", 2018).
    Cbam,
}

const REDUCTION: usize = 16;

options! {
    /// Options of a [`ResNet`]; the default is torchvision's `resnet18`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    ResNetOptions {
        /// Blocks of three convolutions, 1 x 1, 3 x 3 and 1 x 1 to four times the channels, instead of two of 3 x 3.
        bottleneck: bool = false,
        /// Blocks of each layer.
        layers: [usize; 4] = [2, 2, 2, 2],
        /// Groups of the convolutions of 3 x 3 in bottlenecks.
        groups: usize = 1,
        /// Channels of each of those groups in `layer1`.
        width_per_group: usize = 64,
        /// Keeps the size in `layer2`, `layer3`, `layer4`, and dilates the windows instead: for segmentation.
        replace_stride_with_dilation: [bool; 3] = [false; 3],
        /// The first layers.
        stem: ResNetStem = ResNetStem::Large,
        /// Attention at the end of each branch.
        attention: Option<ResNetAttention> = None,
        /// Lets each block start as its shortcut, by zeros in the weight of its last norm (Goyal et al. 2017). Deep networks
        /// train faster so at first.
        zero_init_residual: bool = false,
        /// The normalization after each convolution.
        norm: NormLayer = NormLayer::default(),
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

/// torchvision's networks.
macro_rules! networks {
    ($($name:ident, $parameters:literal: $options:expr;)*) => {
        impl ResNetOptions {
            $(
                #[doc = concat!("torchvision's `", stringify!($name), "`: ", $parameters, " parameters.")]
                pub fn $name() -> ResNetOptions {
                    $options
                }
            )*
        }
    };
}

networks! {
    resnet18, "11,689,512": ResNetOptions::default();
    resnet34, "21,797,672": ResNetOptions::default().layers([3, 4, 6, 3]);
    resnet50, "25,557,032": ResNetOptions::resnet34().bottleneck(true);
    resnet101, "44,549,160": ResNetOptions::resnet50().layers([3, 4, 23, 3]);
    resnet152, "60,192,808": ResNetOptions::resnet50().layers([3, 8, 36, 3]);
    resnext50_32x4d, "25,028,904": ResNetOptions::resnet50().groups(32).width_per_group(4);
    resnext101_32x8d, "88,791,336": ResNetOptions::resnet101().groups(32).width_per_group(8);
    resnext101_64x4d, "83,455,272": ResNetOptions::resnet101().groups(64).width_per_group(4);
    wide_resnet50_2, "68,883,240": ResNetOptions::resnet50().width_per_group(128);
    wide_resnet101_2, "126,886,696": ResNetOptions::resnet101().width_per_group(128);
}

/// Networks with attention.
macro_rules! attentive {
    ($($name:ident: $of:ident, $attention:ident;)*) => {
        impl ResNetOptions {
            $(
                #[doc = concat!("[`", stringify!($of), "`](ResNetOptions::", stringify!($of), ") with [`ResNetAttention::", stringify!($attention), "`].")]
                pub fn $name() -> ResNetOptions {
                    ResNetOptions::$of().attention(ResNetAttention::$attention)
                }
            )*
        }
    };
}

attentive! {
    se_resnet18: resnet18, SqueezeExcitation;
    se_resnet50: resnet50, SqueezeExcitation;
    cbam_resnet18: resnet18, Cbam;
    cbam_resnet50: resnet50, Cbam;
}

impl ResNetOptions {
    /// [`resnet18`](ResNetOptions::resnet18) for images of about 32 x 32 and 10 classes: 11,173,962 parameters.
    pub fn resnet18_cifar() -> ResNetOptions {
        ResNetOptions::default().stem(ResNetStem::Small).classes(10)
    }

    /// Channels of a layer's output by those of its convolutions of 3 x 3.
    fn expansion(&self) -> usize {
        if self.bottleneck { 4 } else { 1 }
    }

    /// Channels of the output of `layer1` to `layer4`.
    pub(super) fn widths(&self) -> [usize; 4] {
        [64, 128, 256, 512].map(|channels| channels * self.expansion())
    }
}

/// A residual network: `[N, channels, H, W] -> [N, classes]` logits.
///
/// | layer | channels | size |
/// |---|---|---|
/// | `conv1`, `bn1`; ReLU; max pooling with the large stem | 64 | `H / 4`, or `H` with the small stem |
/// | `layer1` | 64, in bottlenecks 256 | the same |
/// | `layer2`, `layer3`, `layer4` | 128, 256, 512, in bottlenecks four times as many | half the size, each |
/// | the mean of each channel; `fc` | `classes` | |
///
/// A block is two or three convolutions, each followed by batch normalization, with its input added before the last
/// ReLU; where channels or size change, the input goes through a 1 x 1 convolution (`downsample`).
pub struct ResNet {
    conv1: Conv2d,
    bn1: Box<dyn Norm>,
    maxpool: Option<MaxPool2d>,
    layer1: Sequential,
    layer2: Sequential,
    layer3: Sequential,
    layer4: Sequential,
    fc: Linear,
}

impl ResNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for groups or widths of blocks that are not bottlenecks.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{ResNet, ResNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18_cifar())?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 8, 8])?)?.shape()[..], [2, 10]);
    /// let options = ResNetOptions::resnet50().classes(5).zero_init_residual(true);
    /// let net = ResNet::new(&Scope::new(&device), &options)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &ResNetOptions) -> Result<ResNet> {
        let ResNetOptions { bottleneck, layers, groups, width_per_group, stem, classes, channels, norm, .. } = *options;
        if !bottleneck && (groups != 1 || width_per_group != 64) {
            let rule = format!("groups {groups} and width_per_group {width_per_group} need bottlenecks");
            return Err(Error::invalid("ResNet", rule));
        }
        let (size, stride) = if stem == ResNetStem::Large { (7, 2) } else { (3, 1) };
        let pooling = MaxPool2d { kernel_size: [3; 2], options: MaxPool2dOptions::default().stride(2).padding(1) };
        let (mut inputs, mut dilation) = (64, 1);
        let mut layer = |number: usize| {
            let channels = 64 << number;
            let is_dilated = number > 0 && options.replace_stride_with_dilation[number - 1];
            let shape = Shape { inputs, channels, stride: if number > 0 && !is_dilated { 2 } else { 1 }, dilation };
            dilation *= if is_dilated { 2 } else { 1 };
            inputs = channels * options.expansion();
            let scope = Sequential::new(&scope.at(format!("layer{}", number + 1)));
            let first = scope.make(|s| Block::new(s, shape, options))?;
            let rest = Shape { inputs, stride: 1, dilation, ..shape };
            (1..layers[number]).try_fold(first, |layer, _| layer.make(|s| Block::new(s, rest, options)))
        };
        let net = ResNet {
            conv1: convolution(&scope.at("conv1"), channels, 64, size, Conv2dOptions::default().stride(stride))?,
            bn1: norm.layer(&scope.at("bn1"), 64)?,
            maxpool: (stem == ResNetStem::Large).then_some(pooling),
            layer1: layer(0)?,
            layer2: layer(1)?,
            layer3: layer(2)?,
            layer4: layer(3)?,
            fc: Linear::new(&scope.at("fc"), 512 * options.expansion(), classes)?,
        };
        initial::draw_weights(&net, initial::kaiming_fan_out, initial::kept)?;
        if options.zero_init_residual {
            let last = if bottleneck { "bn3.weight" } else { "bn2.weight" };
            net.parameters().iter().filter(|p| p.name().ends_with(last)).try_for_each(nn::init::zeros)?;
        }
        Ok(net)
    }

    /// The layers before the mean of each channel, in order, by torchvision's names.
    pub(super) fn into_layers(self) -> Sequential {
        let scope = Scope::new(self.conv1.weight.value().device());
        let stem = Sequential::new(&scope)
            .push_named("conv1", self.conv1)
            .push_named("bn1", self.bn1)
            .push_named("relu", Relu);
        let stem = match self.maxpool {
            Some(maxpool) => stem.push_named("maxpool", maxpool),
            None => stem,
        };
        let layers = [self.layer1, self.layer2, self.layer3, self.layer4];
        (1..).zip(layers).fold(stem, |net, (number, layer)| net.push_named(format!("layer{number}"), layer))
    }
}

impl Backbone for ResNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        let mut x = self.bn1.forward(&self.conv1.forward(input)?)?.relu()?;
        if let Some(maxpool) = &self.maxpool {
            x = maxpool.forward(&x)?;
        }
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().try_fold(x, |x, layer| layer.forward(&x))
    }
}

impl Module for ResNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, maxpool, layer1, layer2, layer3, layer4, fc]
    }
}

/// Channels of a block's input and of its convolutions, and step and dilation of its windows.
#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    channels: usize,
    stride: usize,
    dilation: usize,
}

/// The convolutions of a block's branch, and its shortcut.
struct Block {
    conv1: Conv2d,
    bn1: Box<dyn Norm>,
    conv2: Conv2d,
    bn2: Box<dyn Norm>,
    conv3: Option<Conv2d>,
    bn3: Option<Box<dyn Norm>>,
    se: Option<SqueezeExcitation>,
    cbam: Option<Cbam>,
    downsample: Option<Sequential>,
}

impl Block {
    fn new(scope: &Scope, shape: Shape, options: &ResNetOptions) -> Result<Block> {
        let Shape { inputs, channels, stride, dilation } = shape;
        let (plain, norm, outputs) = (Conv2dOptions::default(), options.norm, channels * options.expansion());
        let strided = plain.stride(stride).dilation(dilation);
        let downsample = || {
            Sequential::new(&scope.at("downsample"))
                .make(|s| convolution(s, inputs, outputs, 1, plain.stride(stride)))?
                .make(|s| norm.layer(s, outputs))
        };
        let is_changed = stride != 1 || inputs != outputs;
        let at = |name: &str| scope.at(name);
        let has = |attention| options.attention == Some(attention);
        let squeezed = outputs / REDUCTION;
        let se = || SqueezeExcitation::new(&at("se"), outputs, squeezed, Activation::Relu, Activation::Sigmoid);
        let width = (channels.saturating_mul(options.width_per_group) / 64).saturating_mul(options.groups);
        let is_bottleneck = options.bottleneck;
        let grouped = strided.groups(options.groups);
        Ok(Block {
            conv1: match is_bottleneck {
                true => convolution(&at("conv1"), inputs, width, 1, plain)?,
                false => convolution(&at("conv1"), inputs, channels, 3, strided)?,
            },
            bn1: norm.layer(&at("bn1"), width)?,
            conv2: match is_bottleneck {
                true => convolution(&at("conv2"), width, width, 3, grouped)?,
                false => convolution(&at("conv2"), channels, channels, 3, plain)?,
            },
            bn2: norm.layer(&at("bn2"), width)?,
            conv3: is_bottleneck.then(|| convolution(&at("conv3"), width, outputs, 1, plain)).transpose()?,
            bn3: is_bottleneck.then(|| norm.layer(&at("bn3"), outputs)).transpose()?,
            se: has(ResNetAttention::SqueezeExcitation).then(se).transpose()?,
            cbam: has(ResNetAttention::Cbam).then(|| Cbam::new(&at("cbam"), outputs, REDUCTION, 7)).transpose()?,
            downsample: is_changed.then(downsample).transpose()?,
        })
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let mut x = self.bn1.forward(&self.conv1.forward(input)?)?.relu()?;
        x = self.bn2.forward(&self.conv2.forward(&x)?)?;
        if let (Some(conv3), Some(bn3)) = (&self.conv3, &self.bn3) {
            x = bn3.forward(&conv3.forward(&x.relu()?)?)?;
        }
        if let Some(se) = &self.se {
            x = se.forward(&x)?;
        }
        if let Some(cbam) = &self.cbam {
            x = cbam.forward(&x)?;
        }
        let shortcut = self.downsample.as_ref().map_or_else(|| Ok(input.clone()), |layers| layers.forward(input))?;
        x.add(&shortcut)?.relu()
    }
    fn type_name(&self) -> String {
        if self.conv3.is_some() { "Bottleneck" } else { "BasicBlock" }.to_string()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, conv2, bn2, conv3, bn3, se, cbam, downsample]
    }
}
