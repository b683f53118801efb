//! Structural similarity at several scales.

use super::ScoreMean;
use super::ssim::{StructuralSimilarityOptions, maps};
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::Metric;
use crate::ops::AvgPool2dOptions;
use crate::options::options;

const OP: &str = "multiscale_structural_similarity";

/// The treatment of similarities below 0, which have no powers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiscaleNormalize {
    /// Nothing: their powers are NaN.
    None,
    /// They become 0.
    #[default]
    Relu,
    /// `(x + 1) / 2` of all.
    Simple,
}

options! {
    /// Options of [`multiscale_structural_similarity`].
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    MultiscaleStructuralSimilarityOptions {
        /// Options of each scale.
        ssim: StructuralSimilarityOptions = StructuralSimilarityOptions::default(),
        /// The exponent of each scale, from the finest on.
        betas: Vec<f64> = vec![0.0448, 0.2856, 0.3001, 0.2363, 0.1333],
        /// The treatment of similarities below 0.
        normalize: MultiscaleNormalize = MultiscaleNormalize::Relu,
    }
}

/// Refuses images too small for the scales.
fn check(preds: &Tensor, options: &MultiscaleStructuralSimilarityOptions) -> Result<()> {
    let scales = options.betas.len();
    let fault = |rule: String| Err(Error::invalid(OP, rule));
    let &[_, _, height, width] = &preds.shape()[..] else {
        return fault(format!("images must be [N, C, H, W]; got {}", preds.shape()));
    };
    if !(1..usize::BITS as usize).contains(&scales) {
        return fault(format!("{scales} betas; one a scale, and there must be some"));
    }
    // torchmetrics' rule, which goes by `kernel_size` for Gaussians too.
    let steps = (scales - 1).max(1).pow(2);
    for (size, kernel) in [(height, options.ssim.kernel_size[0]), (width, options.ssim.kernel_size[1])] {
        let least = (1 << scales).max((kernel.max(1)) * steps);
        if size < least {
            return fault(format!(
                "{scales} scales with a kernel of {kernel} need {least} pixels; got {height} x {width}"
            ));
        }
    }
    Ok(())
}

/// Structural similarity of each image at several scales (Wang et al. 2003), `[N, C, H, W]` twice to `[N]`:
/// `product of contrast[i]^betas[i]` over the scales but the last, times `similarity^betas` of the last. Each scale is the mean
/// of 2 x 2 pixels of the one before; contrast is [`structural_similarity`](super::structural_similarity) without the ratio of
/// brightness, over pixels whose kernel is inside the image. It has a gradient.
///
/// # Errors
/// As [`structural_similarity`](super::structural_similarity), and [`Error::Invalid`] for images of less than `2^scales` pixels,
/// or `kernel_size * (scales - 1)^2`.
///
/// ```
/// use wgrad::metrics::{MultiscaleStructuralSimilarityOptions, multiscale_structural_similarity};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let images = Tensor::rand(&device, &[1, 1, 48, 48])?;
/// let options = MultiscaleStructuralSimilarityOptions::default().betas(vec![0.3, 0.4, 0.3]);
/// let same = multiscale_structural_similarity(&images, &images, &options)?;
/// assert!((same.item::<f32>()? - 1.0).abs() < 1e-5);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn multiscale_structural_similarity(
    preds: &Tensor,
    target: &Tensor,
    options: &MultiscaleStructuralSimilarityOptions,
) -> Result<Tensor> {
    check(preds, options)?;
    let [down, right] = options.ssim.kernels(OP)?.map(|kernel| kernel.len() / 2);
    let (mut preds, mut target) = (preds.clone(), target.clone());
    let mut product: Option<Tensor> = None;
    for (scale, &beta) in options.betas.iter().enumerate() {
        let [similarity, contrast] = maps(OP, &preds, &target, &options.ssim)?;
        let is_last = scale + 1 == options.betas.len();
        let (height, width) = (contrast.shape()[2], contrast.shape()[3]);
        let score = if is_last {
            similarity
        } else {
            let inner = [height.saturating_sub(2 * down), width.saturating_sub(2 * right)];
            contrast.narrow(2, down, inner[0])?.narrow(3, right, inner[1])?
        };
        let score = score.mean([1, 2, 3])?;
        let score = match options.normalize {
            MultiscaleNormalize::None => score,
            MultiscaleNormalize::Relu => score.relu()?,
            MultiscaleNormalize::Simple => score.add_scalar(1.0)?.mul_scalar(0.5)?,
        };
        let power = score.pow_scalar(beta)?;
        product = Some(match product {
            Some(product) => product.mul(&power)?,
            None => power,
        });
        if !is_last {
            preds = preds.avg_pool2d(2, &AvgPool2dOptions::default())?;
            target = target.avg_pool2d(2, &AvgPool2dOptions::default())?;
        }
    }
    product.ok_or_else(|| Error::invalid(OP, "no scales"))
}

/// The mean of the [`multiscale_structural_similarity`] of images.
///
/// NaN before the first image. Computed as `ms_ssim`.
///
/// ```
/// use wgrad::metrics::{Metric, MultiscaleStructuralSimilarity, MultiscaleStructuralSimilarityOptions};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let options = MultiscaleStructuralSimilarityOptions::default().betas(vec![0.5, 0.5]);
/// let mut ms_ssim = MultiscaleStructuralSimilarity::new(options)?;
/// let images = Tensor::rand(&device, &[2, 3, 32, 32])?;
/// ms_ssim.update(&images, &images)?;
/// assert!((ms_ssim.compute()?[0].1 - 1.0).abs() < 1e-5);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct MultiscaleStructuralSimilarity {
    options: MultiscaleStructuralSimilarityOptions,
    scores: ScoreMean,
}

impl MultiscaleStructuralSimilarity {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an even `kernel_size` or a `sigma` of 0.
    pub fn new(options: MultiscaleStructuralSimilarityOptions) -> Result<MultiscaleStructuralSimilarity> {
        options.ssim.kernels(OP)?;
        Ok(MultiscaleStructuralSimilarity { options, scores: ScoreMean::default() })
    }
}

impl Metric for MultiscaleStructuralSimilarity {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| self.scores.add(OP, &multiscale_structural_similarity(preds, target, &self.options)?))
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(vec![("ms_ssim".to_string(), self.scores.read()?)])
    }

    fn reset(&mut self) -> Result<()> {
        self.scores = ScoreMean::default();
        Ok(())
    }
}
