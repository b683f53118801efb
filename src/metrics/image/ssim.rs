//! Structural similarity.

use super::{DataRange, ScoreMean};
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::Metric;
use crate::metrics::regression::pair;
use crate::number::nearest;
use crate::ops::{Conv2dOptions, PadMode, autocast};
use crate::options::options;

pub(super) const OP: &str = "structural_similarity";

options! {
    /// Options of [`structural_similarity`]. Pairs are (height, width).
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[non_exhaustive]
    StructuralSimilarityOptions {
        /// Weights of a Gaussian, or else equal ones.
        gaussian_kernel: bool = true,
        /// Standard deviations of the Gaussian, whose kernel reaches 3.5 of them.
        sigma: [f64; 2] = [1.5, 1.5],
        /// Sizes of the kernel of equal weights; odd.
        kernel_size: [usize; 2] = [11, 11],
        /// The range of the images' numbers.
        data_range: DataRange = DataRange::OfData,
        /// Keeps the ratio of brightness from dividing by 0.
        k1: f64 = 0.01,
        /// Keeps the ratio of structure from dividing by 0.
        k2: f64 = 0.03,
    }
}

impl StructuralSimilarityOptions {
    /// The kernels of rows and columns, whose product is the kernel.
    pub(super) fn kernels(&self, op: &'static str) -> Result<[Vec<f32>; 2]> {
        let (kernel, sigma) = (self.kernel_size, self.sigma);
        if sigma.iter().any(|&sigma| sigma.is_nan() || sigma <= 0.0) || kernel.iter().any(|size| size.is_multiple_of(2))
        {
            return Err(Error::invalid(
                op,
                format!("sigma {sigma:?} must be positive, and kernel_size {kernel:?} odd"),
            ));
        }
        Ok([0, 1].map(|dim| if self.gaussian_kernel { gaussian(sigma[dim]) } else { uniform(kernel[dim]) }))
    }
}

fn uniform(size: usize) -> Vec<f32> {
    vec![nearest(1.0 / size as f64); size]
}

fn gaussian(sigma: f64) -> Vec<f32> {
    let reach = (3.5 * sigma + 0.5).floor();
    let steps = 2 * nearest::<usize>(reach) + 1;
    let weights: Vec<f64> = (0..steps).map(|at| (-((at as f64 - reach) / sigma).powi(2) / 2.0).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| nearest(weight / sum)).collect()
}

/// The similarity of each pixel, and the part of it that is contrast and structure; the image is mirrored where the
/// kernel reaches past an edge.
pub(super) fn maps(
    op: &'static str,
    preds: &Tensor,
    target: &Tensor,
    options: &StructuralSimilarityOptions,
) -> Result<[Tensor; 2]> {
    let kernels = options.kernels(op)?;
    let &[n, c, height, width] = &preds.shape()[..] else {
        return Err(Error::invalid(op, format!("images must be [N, C, H, W]; got {}", preds.shape())));
    };
    let [down, right] = [0, 1].map(|dim| kernels[dim].len() / 2);
    if down >= height || right >= width {
        let rule = format!(
            "a kernel of {} x {} is mirrored at the edge, and needs images of more than {down} x {right} pixels, not {height} x {width}",
            kernels[0].len(),
            kernels[1].len()
        );
        return Err(Error::invalid(op, rule));
    }
    // Squares of brightness less their means cancel: nothing here may be rounded to 16 bits.
    let _full_precision = autocast::set(None);
    let ([preds, target], range) = options.data_range.of(pair(op, preds, target)?)?;
    let constant = |k: f64| range.mul_scalar(k)?.square();
    let (c1, c2) = (constant(options.k1)?, constant(options.k2)?);
    let pads = [right, right, down, down].map(nearest::<isize>);
    let [preds, target] = [preds.pad(&pads, PadMode::Reflect)?, target.pad(&pads, PadMode::Reflect)?];
    let all = [&preds, &target, &preds.square()?, &target.square()?, &preds.mul(&target)?];
    let [rows, columns] =
        [[height + 2 * down, width + 2 * right], [height, width]].map(|size| size.map(nearest::<isize>));
    let stacked = Tensor::cat(&all, 0)?.reshape(&[-1, 1, rows[0], rows[1]])?;
    let kernel = |dim: usize, shape: &[usize]| Tensor::from_slice(preds.device(), &kernels[dim], shape);
    let means = stacked
        .conv2d(&kernel(0, &[1, 1, kernels[0].len(), 1])?, None, &Conv2dOptions::default())?
        .conv2d(&kernel(1, &[1, 1, 1, kernels[1].len()])?, None, &Conv2dOptions::default())?
        .reshape(&[5, nearest(n), nearest(c), columns[0], columns[1]])?;
    let mean = |at: usize| means.narrow(0, at, 1)?.squeeze(0);
    let (of_preds, of_target) = (mean(0)?, mean(1)?);
    let (preds_squared, target_squared) = (of_preds.square()?, of_target.square()?);
    let both = of_preds.mul(&of_target)?;
    let variance = |at: usize, square: &Tensor| mean(at)?.sub(square)?.clamp(Some(0.0), None);
    let variances = variance(2, &preds_squared)?.add(&variance(3, &target_squared)?)?;
    let covariance = mean(4)?.sub(&both)?;
    let contrast = covariance.mul_scalar(2.0)?.add(&c2)?.div(&variances.add(&c2)?)?;
    let brightness = both.mul_scalar(2.0)?.add(&c1)?.div(&preds_squared.add(&target_squared)?.add(&c1)?)?;
    Ok([brightness.mul(&contrast)?, contrast])
}

/// Structural similarity of each image (Wang et al. 2004), `[N, C, H, W]` twice to `[N]`: the mean over pixels and channels of
///
/// `(2 mx my + c1) (2 vxy + c2) / ((mx^2 + my^2 + c1) (vx + vy + c2))`, with `c1 = (k1 range)^2` and `c2 = (k2 range)^2`,
///
/// where means, variances and the covariance are those around the pixel, weighted by the kernel; images are mirrored at
/// their edges. 1 for equal images. It has a gradient, so 1 less the similarity is a loss.
///
/// As in torchmetrics; a Gaussian has a kernel of `2 floor(3.5 sigma + 0.5) + 1` pixels regardless of `kernel_size`.
///
/// # Errors
/// [`Error::Invalid`] if shapes differ, for images no larger than half the kernel, an even `kernel_size` or a `sigma` of 0.
///
/// ```
/// use wgrad::metrics::{StructuralSimilarityOptions, structural_similarity};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let images = Tensor::rand(&device, &[2, 3, 32, 32])?;
/// let options = StructuralSimilarityOptions::default().data_range(1.0);
/// let same = structural_similarity(&images, &images, &options)?;
/// let darker = structural_similarity(&images.mul_scalar(0.75)?, &images, &options)?;
/// assert!(same.to_vec::<f32>()?.iter().all(|score| (score - 1.0).abs() < 1e-6));
/// assert!(darker.to_vec::<f32>()?.iter().all(|score| (0.8..0.99).contains(score)));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn structural_similarity(preds: &Tensor, target: &Tensor, options: &StructuralSimilarityOptions) -> Result<Tensor> {
    let [similarity, _] = maps(OP, preds, target, options)?;
    similarity.mean([1, 2, 3])
}

/// The mean of the [`structural_similarity`] of images. With [`DataRange::OfData`] the range is that of a batch.
///
/// NaN before the first image. Computed as `ssim`.
///
/// ```
/// use wgrad::metrics::{Metric, StructuralSimilarity, StructuralSimilarityOptions};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut ssim = StructuralSimilarity::new(StructuralSimilarityOptions::default().data_range(1.0))?;
/// let images = Tensor::rand(&device, &[2, 3, 32, 32])?;
/// ssim.update(&images, &images)?;
/// assert!((ssim.compute()?[0].1 - 1.0).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct StructuralSimilarity {
    options: StructuralSimilarityOptions,
    scores: ScoreMean,
}

impl StructuralSimilarity {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an even `kernel_size` or a `sigma` of 0.
    pub fn new(options: StructuralSimilarityOptions) -> Result<StructuralSimilarity> {
        options.kernels(OP)?;
        Ok(StructuralSimilarity { options, scores: ScoreMean::default() })
    }
}

impl Metric for StructuralSimilarity {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| self.scores.add(OP, &structural_similarity(preds, target, &self.options)?))
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(vec![("ssim".to_string(), self.scores.read()?)])
    }

    fn reset(&mut self) -> Result<()> {
        self.scores = ScoreMean::default();
        Ok(())
    }
}
