//! Blurred, sharpened and noisy images.

use super::functional::{self, Numbers, add_noise};
use super::{Draws, Transform, Views, check_probability};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::options::As;
use rand::RngCore;

/// Each image blurred by a Gaussian of its own width; see [`gaussian_blur`](functional::gaussian_blur).
#[derive(Clone, Copy, Debug)]
pub struct GaussianBlur {
    kernel_size: [usize; 2],
    sigma: [f64; 2],
}

impl GaussianBlur {
    /// With the kernel's sizes in x and y, and the least and the largest deviation, drawn evenly; torchvision's default
    /// is 0.1 to 2.
    ///
    /// # Errors
    /// [`Error::Invalid`] for sizes that are even, and deviations that descend or are not positive.
    pub fn new(kernel_size: impl As<[usize; 2]>, sigma: [f64; 2]) -> Result<GaussianBlur> {
        const OP: &str = "GaussianBlur";
        let kernel_size = kernel_size.convert();
        if kernel_size.iter().any(|size| size % 2 == 0) {
            return Err(Error::invalid(OP, format!("the kernel's sizes {kernel_size:?} must be odd")));
        }
        let is_range = 0.0 < sigma[0] && sigma[0] <= sigma[1] && sigma[1].is_finite();
        if !is_range {
            return Err(Error::invalid(OP, format!("sigma is {sigma:?}; it must be positive and ascend")));
        }
        Ok(GaussianBlur { kernel_size, sigma })
    }
}

impl Transform for GaussianBlur {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.one_size("GaussianBlur")?;
        let sigma: Vec<f64> = draws.each(|image| image.uniform(self.sigma[0], self.sigma[1]));
        views.change_images(|images| {
            let sigma = Numbers::Each(Tensor::from_f64(images.device(), &sigma, &[sigma.len()])?);
            functional::gaussian_blur(images, self.kernel_size, Some([sigma.clone(), sigma]))
        })
    }
}

/// Adds separate noise to each image; see [`gaussian_noise`](functional::gaussian_noise).
#[derive(Clone, Copy, Debug)]
pub struct GaussianNoise {
    mean: f64,
    sigma: f64,
    clip: bool,
}

impl GaussianNoise {
    /// With the noise's mean and deviation, in units of the values' range, and a flag that keeps values within this
    /// range; torchvision's defaults are 0, 0.1 and true.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative deviation.
    pub fn new(mean: f64, sigma: f64, clip: bool) -> Result<GaussianNoise> {
        if sigma.is_nan() || sigma < 0.0 {
            return Err(Error::invalid("GaussianNoise", format!("sigma is {sigma}; it must not be negative")));
        }
        Ok(GaussianNoise { mean, sigma, clip })
    }
}

impl Transform for GaussianNoise {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let keys = noise_keys(draws);
        views.change_images(|images| {
            let noise = noise(images, &keys)?.mul_scalar(self.sigma)?.add_scalar(self.mean)?;
            add_noise(images, &noise, self.clip)
        })
    }
}

/// Keys of the noise of each image.
pub(super) fn noise_keys(draws: &mut Draws) -> Vec<i32> {
    draws.each(|image| [image.next_u32().cast_signed(), image.next_u32().cast_signed()]).concat()
}

/// Normally distributed numbers for images, generated from keys.
pub(super) fn noise(images: &Tensor, keys: &[i32]) -> Result<Tensor> {
    let keys = Tensor::from_slice(images.device(), keys, &[images.shape()[0], 2])?;
    Tensor::image_noise(*images.shape(), &keys)
}

/// Each image sharpened or blurred with probability `p`; see [`adjust_sharpness`](functional::adjust_sharpness).
#[derive(Clone, Copy, Debug)]
pub struct RandomAdjustSharpness {
    sharpness_factor: f64,
    p: f64,
}

impl RandomAdjustSharpness {
    /// With a factor and a probability; torchvision's default is 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative factor, and a probability that is not between 0 and 1.
    pub fn new(sharpness_factor: f64, p: f64) -> Result<RandomAdjustSharpness> {
        const OP: &str = "RandomAdjustSharpness";
        if sharpness_factor.is_nan() || sharpness_factor < 0.0 {
            let rule = format!("sharpness_factor is {sharpness_factor}; it must not be negative");
            return Err(Error::invalid(OP, rule));
        }
        Ok(RandomAdjustSharpness { sharpness_factor, p: check_probability(OP, p)? })
    }
}

impl Transform for RandomAdjustSharpness {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.one_size("RandomAdjustSharpness")?;
        let chosen = draws.each(|image| image.chance(self.p));
        views.among(&chosen, |views| {
            views.change_images(|images| functional::adjust_sharpness(images, self.sharpness_factor))
        })
    }
}
