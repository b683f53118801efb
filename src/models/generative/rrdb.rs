//! ESRGAN's generator (Wang et al., "ESRGAN: Enhanced super-resolution generative adversarial networks", 2018).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, Module, Scope, Sequential, init};
use crate::ops::{Conv2dOptions, InterpolateOptions};
use crate::options::options;

/// The slope of leaky ReLU below 0.
const SLOPE: f64 = 0.2;
/// The factor of a block's result that is added to its input.
const RESIDUAL: f64 = 0.2;
/// The factor of the initial weights within blocks, relative to He's rule.
const SMALLER: f64 = 0.1;
/// Convolutions of a dense block.
const DENSE: usize = 5;

options! {
    /// Options of an [`RrdbNet`]. The default is the paper's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    RrdbNetOptions {
        /// The factor by which images grow: 1, 2 or 4.
        scale: usize = 4,
        /// Channels of the images.
        channels: usize = 3,
        /// Channels of the maps.
        width: usize = 64,
        /// Number of residual-in-residual dense blocks.
        blocks: usize = 23,
        /// Channels that each convolution of a dense block adds.
        growth: usize = 32,
    }
}

/// Enlarges images: `[N, channels, H, W] -> [N, channels, scale H, scale W]`.
///
/// After `conv_first`, `body` holds residual-in-residual dense blocks, whose result goes through `conv_body` and is added to
/// their input. Then come, twice, nearest interpolation to double size, a convolution (`conv_up1`, `conv_up2`) and leaky ReLU of
/// slope 0.2; then `conv_hr`, leaky ReLU and `conv_last`. All convolutions are 3 x 3. For scales below 4, blocks of pixels become
/// channels first. Names are those of the authors' later code (BasicSR), whose weights load. Weights of the dense blocks start at
/// a tenth of He's deviation, and their biases at 0.
pub struct RrdbNet {
    conv_first: Conv2d,
    body: Sequential,
    conv_body: Conv2d,
    conv_up1: Conv2d,
    conv_up2: Conv2d,
    conv_hr: Conv2d,
    conv_last: Conv2d,
    shrink: usize,
}

impl RrdbNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another scale, and if a number of channels is 0; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::generative::{RrdbNet, RrdbNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = RrdbNetOptions::default().scale(2).channels(1).width(4).blocks(1).growth(2);
    /// let net = RrdbNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 1, 6, 4])?)?.shape()[..], [1, 1, 12, 8]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &RrdbNetOptions) -> Result<RrdbNet> {
        let RrdbNetOptions { scale, channels, width, blocks, growth } = *options;
        if ![1, 2, 4].contains(&scale) {
            return Err(Error::invalid("RrdbNet", format!("scale is {scale}; it must be 1, 2 or 4")));
        }
        let shrink = 4 / scale;
        let mut body = Sequential::new(&scope.at("body"));
        for _ in 0..blocks {
            body = body.make(|s| ResidualInResidual::new(s, width, growth))?;
        }
        Ok(RrdbNet {
            conv_first: convolution(&scope.at("conv_first"), channels * shrink * shrink, width)?,
            body,
            conv_body: convolution(&scope.at("conv_body"), width, width)?,
            conv_up1: convolution(&scope.at("conv_up1"), width, width)?,
            conv_up2: convolution(&scope.at("conv_up2"), width, width)?,
            conv_hr: convolution(&scope.at("conv_hr"), width, width)?,
            conv_last: convolution(&scope.at("conv_last"), width, channels)?,
            shrink,
        })
    }
}

impl Module for RrdbNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = if self.shrink == 1 { input.clone() } else { input.pixel_unshuffle(self.shrink)? };
        let x = self.conv_first.forward(&x)?;
        let mut x = (&x + self.conv_body.forward(&self.body.forward(&x)?)?)?;
        let twice = InterpolateOptions::default().scale_factor([2.0, 2.0]);
        for conv in [&self.conv_up1, &self.conv_up2] {
            x = conv.forward(&x.interpolate(&twice)?)?.leaky_relu(SLOPE)?;
        }
        self.conv_last.forward(&self.conv_hr.forward(&x)?.leaky_relu(SLOPE)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv_first, body, conv_body, conv_up1, conv_up2, conv_hr, conv_last]
    }
}

/// Three dense blocks; their scaled result is added to the input.
struct ResidualInResidual {
    rdb1: DenseBlock,
    rdb2: DenseBlock,
    rdb3: DenseBlock,
}

impl ResidualInResidual {
    fn new(scope: &Scope, width: usize, growth: usize) -> Result<ResidualInResidual> {
        let block = |name: &str| DenseBlock::new(&scope.at(name), width, growth);
        Ok(ResidualInResidual { rdb1: block("rdb1")?, rdb2: block("rdb2")?, rdb3: block("rdb3")? })
    }
}

impl Module for ResidualInResidual {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.rdb3.forward(&self.rdb2.forward(&self.rdb1.forward(input)?)?)?;
        input + (x * RESIDUAL)?
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; rdb1, rdb2, rdb3]
    }
}

/// Convolutions `conv1` to `conv5` that each see the input and all earlier results; the scaled result of the last one is added to
/// the input.
struct DenseBlock {
    convolutions: Vec<Conv2d>,
}

impl DenseBlock {
    fn new(scope: &Scope, width: usize, growth: usize) -> Result<DenseBlock> {
        let make = |at: usize| {
            let outputs = if at + 1 < DENSE { growth } else { width };
            let conv = convolution(&scope.at(name(at)), width + at * growth, outputs)?;
            init::kaiming_normal(&conv.weight, init::FanMode::FanIn, init::Nonlinearity::Relu)?;
            conv.weight.assign(&conv.weight.value().detach().mul_scalar(SMALLER)?)?;
            conv.bias.iter().try_for_each(init::zeros)?;
            Ok(conv)
        };
        Ok(DenseBlock { convolutions: (0..DENSE).map(make).collect::<Result<_>>()? })
    }
}

/// The name of a dense block's convolution, which counts from 1.
fn name(at: usize) -> String {
    format!("conv{}", at + 1)
}

impl Module for DenseBlock {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let mut seen = input.clone();
        for conv in &self.convolutions[..DENSE - 1] {
            seen = Tensor::cat(&[&seen, &conv.forward(&seen)?.leaky_relu(SLOPE)?], 1)?;
        }
        input + (self.convolutions[DENSE - 1].forward(&seen)? * RESIDUAL)?
    }
    fn children(&self) -> nn::Children<'_> {
        self.convolutions.iter().enumerate().map(|(at, conv)| (name(at), conv as &dyn Module)).collect()
    }
}

/// A convolution of 3 x 3 that keeps the size.
fn convolution(scope: &Scope, inputs: usize, outputs: usize) -> Result<Conv2d> {
    Conv2d::new(scope, inputs, outputs, 3, &Conv2dOptions::default().padding(1))
}
