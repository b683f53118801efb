//! U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015), with padded
//! convolutions, so that every pixel gets its logits.

use super::resized;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv2d, ConvTranspose2d, MaxPool2d, Module, Relu, Scope, Sequential,
};
use crate::ops::{Conv2dOptions, ConvTranspose2dOptions};
use crate::options::options;

/// The way up of a [`UNet`], from each level to one of twice the size and half the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UNetUpsampling {
    /// By transposed convolutions of 2 x 2, as in the paper; images have sizes that are multiples of `2^depth`.
    #[default]
    Transposed,
    /// By resizing with straight lines between pixels and a convolution of 3 x 3, which draws no checkerboards (Odena et al.,
    /// "Deconvolution and Checkerboard Artifacts", 2016); images have any size of at least `2^depth`.
    Resized,
}

options! {
    /// Options of a [`UNet`]. The default is small; the paper's has one channel, 2 classes, depth 4 and base width 64.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    UNetOptions {
        /// Channels of the images.
        channels: usize = 3,
        /// Logits a pixel.
        classes: usize = 2,
        /// Number of times the size is halved.
        depth: usize = 3,
        /// Channels at full size; each halving doubles them.
        base_width: usize = 16,
        /// The way up.
        upsampling: UNetUpsampling = UNetUpsampling::Transposed,
        /// Puts batch normalization between each convolution of 3 x 3 and its ReLU, which the paper is older than.
        batch_norm: bool = false,
    }
}

impl UNetOptions {
    /// Channels of a level; none where they are too many for a number.
    fn width(&self, level: usize) -> Result<usize> {
        let factor = u32::try_from(level).ok().and_then(|level| 2usize.checked_pow(level));
        factor.and_then(|factor| self.base_width.checked_mul(factor)).ok_or_else(|| {
            let UNetOptions { depth, base_width, .. } = self;
            Error::invalid("UNet", format!("depth {depth} with base_width {base_width} has too many channels"))
        })
    }
}

/// U-Net: `[N, channels, H, W] -> [N, classes, H, W]` logits.
///
/// `down` halves the size `depth` times, each time after two convolutions of 3 x 3 with ReLU; `bottom` is two more; `up` doubles
/// the size, appends the output of `down` at that size, and is two convolutions over both; `head` is a convolution of 1 x 1. With
/// the paper's options it has 31,030,658 parameters.
pub struct UNet {
    upsampling: UNetUpsampling,
    down: Vec<Sequential>,
    pool: MaxPool2d,
    bottom: Sequential,
    /// From the lowest up.
    up: Vec<Up>,
    head: Conv2d,
}

impl UNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a number of channels is 0 or too large; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::segmentation::{UNet, UNetOptions, UNetUpsampling};
    /// # let device = Device::reference();
    /// let options = UNetOptions::default().depth(2).base_width(4).upsampling(UNetUpsampling::Resized);
    /// let net = UNet::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[1, 3, 9, 14])?)?.shape()[..], [1, 2, 9, 14]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &UNetOptions) -> Result<UNet> {
        let UNetOptions { channels, classes, depth, base_width, upsampling, .. } = *options;
        options.width(depth)?;
        let mut down = Vec::new();
        let mut inputs = channels;
        for level in 0..depth {
            let width = options.width(level)?;
            down.push(double(&scope.at("down").at(level), inputs, width, options)?);
            inputs = width;
        }
        let bottom = double(&scope.at("bottom"), inputs, options.width(depth)?, options)?;
        let up = (0..depth).rev().enumerate();
        let up = up.map(|(i, level)| Up::new(&scope.at("up").at(i), options.width(level)?, options));
        let up = up.collect::<Result<_>>()?;
        let head = Conv2d::new(&scope.at("head"), base_width, classes, 1, &Conv2dOptions::default())?;
        Ok(UNet { upsampling, down, pool: MaxPool2d::new(2), bottom, up, head })
    }

    /// Refuses images that can't be halved so often, or would not have their size again.
    fn check(&self, input: &Tensor) -> Result<()> {
        let depth = u32::try_from(self.down.len()).ok();
        let halved = depth.and_then(|depth| 2usize.checked_pow(depth)).unwrap_or(usize::MAX);
        let (sizes, fits): (_, fn(usize, usize) -> bool) = match self.upsampling {
            UNetUpsampling::Transposed => ("multiples of", |size, halved| size.is_multiple_of(halved)),
            UNetUpsampling::Resized => ("at least", |size, halved| size >= halved),
        };
        if input.rank() == 4 && input.shape()[2..].iter().all(|&size| fits(size, halved)) {
            return Ok(());
        }
        let rule = format!("expected [N, C, H, W] with H and W {sizes} {halved}, got {}", input.shape());
        Err(Error::invalid("UNet", rule))
    }
}

impl Module for UNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.check(input)?;
        let mut x = input.clone();
        let mut skipped = Vec::new();
        for double in &self.down {
            let whole = double.forward(&x)?;
            x = self.pool.forward(&whole)?;
            skipped.push(whole);
        }
        x = self.bottom.forward(&x)?;
        for (up, whole) in self.up.iter().zip(skipped.iter().rev()) {
            if self.upsampling == UNetUpsampling::Resized {
                x = resized(&x, whole)?;
            }
            x = up.forward(&Tensor::cat(&[whole, &up.conv.forward(&x)?], 1)?)?;
        }
        self.head.forward(&x)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; down, pool, bottom, up, head]
    }
}

/// Two convolutions of 3 x 3 that keep the size, a ReLU after each.
fn double(scope: &Scope, inputs: usize, outputs: usize, options: &UNetOptions) -> Result<Sequential> {
    [inputs, outputs].into_iter().zip(1..).try_fold(Sequential::new(scope), |layers, (inputs, number)| {
        let layers = layers.make_named(format!("conv{number}"), |s| same(s, inputs, outputs))?;
        let layers = match options.batch_norm {
            true => layers.make_named(format!("bn{number}"), |s| {
                BatchNorm2d::new(s, outputs, &BatchNormLayerOptions::default())
            })?,
            false => layers,
        };
        Ok(layers.push_named(format!("relu{number}"), Relu))
    })
}

/// `conv`, which halves the channels, and two convolutions over its result and the output of `down` at that size. The network
/// joins the two; the module's input is the joined tensor.
struct Up {
    conv: Box<dyn Module>,
    double: Sequential,
}

impl Up {
    fn new(scope: &Scope, outputs: usize, options: &UNetOptions) -> Result<Up> {
        let (inputs, at) = (2 * outputs, scope.at("conv"));
        let twice = ConvTranspose2dOptions::default().stride(2);
        let conv: Box<dyn Module> = match options.upsampling {
            UNetUpsampling::Transposed => Box::new(ConvTranspose2d::new(&at, inputs, outputs, 2, &twice)?),
            UNetUpsampling::Resized => Box::new(same(&at, inputs, outputs)?),
        };
        Ok(Up { conv, double: double(scope, inputs, outputs, options)? })
    }
}

impl Module for Up {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.double.call(input)
    }
    fn children(&self) -> nn::Children<'_> {
        std::iter::once(("conv".to_string(), &*self.conv)).chain(self.double.children()).collect()
    }
}

/// A convolution of 3 x 3 that keeps the size.
fn same(scope: &Scope, inputs: usize, outputs: usize) -> Result<Conv2d> {
    Conv2d::new(scope, inputs, outputs, 3, &Conv2dOptions::default().padding(1))
}
