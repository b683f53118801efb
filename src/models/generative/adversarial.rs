//! Two networks that train against each other.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::ops::Reduction;
use crate::optim::Optimizer;
use crate::options::options;

options! {
    /// Options of an [adversarial step](AdversarialOptions::step).
    #[derive(Clone, Copy, Debug, PartialEq)]
    AdversarialOptions {
        /// Distance of the discriminator's target for real images below 1 (Salimans et al., "Improved techniques for training
        /// GANs", 2016).
        label_smoothing: f64 = 0.0,
    }
}

/// The losses of an adversarial step, scalars.
#[derive(Clone, Debug)]
pub struct AdversarialLosses {
    /// Cross entropy of the discriminator: that of real images, and that of drawn ones.
    pub discriminator: Tensor,
    /// Cross entropy of drawn images that the discriminator should take for real.
    pub generator: Tensor,
}

impl AdversarialOptions {
    /// One step of each network (Goodfellow et al., "Generative adversarial nets", 2014, with the loss that doesn't saturate):
    /// first the discriminator learns to tell `real` images from those that the generator draws of `noise`, and then the
    /// generator to draw these so that the new discriminator takes them for real.
    ///
    /// The discriminator maps images to logits, `[N]`. It sees real and drawn images in separate batches, so that their
    /// statistics in its norms differ, as in PyTorch's DCGAN tutorial. Nothing is read back.
    ///
    /// ```
    /// use wgrad::models::generative::{AdversarialOptions, DcganDiscriminator, DcganGenerator, DcganOptions};
    /// use wgrad::optim::{Adam, AdamOptions};
    /// # use wgrad::{Device, Tensor, nn::Scope};
    /// # let device = Device::reference();
    /// let options = DcganOptions::default().image_size(8).channels(1).latent(4).generator_width(2).discriminator_width(2);
    /// let generator = DcganGenerator::new(&Scope::new(&device), &options)?;
    /// let discriminator = DcganDiscriminator::new(&Scope::new(&device), &options)?;
    /// let adam = AdamOptions::default().lr(2e-4).betas((0.5, 0.999));
    /// let (mut draws, mut tells) = (Adam::new(&generator, adam)?, Adam::new(&discriminator, adam)?);
    /// let (real, noise) = (Tensor::rand(&device, &[3, 1, 8, 8])?, Tensor::randn(&device, &[3, 4])?);
    /// let losses = AdversarialOptions::default()
    ///     .step((&generator, &mut draws), (&discriminator, &mut tells), &real, &noise)?;
    /// assert!(losses.discriminator.item::<f32>()? > 0.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the networks and the optimizers.
    pub fn step(
        &self,
        (generator, draws): (&dyn Module, &mut dyn Optimizer),
        (discriminator, tells): (&dyn Module, &mut dyn Optimizer),
        real: &Tensor,
        noise: &Tensor,
    ) -> Result<AdversarialLosses> {
        let drawn = generator.forward(noise)?;
        let of_real = taken_for(1.0 - self.label_smoothing, &discriminator.forward(real)?)?;
        let of_drawn = taken_for(0.0, &discriminator.forward(&drawn.detach())?)?;
        let loss_of_discriminator = (of_real + of_drawn)?;
        loss_of_discriminator.backward()?;
        tells.step()?;
        discriminator.zero_grad();

        let loss_of_generator = taken_for(1.0, &discriminator.forward(&drawn)?)?;
        loss_of_generator.backward()?;
        // Gradients that are forgotten before anything asks for them are never computed.
        discriminator.zero_grad();
        draws.step()?;
        generator.zero_grad();
        Ok(AdversarialLosses { discriminator: loss_of_discriminator.detach(), generator: loss_of_generator.detach() })
    }
}

/// The cross entropy of logits with one target for all.
fn taken_for(target: f64, logits: &Tensor) -> Result<Tensor> {
    let target = Tensor::filled(logits.device(), logits.shape(), target)?;
    logits.binary_cross_entropy_with_logits(&target, None, None, Reduction::Mean)
}

/// The relativistic average losses (Jolicoeur-Martineau, "The relativistic discriminator", 2018, as ESRGAN has them): real images
/// should look more real than drawn ones do on average, and drawn ones less than real ones do.
///
/// The losses from the discriminator's logits `[N]`: its own is `bce(real - mean(drawn), 1) + bce(drawn - mean(real), 0)`, the
/// generator's the same with 0 and 1 swapped.
///
/// # Errors
/// Those of [`Tensor::binary_cross_entropy_with_logits`].
///
/// ```
/// # use wgrad::{Device, Tensor, models::generative::relativistic_losses};
/// let same = Tensor::zeros(&Device::reference(), &[3])?;
/// let losses = relativistic_losses(&same, &same)?;
/// assert!((losses.generator.item::<f32>()? - 2.0 * 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn relativistic_losses(real: &Tensor, drawn: &Tensor) -> Result<AdversarialLosses> {
    let (real, drawn) = ((real - drawn.mean_all()?)?, (drawn - real.mean_all()?)?);
    Ok(AdversarialLosses {
        discriminator: (taken_for(1.0, &real)? + taken_for(0.0, &drawn)?)?,
        generator: (taken_for(0.0, &real)? + taken_for(1.0, &drawn)?)?,
    })
}
