//! U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015), with padded
//! convolutions, so that every pixel gets its logits.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{Conv2d, ConvTranspose2d, Module, Scope};
use crate::ops::{Conv2dOptions, ConvTranspose2dOptions, MaxPool2dOptions, Padding};

/// What a [`UNet`] is made like. The default is small; the paper's has one input channel, 2 classes, depth 4 and base
/// width 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UNetOptions {
    /// Channels of the images.
    pub in_channels: usize,
    /// Logits a pixel.
    pub classes: usize,
    /// How many times the size is halved.
    pub depth: usize,
    /// Channels at full size; each halving doubles them.
    pub base_width: usize,
}

impl Default for UNetOptions {
    fn default() -> UNetOptions {
        UNetOptions { in_channels: 3, classes: 2, depth: 3, base_width: 16 }
    }
}

/// U-Net: `[N, in_channels, H, W] -> [N, classes, H, W]` logits, `H` and `W` multiples of `2^depth`.
///
/// `down` halves the size `depth` times, each time after two convolutions of 3 x 3 with ReLU; `bottom` is two more;
/// `up` doubles the size by transposed convolutions of 2 x 2 and appends what `down` had at that size; `head` is a
/// convolution of 1 x 1. With the paper's options it has 31,030,658 parameters.
pub struct UNet {
    down: Vec<Double>,
    bottom: Double,
    /// From the lowest up: the transposed convolution, and what follows it.
    up: Vec<(ConvTranspose2d, Double)>,
    head: Conv2d,
}

impl UNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a number of channels is 0; what the device meets on the way.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::{UNet, UNetOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = UNetOptions { depth: 2, base_width: 4, ..UNetOptions::default() };
    /// let net = UNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 8, 12])?)?.shape()[..], [1, 2, 8, 12]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &UNetOptions) -> Result<UNet> {
        let UNetOptions { in_channels, classes, depth, base_width } = *options;
        let width = |level: usize| base_width << level;
        let twice = ConvTranspose2dOptions { stride: [2, 2], ..ConvTranspose2dOptions::default() };
        let mut down = Vec::new();
        let mut inputs = in_channels;
        for level in 0..depth {
            down.push(Double::new(&scope.at("down").at(level), inputs, width(level))?);
            inputs = width(level);
        }
        let bottom = Double::new(&scope.at("bottom"), inputs, width(depth))?;
        let mut up = Vec::new();
        for level in (0..depth).rev() {
            let scope = scope.at("up").at(depth - 1 - level);
            let doubled = ConvTranspose2d::new(&scope.at("conv"), width(level + 1), width(level), [2, 2], &twice)?;
            up.push((doubled, Double::new(&scope, 2 * width(level), width(level))?));
        }
        let head = Conv2d::new(&scope.at("head"), width(0), classes, [1, 1], &Conv2dOptions::default())?;
        Ok(UNet { down, bottom, up, head })
    }
}

impl Module for UNet {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let multiple = 1 << self.down.len();
        if input.rank() != 4 || input.shape()[2..].iter().any(|size| !size.is_multiple_of(multiple)) {
            let rule = format!("expected [N, C, H, W] with H and W multiples of {multiple}, got {}", input.shape());
            return Err(Error::invalid("UNet", rule));
        }
        let mut x = input.clone();
        let mut skipped = Vec::new();
        for double in &self.down {
            let whole = double.forward(&x)?;
            x = whole.max_pool2d([2, 2], &MaxPool2dOptions::default())?;
            skipped.push(whole);
        }
        x = self.bottom.forward(&x)?;
        for ((doubled, double), whole) in self.up.iter().zip(skipped.iter().rev()) {
            x = double.forward(&Tensor::cat(&[whole, &doubled.forward(&x)?], 1)?)?;
        }
        self.head.forward(&x)
    }
    fn children(&self) -> Vec<&dyn Module> {
        let down = self.down.iter().map(|double| double as &dyn Module);
        let up = self.up.iter().flat_map(|(doubled, double)| [doubled as &dyn Module, double]);
        down.chain([&self.bottom as &dyn Module]).chain(up).chain([&self.head as &dyn Module]).collect()
    }
}

/// Two convolutions of 3 x 3 that keep the size, a ReLU after each.
struct Double {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl Double {
    fn new(scope: &Scope, inputs: usize, outputs: usize) -> Result<Double> {
        let padded = Conv2dOptions { padding: Padding::Explicit([1, 1]), ..Conv2dOptions::default() };
        Ok(Double {
            conv1: Conv2d::new(&scope.at("conv1"), inputs, outputs, [3, 3], &padded)?,
            conv2: Conv2d::new(&scope.at("conv2"), outputs, outputs, [3, 3], &padded)?,
        })
    }
}

impl Module for Double {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.conv2.forward(&self.conv1.forward(input)?.relu()?)?.relu()
    }
    fn children(&self) -> Vec<&dyn Module> {
        vec![&self.conv1, &self.conv2]
    }
}
