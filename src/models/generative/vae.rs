//! A convolutional variational autoencoder (Kingma and Welling, "Auto-encoding variational Bayes", 2013; the weight of the
//! divergence is that of Higgins et al., "beta-VAE", 2017).

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Conv2d, ConvTranspose2d, Linear, Module, Relu, Scope, Sequential};
use crate::ops::{Conv2dOptions, ConvTranspose2dOptions, Reduction};
use crate::options::options;

options! {
    /// Options of a [`Vae`].
    #[derive(Clone, Debug, PartialEq)]
    VaeOptions {
        /// Height and width of the images, multiples of 2 to the number of widths.
        image_size: [usize; 2] = [28, 28],
        /// Channels of the images.
        channels: usize = 1,
        /// Channels of the maps, from the largest to the smallest, each half as large as the one before.
        widths: Vec<usize> = vec![32, 64],
        /// Numbers of a code.
        latent: usize = 16,
        /// Weight of the divergence in the loss: 1 for a bound of the likelihood, more for codes whose numbers are independent.
        beta: f64 = 1.0,
    }
}

/// A variational autoencoder of images between 0 and 1, each of whose pixels is the probability of a one.
/// [`forward`](Module::forward) reconstructs images from the means of their codes: `[N, channels, H, W]` to the same shape.
///
/// `encoder` holds convolutions of 4 x 4 with stride 2 and ReLU; `mean` and `log_var` are linear. `expand` is linear, with ReLU,
/// and `decoder` holds transposed convolutions of 4 x 4 that double the size, with ReLU between them.
pub struct Vae {
    encoder: Sequential,
    mean: Linear,
    log_var: Linear,
    expand: Linear,
    decoder: Sequential,
    /// Channels, height and width of the smallest maps.
    smallest: [usize; 3],
    beta: f64,
}

/// The normal distributions of codes, `[N, latent]`.
#[derive(Clone, Debug)]
pub struct VaeCodes {
    /// The means.
    pub mean: Tensor,
    /// The logarithms of the variances.
    pub log_var: Tensor,
}

/// The losses of a batch, scalars: sums over an image's pixels or a code's numbers in nats, in the mean over images.
#[derive(Clone, Debug)]
pub struct VaeLosses {
    /// The cross entropy of the images' pixels.
    pub reconstruction: Tensor,
    /// The divergence of the codes from standard normal ones.
    pub divergence: Tensor,
    beta: f64,
}

impl VaeCodes {
    /// Codes at standard normal numbers `[N, latent]` of the distributions: `mean + exp(log_var / 2) noise`.
    ///
    /// # Errors
    /// [`Error::Broadcast`].
    pub fn at(&self, noise: &Tensor) -> Result<Tensor> {
        &self.mean + (self.log_var.mul_scalar(0.5)?.exp()? * noise)?
    }

    /// Codes drawn from the device's random stream, whose gradients reach means and variances.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn sample(&self) -> Result<Tensor> {
        self.at(&self.mean.randn_like()?)
    }

    /// The divergence of each code from a standard normal one, `[N]`:
    /// `sum over numbers of (mean^2 + exp(log_var) - 1 - log_var) / 2`.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn divergence(&self) -> Result<Tensor> {
        ((self.mean.square()? + self.log_var.exp()?)? - (&self.log_var + 1.0)?)?.sum(1)? * 0.5
    }
}

impl VaeLosses {
    /// The loss: `reconstruction + beta divergence`.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn total(&self) -> Result<Tensor> {
        &self.reconstruction + (&self.divergence * self.beta)?
    }

    /// The evidence lower bound, of which an image's log likelihood is no less: `-(reconstruction + divergence)`.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn elbo(&self) -> Result<Tensor> {
        (&self.reconstruction + &self.divergence)?.neg()
    }
}

impl Vae {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no widths, or the images can't be halved as often; errors of the device.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::generative::{Vae, VaeOptions}, nn::{Module, Scope}};
    /// # let device = Device::reference();
    /// let net = Vae::new(&Scope::new(&device), &VaeOptions::default().image_size(8).widths([4, 6]).latent(3))?;
    /// let images = Tensor::rand(&device, &[2, 1, 8, 8])?;
    /// let codes = net.encode(&images)?;
    /// net.losses(&codes, &net.decode(&codes.sample()?)?, &images)?.total()?.backward()?;
    /// let new = net.decode(&Tensor::randn(&device, &[5, 3])?)?.sigmoid()?;
    /// assert_eq!(new.shape()[..], [5, 1, 8, 8]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &VaeOptions) -> Result<Vae> {
        let VaeOptions { image_size, channels, ref widths, latent, beta } = *options;
        let Some(&narrowest) = widths.last() else {
            return Err(Error::invalid("Vae", "widths is empty; there must be a convolution at least"));
        };
        let parts = 1 << widths.len();
        if image_size.iter().any(|&size| size == 0 || size % parts != 0) {
            let [height, width] = image_size;
            let rule = format!("{height} x {width} can't be halved {} times: multiples of {parts} can", widths.len());
            return Err(Error::invalid("Vae", rule));
        }
        let smallest = [narrowest, image_size[0] / parts, image_size[1] / parts];
        let pixels = smallest.iter().product();
        let halve = Conv2dOptions::default().stride(2).padding(1);
        let double = ConvTranspose2dOptions::default().stride(2).padding(1);
        let mut encoder = Sequential::new(&scope.at("encoder"));
        let sizes = [&[channels], &widths[..]].concat();
        for pair in sizes.windows(2) {
            encoder = encoder.make(|s| Conv2d::new(s, pair[0], pair[1], 4, &halve))?.push(Relu);
        }
        let mut decoder = Sequential::new(&scope.at("decoder"));
        for (level, pair) in sizes.windows(2).enumerate().rev() {
            decoder = decoder.make(|s| ConvTranspose2d::new(s, pair[1], pair[0], 4, &double))?;
            decoder = if level > 0 { decoder.push(Relu) } else { decoder };
        }
        Ok(Vae {
            encoder,
            mean: Linear::new(&scope.at("mean"), pixels, latent)?,
            log_var: Linear::new(&scope.at("log_var"), pixels, latent)?,
            expand: Linear::new(&scope.at("expand"), latent, pixels)?,
            decoder,
            smallest,
            beta,
        })
    }

    /// The codes of images.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn encode(&self, images: &Tensor) -> Result<VaeCodes> {
        let features = self.encoder.forward(images)?.flatten(1, -1)?;
        Ok(VaeCodes { mean: self.mean.forward(&features)?, log_var: self.log_var.forward(&features)? })
    }

    /// The logits of images' pixels, `[N, channels, H, W]`, for codes `[N, latent]`.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        let maps = self.expand.forward(codes)?.relu()?.unflatten(1, &self.smallest.map(|size| size as isize))?;
        self.decoder.forward(&maps)
    }

    /// The losses of images between 0 and 1, for their codes and the logits decoded from samples of these.
    ///
    /// # Errors
    /// Those of [`Tensor::binary_cross_entropy_with_logits`].
    pub fn losses(&self, codes: &VaeCodes, logits: &Tensor, images: &Tensor) -> Result<VaeLosses> {
        let errors = logits.binary_cross_entropy_with_logits(images, None, None, Reduction::None)?;
        let reconstruction = errors.sum([1, 2, 3])?.mean_all()?;
        Ok(VaeLosses { reconstruction, divergence: codes.divergence()?.mean_all()?, beta: self.beta })
    }
}

impl Module for Vae {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.decode(&self.encode(input)?.mean)?.sigmoid()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; encoder, mean, log_var, expand, decoder]
    }
}
