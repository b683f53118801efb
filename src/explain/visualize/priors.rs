//! Properties of pictures that are known before a network is asked.

use crate::error::{Error, Result};
use crate::explain::ablation::sizes;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::PadMode;
use crate::options::options;
use crate::transforms::functional::gaussian_blur;

/// Keeps roots of squared differences differentiable where a picture is flat.
const EPS: f64 = 1e-12;

options! {
    /// Weights of penalties that ascent subtracts, each a mean over an image's elements, so that they hold for all sizes.
    #[derive(Clone, Copy, Debug)]
    Priors {
        /// The weight of [`total_variation`].
        total_variation: f64 = 0.0,
        /// Its exponent.
        beta: f64 = 2.0,
        /// The weight of `|x - 1/2|^alpha`: the L2 penalty for an `alpha` of 2, a soft bound of the range for 6.
        norm: f64 = 0.0,
        /// Its exponent.
        alpha: f64 = 2.0,
        /// The weight of `(x - blurred x)^2 / 2`, with the blurred picture taken for a number: a step along it is a blur of this
        /// strength (Yosinski et al., "Understanding Neural Networks Through Deep Visualization", 2015).
        blur: f64 = 0.0,
        /// The blur's deviation in pixels.
        sigma: f64 = 1.0,
    }
}

/// `sum of ((x[i, j + 1] - x[i, j])^2 + (x[i + 1, j] - x[i, j])^2 + 1e-12)^(beta / 2)` over all pixels and channels of each image
/// `[N, C, H, W]`, with no difference past the edges: `[N]` (Mahendran and Vedaldi, "Understanding Deep Image Representations by
/// Inverting Them", 2014). With a `beta` of 1 it is the total variation, with 2 edges cost more the sharper they are.
///
/// ```
/// # use wgrad::{Device, Tensor, explain::total_variation};
/// let step = Tensor::from_slice(&Device::reference(), &[0.0f32, 0.0, 3.0, 3.0], &[1, 1, 2, 2])?;
/// assert!((total_variation(&step, 2.0)?.item::<f32>()? - 18.0).abs() < 1e-4);
/// assert!((total_variation(&step, 1.0)?.item::<f32>()? - 6.0).abs() < 1e-4);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for images of another rank or without pixels.
pub fn total_variation(images: &Tensor, beta: f64) -> Result<Tensor> {
    let [_, _, height, width] = sizes("total_variation", images)?;
    if height * width == 0 {
        return Err(Error::invalid("total_variation", format!("images {} have no pixels", images.shape())));
    }
    let across = (images.pad(&[0, 1, 0, 0], PadMode::Replicate)?.narrow(3, 1, width)? - images)?;
    let down = (images.pad(&[0, 0, 0, 1], PadMode::Replicate)?.narrow(2, 1, height)? - images)?;
    let squares = ((across.square()? + down.square()?)? + EPS)?;
    squares.pow_scalar(beta / 2.0)?.flatten(1, -1)?.sum(1)
}

impl Priors {
    /// The weighted sum of penalties of images `[N, C, H, W]`: `[N]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a weight that is negative, images of another rank or without pixels.
    pub fn penalty(&self, images: &Tensor) -> Result<Tensor> {
        const OP: &str = "Priors";
        let weights = [self.total_variation, self.norm, self.blur];
        if !weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) {
            return Err(Error::invalid(OP, format!("weights of priors are {weights:?}; none may be negative")));
        }
        let [count, channels, height, width] = sizes(OP, images)?;
        let elements = (channels * height * width) as f64;
        let mut sum = Tensor::zeros(images.device(), &[count])?;
        if self.total_variation > 0.0 {
            sum = (sum + (total_variation(images, self.beta)? * (self.total_variation / elements))?)?;
        }
        if self.norm > 0.0 {
            let powers = (images - 0.5)?.abs()?.pow_scalar(self.alpha)?;
            sum = (sum + (powers.flatten(1, -1)?.mean(1)? * self.norm)?)?;
        }
        if self.blur > 0.0 {
            // Three deviations to each side, as far as the image's reflection reaches.
            let reach = nearest::<usize>((3.0 * self.sigma).ceil()).min(height.min(width) - 1);
            let blurred = gaussian_blur(&images.detach(), 2 * reach + 1, Some([self.sigma.into(), self.sigma.into()]))?;
            let squares = (images - blurred)?.square()?;
            sum = (sum + (squares.flatten(1, -1)?.mean(1)? * (self.blur / 2.0))?)?;
        }
        Ok(sum)
    }
}
