//! MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019). The names of the parameters are torchvision's.

use super::divisible::make_divisible;
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::blocks::{
    Activation, ConvNormActivation, ConvNormActivationOptions, InvertedResidual, InvertedResidualOptions, NormLayer,
};
use crate::nn::{self, BatchNormLayerOptions, Dropout, Hardswish, Linear, Module, Scope, Sequential};
use crate::options::{As, options};

/// The two published networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MobileNetV3Size {
    /// 2,542,856 parameters for 1,000 classes.
    Small,
    /// 5,483,032 parameters for 1,000 classes.
    #[default]
    Large,
}

options! {
    /// Options of a [`MobileNetV3`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    MobileNetV3Options {
        /// The network.
        size: MobileNetV3Size = MobileNetV3Size::Large,
        /// Factor of all numbers of channels.
        width_mult: f64 = 1.0,
        /// Keeps the size in the last stage and dilates its windows instead, for segmentation.
        dilated: bool = false,
        /// Halves the channels of the last stage, for detection.
        reduced_tail: bool = false,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Share of the last features dropped in training.
        dropout: f64 = 0.2,
        /// The normalization after each convolution.
        norm: NormLayer = BatchNormLayerOptions::default().eps(1e-3).momentum(0.01).convert(),
    }
}

impl MobileNetV3Options {
    /// torchvision's `mobilenet_v3_small`.
    pub fn mobilenet_v3_small() -> MobileNetV3Options {
        MobileNetV3Options::default().size(MobileNetV3Size::Small)
    }

    /// torchvision's `mobilenet_v3_large`.
    pub fn mobilenet_v3_large() -> MobileNetV3Options {
        MobileNetV3Options::default()
    }

    fn is_large(&self) -> bool {
        self.size == MobileNetV3Size::Large
    }

    fn scaled(&self, channels: usize) -> usize {
        make_divisible(channels as f64 * self.width_mult, 8)
    }

    /// The blocks, in order, with scaled channels.
    fn rows(&self) -> Vec<Row> {
        let rows = if self.is_large() { &LARGE[..] } else { &SMALL[..] };
        let (divisor, tail) = (if self.reduced_tail { 2 } else { 1 }, rows.len() - LAST_STAGE);
        let scaled = |(number, &(size, expanded, outputs, is_squeezed, is_hardswish, stride)): (usize, &Row)| {
            let [within, behind] = [number > tail, number >= tail].map(|is_tail| if is_tail { divisor } else { 1 });
            let (expanded, outputs) = (self.scaled(expanded / within), self.scaled(outputs / behind));
            (size, expanded, outputs, is_squeezed, is_hardswish, stride)
        };
        rows.iter().enumerate().map(scaled).collect()
    }

    /// Channels of the features.
    pub(super) fn width(&self) -> usize {
        6 * self.rows().last().map_or(0, |row| row.2)
    }

    /// The first layer of each stage, by its number among the [`features`](MobileNetV3Options::features), with the channels
    /// of its output: the first convolution, the blocks that halve the size, and the last convolution.
    pub(super) fn stages(&self) -> Vec<(usize, usize)> {
        let rows = self.rows();
        let blocks = (1..).zip(&rows).filter(|(_, row)| row.5 == 2).map(|(number, row)| (number, row.2));
        std::iter::once((0, self.scaled(16))).chain(blocks).chain([(rows.len() + 1, self.width())]).collect()
    }

    /// The blocks' channels and options, in order.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let rows = self.rows();
        let inputs = std::iter::once(self.scaled(16)).chain(rows.iter().map(|row| row.2));
        let block = |(number, (row, inputs)): (usize, (&Row, usize))| {
            let (kernel_size, expanded, outputs, is_squeezed, is_hardswish, stride) = *row;
            let is_dilated = self.dilated && number + LAST_STAGE >= rows.len();
            let options = InvertedResidualOptions::default()
                .kernel_size(kernel_size)
                .stride(if is_dilated { 1 } else { stride })
                .dilation(if is_dilated { 2 } else { 1 })
                .squeezed(is_squeezed.then(|| make_divisible((expanded / 4) as f64, 8)))
                .activation(if is_hardswish { Activation::Hardswish } else { Activation::Relu })
                .norm(self.norm);
            Block { inputs, expanded, outputs, options }
        };
        rows.iter().zip(inputs).enumerate().map(block).collect()
    }

    /// The first convolution.
    pub(super) fn stem(&self, scope: &Scope) -> Result<ConvNormActivation> {
        let MobileNetV3Options { width_mult, channels, .. } = *self;
        if !(width_mult.is_finite() && width_mult > 0.0) {
            return Err(Error::invalid("MobileNetV3", format!("width_mult is {width_mult}; it must be above 0")));
        }
        ConvNormActivation::new(scope, channels, self.scaled(16), &self.plain().stride(2))
    }

    /// The last convolution.
    pub(super) fn last(&self, scope: &Scope) -> Result<ConvNormActivation> {
        let width = self.width();
        ConvNormActivation::new(scope, width / 6, width, &self.plain().kernel_size(1))
    }

    fn plain(&self) -> ConvNormActivationOptions {
        ConvNormActivationOptions::default().norm(self.norm).activation(Activation::Hardswish)
    }

    /// The layers before the mean of each channel, named by their numbers.
    pub(super) fn features(&self, scope: &Scope) -> Result<Sequential> {
        let stem = Sequential::new(scope).make(|s| self.stem(s))?;
        self.blocks().iter().try_fold(stem, |layers, block| layers.make(|s| block.layer(s)))?.make(|s| self.last(s))
    }
}

/// Channels of a block, and its options.
pub(super) struct Block {
    pub inputs: usize,
    pub expanded: usize,
    pub outputs: usize,
    pub options: InvertedResidualOptions,
}

impl Block {
    pub fn layer(&self, scope: &Scope) -> Result<InvertedResidual> {
        InvertedResidual::new(scope, self.inputs, self.expanded, self.outputs, &self.options)
    }
}

/// Window, expanded channels, channels, squeeze and excitation, hardswish, stride of a block.
type Row = (usize, usize, usize, bool, bool, usize);

const LARGE: [Row; 15] = [
    (3, 16, 16, false, false, 1),
    (3, 64, 24, false, false, 2),
    (3, 72, 24, false, false, 1),
    (5, 72, 40, true, false, 2),
    (5, 120, 40, true, false, 1),
    (5, 120, 40, true, false, 1),
    (3, 240, 80, false, true, 2),
    (3, 200, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 480, 112, true, true, 1),
    (3, 672, 112, true, true, 1),
    (5, 672, 160, true, true, 2),
    (5, 960, 160, true, true, 1),
    (5, 960, 160, true, true, 1),
];

const SMALL: [Row; 11] = [
    (3, 16, 16, true, false, 2),
    (3, 72, 24, false, false, 2),
    (3, 88, 24, false, false, 1),
    (5, 96, 40, true, true, 2),
    (5, 240, 40, true, true, 1),
    (5, 240, 40, true, true, 1),
    (5, 120, 48, true, true, 1),
    (5, 144, 48, true, true, 1),
    (5, 288, 96, true, true, 2),
    (5, 576, 96, true, true, 1),
    (5, 576, 96, true, true, 1),
];

/// Blocks of the last stage, which is the one that `dilated` concerns.
const LAST_STAGE: usize = 3;

/// MobileNetV3: `[N, channels, H, W] -> [N, classes]` logits.
///
/// `features` are a convolution of stride 2, inverted residual blocks down to `H / 32`, some with squeeze and excitation, and a
/// convolution of 1 x 1; `classifier` is two linear layers with hardswish between.
pub struct MobileNetV3 {
    features: Sequential,
    classifier: Sequential,
}

impl MobileNetV3 {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `width_mult` is not a positive number.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{MobileNetV3, MobileNetV3Options}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = MobileNetV3Options::mobilenet_v3_small().width_mult(0.25).classes(10);
    /// let net = MobileNetV3::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &MobileNetV3Options) -> Result<MobileNetV3> {
        let features = options.features(&scope.at("features"))?;
        let (width, last) = (options.width(), options.scaled(if options.is_large() { 1280 } else { 1024 }));
        let classifier = Sequential::new(&scope.at("classifier"))
            .make(|s| Linear::new(s, width, last))?
            .push(Hardswish)
            .push(Dropout::new(options.dropout))
            .make(|s| Linear::new(s, last, options.classes))?;
        let net = MobileNetV3 { features, classifier };
        initial::draw(&net, initial::kaiming_fan_out, initial::normal(0.01))?;
        Ok(net)
    }
}

impl Backbone for MobileNetV3 {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.features.forward(input)
    }
}

impl Module for MobileNetV3 {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; features, classifier]
    }
}
