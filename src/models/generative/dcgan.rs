//! DCGAN (Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
//! networks", 2015).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, ConvTranspose2d, LeakyRelu, Module, Relu, Scope, Sequential, Tanh, init};
use crate::nn::{BatchNorm2d, BatchNormLayerOptions};
use crate::ops::{Conv2dOptions, ConvTranspose2dOptions};
use crate::options::options;

/// The deviation of the first weights.
const STD: f64 = 0.02;
/// The side of the smallest maps.
const SMALLEST: usize = 4;

options! {
    /// Options of both networks of a DCGAN. The default is the paper's, for images of 64 x 64.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    DcganOptions {
        /// Height and width of the images, a power of two from 8 on.
        image_size: usize = 64,
        /// Channels of the images.
        channels: usize = 3,
        /// Size of the latent vector of an image.
        latent: usize = 100,
        /// Channels of the generator's largest maps; each halving of their size doubles them.
        generator_width: usize = 64,
        /// Channels of the discriminator's largest maps; each halving of their size doubles them.
        discriminator_width: usize = 64,
    }
}

impl DcganOptions {
    /// The number of times that the size doubles, from the smallest maps on.
    fn doublings(&self, network: &'static str) -> Result<usize> {
        let DcganOptions { image_size, channels, latent, generator_width, discriminator_width } = *self;
        if !image_size.is_power_of_two() || image_size < 2 * SMALLEST {
            return Err(Error::invalid(network, format!("image_size {image_size} is no power of two from 8 on")));
        }
        if [channels, latent, generator_width, discriminator_width].contains(&0) {
            let rule = format!("none of channels, latent and widths may be 0: {self:?}");
            return Err(Error::invalid(network, rule));
        }
        Ok((image_size / SMALLEST).ilog2() as usize)
    }
}

/// Draws images between -1 and 1 from random numbers: `[N, latent] -> [N, channels, S, S]`.
///
/// `main` holds transposed convolutions of 4 x 4 without biases: the first makes maps of 4 x 4 of the numbers, each of the others
/// doubles the size. Batch norm and ReLU follow all but the last, tanh the last. Parameters have the names of PyTorch's DCGAN
/// tutorial. Weights start normal with deviation 0.02, those of norms around 1.
pub struct DcganGenerator {
    main: Sequential,
    latent: usize,
}

impl DcganGenerator {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size that is not a power of two or below 8, and if something is 0; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::generative::{DcganGenerator, DcganOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = DcganOptions::default().image_size(16).channels(1).latent(6).generator_width(4);
    /// let net = DcganGenerator::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::randn(&device, &[2, 6])?)?.shape()[..], [2, 1, 16, 16]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &DcganOptions) -> Result<DcganGenerator> {
        let doublings = options.doublings("DcganGenerator")?;
        let &DcganOptions { channels, latent, generator_width: width, .. } = options;
        let double = ConvTranspose2dOptions::default().stride(2).padding(1);
        let conv =
            |s: &Scope, inputs, outputs, options: &_| ConvTranspose2d::without_bias(s, inputs, outputs, 4, options);
        let mut outputs = width << (doublings - 1);
        let first = |s: &Scope| conv(s, latent, outputs, &ConvTranspose2dOptions::default());
        let mut main = activated(Sequential::new(&scope.at("main")).make(first)?, outputs)?;
        for _ in 1..doublings {
            main = activated(main.make(|s| conv(s, outputs, outputs / 2, &double))?, outputs / 2)?;
            outputs /= 2;
        }
        let main = main.make(|s| conv(s, outputs, channels, &double))?.push(Tanh);
        draw(&main)?;
        Ok(DcganGenerator { main, latent })
    }
}

/// Layers with a norm and a rectifier behind them.
fn activated(layers: Sequential, channels: usize) -> Result<Sequential> {
    Ok(layers.make(|s| BatchNorm2d::new(s, channels, &BatchNormLayerOptions::default()))?.push(Relu))
}

impl Module for DcganGenerator {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        match input.shape()[..] {
            [_, latent] if latent == self.latent => self.main.forward(&input.unsqueeze(-1)?.unsqueeze(-1)?),
            _ => {
                let rule = format!("expected [N, {}], got {}", self.latent, input.shape());
                Err(Error::invalid("DcganGenerator", rule))
            }
        }
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; main]
    }
}

/// Distinguishes generated images from real ones: `[N, channels, S, S] -> [N]` logits, which are above 0 for real ones.
///
/// `main` holds convolutions of 4 x 4 without biases: each halves the size down to 4 x 4, the last makes a logit of the rest.
/// Batch norm follows those between the first and the last, leaky ReLU of slope 0.2 all but the last. Names and initial weights
/// are as the [generator](DcganGenerator)'s.
pub struct DcganDiscriminator {
    main: Sequential,
}

impl DcganDiscriminator {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// As [`DcganGenerator::new`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::generative::{DcganDiscriminator, DcganOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let options = DcganOptions::default().image_size(16).channels(1).discriminator_width(4);
    /// let net = DcganDiscriminator::new(&Scope::new(&device), &options)?;
    /// assert_eq!(net.forward(&Tensor::zeros(&device, &[2, 1, 16, 16])?)?.shape()[..], [2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &DcganOptions) -> Result<DcganDiscriminator> {
        let doublings = options.doublings("DcganDiscriminator")?;
        let &DcganOptions { channels, discriminator_width: mut width, .. } = options;
        let halve = Conv2dOptions::default().stride(2).padding(1);
        let conv = |s: &Scope, inputs, outputs, options: &_| Conv2d::without_bias(s, inputs, outputs, 4, options);
        let leaky = || LeakyRelu { negative_slope: 0.2 };
        let mut main = Sequential::new(&scope.at("main")).make(|s| conv(s, channels, width, &halve))?.push(leaky());
        for _ in 1..doublings {
            let layers = main.make(|s| conv(s, width, 2 * width, &halve))?;
            width *= 2;
            main = layers.make(|s| BatchNorm2d::new(s, width, &BatchNormLayerOptions::default()))?.push(leaky());
        }
        let main = main.make(|s| conv(s, width, 1, &Conv2dOptions::default()))?;
        draw(&main)?;
        Ok(DcganDiscriminator { main })
    }
}

impl Module for DcganDiscriminator {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.main.forward(input)?.flatten(0, -1)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; main]
    }
}

/// Draws the weights of convolutions around 0, and those of norms around 1.
fn draw(module: &dyn Module) -> Result<()> {
    for weight in module.parameters().iter().filter(|parameter| parameter.name().ends_with(".weight")) {
        let mean = if weight.value().rank() == 4 { 0.0 } else { 1.0 };
        init::normal(weight, mean, STD)?;
    }
    Ok(())
}
