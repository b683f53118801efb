//! U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015), with padded
//! convolutions, so that every pixel gets its logits.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, ConvTranspose2d, Module, Scope};
use crate::ops::{Conv2dOptions, ConvTranspose2dOptions, MaxPool2dOptions};
use crate::options::options;

options! {
    /// Options of a [`UNet`]. The default is small; the paper's has one input channel, 2 classes, depth 4 and base
    /// width 64.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    UNetOptions {
        /// Channels of the images.
        in_channels: usize = 3,
        /// Logits a pixel.
        classes: usize = 2,
        /// Number of times the size is halved.
        depth: usize = 3,
        /// Channels at full size; each halving doubles them.
        base_width: usize = 16,
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
    /// From the lowest up.
    up: Vec<Up>,
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
    /// let options = UNetOptions::default().depth(2).base_width(4);
    /// let net = UNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 8, 12])?)?.shape()[..], [1, 2, 8, 12]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &UNetOptions) -> Result<UNet> {
        let UNetOptions { in_channels, classes, depth, base_width } = *options;
        let width = |level: usize| base_width << level;
        let mut down = Vec::new();
        let mut inputs = in_channels;
        for level in 0..depth {
            down.push(Double::new(&scope.at("down").at(level), inputs, width(level))?);
            inputs = width(level);
        }
        let bottom = Double::new(&scope.at("bottom"), inputs, width(depth))?;
        let up = (0..depth).rev().enumerate();
        let up = up.map(|(i, level)| Up::new(&scope.at("up").at(i), width(level))).collect::<Result<_>>()?;
        let head = Conv2d::new(&scope.at("head"), width(0), classes, 1, &Conv2dOptions::default())?;
        Ok(UNet { down, bottom, up, head })
    }
}

impl Module for UNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let multiple = 1 << self.down.len();
        if input.rank() != 4 || input.shape()[2..].iter().any(|size| !size.is_multiple_of(multiple)) {
            let rule = format!("expected [N, C, H, W] with H and W multiples of {multiple}, got {}", input.shape());
            return Err(Error::invalid("UNet", rule));
        }
        let mut x = input.clone();
        let mut skipped = Vec::new();
        for double in &self.down {
            let whole = double.forward(&x)?;
            x = whole.max_pool2d(2, &MaxPool2dOptions::default())?;
            skipped.push(whole);
        }
        x = self.bottom.forward(&x)?;
        for (up, whole) in self.up.iter().zip(skipped.iter().rev()) {
            x = up.forward(&Tensor::cat(&[whole, &up.conv.forward(&x)?], 1)?)?;
        }
        self.head.forward(&x)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; down, bottom, up, head]
    }
}

/// Two convolutions of 3 x 3 that keep the size, a ReLU after each.
struct Double {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl Double {
    fn new(scope: &Scope, inputs: usize, outputs: usize) -> Result<Double> {
        Ok(Double {
            conv1: padded(&scope.at("conv1"), inputs, outputs)?,
            conv2: padded(&scope.at("conv2"), outputs, outputs)?,
        })
    }
}

impl Module for Double {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.conv2.forward(&self.conv1.forward(input)?.relu()?)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, conv2]
    }
}

/// `conv`, which doubles the size and halves the channels, and two convolutions over its result and what `down` had at
/// that size. The network joins those two; the module's input is what it joined.
struct Up {
    conv: ConvTranspose2d,
    conv1: Conv2d,
    conv2: Conv2d,
}

impl Up {
    fn new(scope: &Scope, outputs: usize) -> Result<Up> {
        let twice = ConvTranspose2dOptions::default().stride(2);
        Ok(Up {
            conv: ConvTranspose2d::new(&scope.at("conv"), 2 * outputs, outputs, 2, &twice)?,
            conv1: padded(&scope.at("conv1"), 2 * outputs, outputs)?,
            conv2: padded(&scope.at("conv2"), outputs, outputs)?,
        })
    }
}

impl Module for Up {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.conv2.forward(&self.conv1.forward(input)?.relu()?)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, conv1, conv2]
    }
}

/// A convolution of 3 x 3 that keeps the size.
fn padded(scope: &Scope, inputs: usize, outputs: usize) -> Result<Conv2d> {
    let options = Conv2dOptions::default().padding(1);
    Conv2d::new(scope, inputs, outputs, 3, &options)
}
