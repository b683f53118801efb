//! RegNet (Radosavovic et al., "Designing Network Design Spaces", 2020). The names of the parameters are torchvision's.

use super::divisible::make_divisible;
use super::{Backbone, initial};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::blocks::{Activation, ConvNormActivation, ConvNormActivationOptions, SqueezeExcitation};
use crate::nn::{self, Linear, Module, Scope, Sequential, init};
use crate::number::nearest;
use crate::options::options;

options! {
    /// Options of a [`RegNet`]: the parameters of the paper's design space. The default is torchvision's `regnet_y_400mf`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    RegNetOptions {
        /// Blocks in all.
        depth: usize = 16,
        /// Channels of the first block.
        initial_width: usize = 48,
        /// Channels that each block has more than the one before, before they are quantized.
        slope: f64 = 27.89,
        /// Factor between the numbers of channels of two stages.
        quantization: f64 = 2.09,
        /// Channels of a group of the 3 x 3 convolutions.
        group_width: usize = 8,
        /// Channels of squeeze and excitation by input channels of the block; `None` for RegNetX, which has none.
        squeeze: Option<f64> = Some(0.25),
        /// Channels of the first convolution.
        stem: usize = 32,
        /// Logits.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
    }
}

/// torchvision's networks: name, depth, initial width, slope, quantization, group width, parameters for 1,000 classes.
macro_rules! networks {
    ($($name:ident($depth:literal, $width:literal, $slope:literal, $quantization:literal, $group:literal, $squeeze:expr), $parameters:literal;)*) => {
        impl RegNetOptions {
            $(
                #[doc = concat!("torchvision's `", stringify!($name), "`: ", $parameters, " parameters.")]
                pub fn $name() -> RegNetOptions {
                    RegNetOptions {
                        depth: $depth,
                        initial_width: $width,
                        slope: $slope,
                        quantization: $quantization,
                        group_width: $group,
                        squeeze: $squeeze,
                        ..RegNetOptions::default()
                    }
                }
            )*
        }
    };
}

networks! {
    regnet_y_400mf(16, 48, 27.89, 2.09, 8, Some(0.25)), "4,344,144";
    regnet_y_800mf(14, 56, 38.84, 2.4, 16, Some(0.25)), "6,432,512";
    regnet_y_1_6gf(27, 48, 20.71, 2.65, 24, Some(0.25)), "11,202,430";
    regnet_y_3_2gf(21, 80, 42.63, 2.66, 24, Some(0.25)), "19,436,338";
    regnet_y_8gf(17, 192, 76.82, 2.19, 56, Some(0.25)), "39,381,472";
    regnet_y_16gf(18, 200, 106.23, 2.48, 112, Some(0.25)), "83,590,140";
    regnet_y_32gf(20, 232, 115.89, 2.53, 232, Some(0.25)), "145,046,770";
    regnet_y_128gf(27, 456, 160.83, 2.52, 264, Some(0.25)), "644,812,894";
    regnet_x_400mf(22, 24, 24.48, 2.54, 16, None), "5,495,976";
    regnet_x_800mf(16, 56, 35.73, 2.28, 16, None), "7,259,656";
    regnet_x_1_6gf(18, 80, 34.01, 2.25, 24, None), "9,190,136";
    regnet_x_3_2gf(25, 88, 26.31, 2.25, 48, None), "15,296,552";
    regnet_x_8gf(23, 80, 49.56, 2.88, 120, None), "39,572,648";
    regnet_x_16gf(22, 216, 55.59, 2.1, 128, None), "54,278,536";
    regnet_x_32gf(23, 320, 69.86, 2.0, 168, None), "107,811,560";
}

/// Channels, blocks and group width of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stage {
    width: usize,
    blocks: usize,
    group_width: usize,
}

impl RegNetOptions {
    /// Widths on a line, rounded to powers of `quantization` times the first and then to multiples of 8; blocks of one width
    /// make a stage, whose width is a multiple of its groups'.
    fn stages(&self) -> Result<Vec<Stage>> {
        let RegNetOptions { depth, initial_width, slope, quantization, group_width, .. } = *self;
        let is_usable = slope >= 0.0 && quantization > 1.0 && group_width > 0 && depth > 0;
        if !is_usable || initial_width == 0 || !initial_width.is_multiple_of(8) {
            let rule = "expected slope >= 0, quantization > 1, depth and group_width above 0, and initial_width a multiple of 8";
            return Err(Error::invalid("RegNet", format!("{rule}; got {self:?}")));
        }
        let first = initial_width as f64;
        let mut stages: Vec<Stage> = Vec::new();
        for block in 0..depth {
            let capacity = ((slope * block as f64 / first + 1.0).ln() / quantization.ln()).round_ties_even();
            let width: usize = nearest((first * quantization.powf(capacity) / 8.0).round_ties_even() * 8.0);
            match stages.last_mut() {
                Some(stage) if stage.width == width => stage.blocks += 1,
                _ => stages.push(Stage { width, blocks: 1, group_width }),
            }
        }
        for stage in &mut stages {
            stage.group_width = group_width.min(stage.width);
            stage.width = make_divisible(stage.width as f64, stage.group_width);
        }
        Ok(stages)
    }
}

/// RegNetX and RegNetY: `[N, channels, H, W] -> [N, classes]` logits.
///
/// `stem` is a convolution of stride 2, `trunk_output` stages of bottleneck blocks with grouped convolutions, each at half the
/// size of the one before; RegNetY's have squeeze and excitation.
pub struct RegNet {
    stem: ConvNormActivation,
    trunk_output: Sequential,
    fc: Linear,
}

impl RegNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parameters outside the design space.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{RegNet, RegNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = RegNet::new(&Scope::new(&device), &RegNetOptions::regnet_x_400mf().depth(6).classes(10))?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 3, 32, 32])?)?.shape()[..], [2, 10]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &RegNetOptions) -> Result<RegNet> {
        let RegNetOptions { squeeze, stem, classes, channels, .. } = *options;
        let halving = ConvNormActivationOptions::default().stride(2);
        let mut width = stem;
        let mut trunk_output = Sequential::new(&scope.at("trunk_output"));
        for (number, stage) in (1..).zip(options.stages()?) {
            trunk_output = trunk_output.make_named(format!("block{number}"), |s| {
                (0..stage.blocks).try_fold(Sequential::new(s), |blocks, block| {
                    let inputs = if block == 0 { width } else { stage.width };
                    let stride = if block == 0 { 2 } else { 1 };
                    blocks
                        .make_named(format!("block{number}-{block}"), |s| Block::new(s, inputs, stage, stride, squeeze))
                })
            })?;
            width = stage.width;
        }
        let stem = ConvNormActivation::new(&scope.at("stem"), channels, stem, &halving)?;
        let net = RegNet { stem, trunk_output, fc: Linear::new(&scope.at("fc"), width, classes)? };
        // Counts all outputs, also if these are in groups.
        let convolution = |weight: &crate::Parameter| {
            let shape = *weight.value().shape();
            init::normal(weight, 0.0, (2.0 / (shape[0] * shape[2] * shape[3]) as f64).sqrt())
        };
        initial::draw(&net.stem, convolution, initial::kept)?;
        initial::draw_weights(&net.trunk_output, convolution, initial::kept)?;
        initial::draw(&net.fc, initial::kept, initial::normal(0.01))?;
        Ok(net)
    }
}

impl Backbone for RegNet {
    fn features(&self, input: &Tensor) -> Result<Tensor> {
        self.trunk_output.forward(&self.stem.forward(input)?)
    }
}

impl Module for RegNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.features(input)?.global_avg_pool()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; stem, trunk_output, fc]
    }
}

/// A bottleneck whose width is that of the stage, and its shortcut.
struct Block {
    proj: Option<ConvNormActivation>,
    f: Sequential,
}

impl Block {
    fn new(scope: &Scope, inputs: usize, stage: Stage, stride: usize, squeeze: Option<f64>) -> Result<Block> {
        let Stage { width, group_width, .. } = stage;
        let plain = ConvNormActivationOptions::default();
        let (pointwise, linear) = (plain.kernel_size(1), plain.kernel_size(1).activation(None));
        let grouped = plain.stride(stride).groups(width / group_width);
        let mut f = Sequential::new(&scope.at("f"))
            .make_named("a", |s| ConvNormActivation::new(s, inputs, width, &pointwise))?
            .make_named("b", |s| ConvNormActivation::new(s, width, width, &grouped))?;
        if let Some(squeeze) = squeeze {
            let squeezed = nearest((squeeze * inputs as f64).round_ties_even());
            let (inner, outer) = (Activation::Relu, Activation::Sigmoid);
            f = f.make_named("se", |s| SqueezeExcitation::new(s, width, squeezed, inner, outer))?;
        }
        let f = f.make_named("c", |s| ConvNormActivation::new(s, width, width, &linear))?;
        let is_changed = inputs != width || stride != 1;
        let proj = is_changed
            .then(|| ConvNormActivation::new(&scope.at("proj"), inputs, width, &linear.stride(stride)))
            .transpose()?;
        Ok(Block { proj, f })
    }
}

impl Module for Block {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let shortcut = self.proj.as_ref().map_or_else(|| Ok(input.clone()), |proj| proj.forward(input))?;
        shortcut.add(&self.f.forward(input)?)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; proj, f]
    }
}
