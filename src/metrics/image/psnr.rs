//! Peak signal-to-noise ratio.

use super::{DataRange, ScoreMean};
use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::Metric;
use crate::metrics::regression::pair;
use crate::metrics::sums::Sums;
use crate::options::options;

const OP: &str = "peak_signal_noise_ratio";

options! {
    /// Options of [`PeakSignalNoiseRatio`].
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    PeakSignalNoiseRatioOptions {
        /// The range of the images' numbers; [`DataRange::OfData`] has no meaning over several batches and is refused.
        data_range: DataRange = DataRange::Width(1.0),
        /// The base of the logarithm.
        base: f64 = 10.0,
        /// Dimensions that share one ratio, such as `[1, 2, 3]` for one ratio per image; `None` means all elements of all
        /// batches.
        dim: Option<Vec<isize>> = None,
    }
}

/// The logarithm's factor, as torchmetrics has it: 10 in units of the base.
fn factor(base: f64) -> f64 {
    10.0 / base.ln()
}

fn check(options: &PeakSignalNoiseRatioOptions) -> Result<f64> {
    let width = match options.data_range {
        DataRange::Width(width) => width,
        DataRange::Between(low, high) => high - low,
        DataRange::OfData => {
            return Err(Error::invalid(OP, "data_range must be given: other batches have other ranges"));
        }
    };
    let positive = |number: f64| number > 0.0 && number.is_finite();
    if !positive(width) || !positive(options.base) || options.base == 1.0 {
        let rule = format!("data_range {width} and base {} must be positive, and the base not 1", options.base);
        return Err(Error::invalid(OP, rule));
    }
    Ok(width)
}

/// Squared errors, of numbers in the range.
fn squares(preds: &Tensor, target: &Tensor, range: DataRange) -> Result<Tensor> {
    let ([preds, target], _) = range.of(pair(OP, preds, target)?)?;
    preds.sub(&target)?.square()
}

/// Peak signal-to-noise ratio in decibels, `10 log(range^2 / MSE)`, of the elements of these dimensions: one for each
/// position in the others. [`PeakSignalNoiseRatioOptions::dim`] is not used here.
///
/// Infinite where predictions and targets are equal.
///
/// # Errors
/// [`Error::Invalid`] if shapes differ, or for a range or base that is not positive.
///
/// ```
/// use wgrad::metrics::{PeakSignalNoiseRatioOptions, peak_signal_noise_ratio};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let preds = Tensor::from_slice(&device, &[0.0f32, 1.0, 2.0, 3.0], &[2, 2])?;
/// let target = Tensor::from_slice(&device, &[3.0f32, 2.0, 1.0, 0.0], &[2, 2])?;
/// let options = PeakSignalNoiseRatioOptions::default().data_range(3.0);
/// let psnr = peak_signal_noise_ratio(&preds, &target, &options, ..)?.item::<f32>()?;
/// assert!((psnr - 2.5527).abs() < 1e-4);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn peak_signal_noise_ratio(
    preds: &Tensor,
    target: &Tensor,
    options: &PeakSignalNoiseRatioOptions,
    dims: impl Dims,
) -> Result<Tensor> {
    let width = check(options)?;
    let (scale, peak) = (factor(options.base), 2.0 * width.ln());
    let logs = squares(preds, target, options.data_range)?.mean(dims.numbers(preds.rank()))?.log()?;
    logs.neg()?.add_scalar(peak)?.mul_scalar(scale)
}

/// Peak signal-to-noise ratio in decibels, `10 log(range^2 / MSE)`: of all elements of all batches, or with
/// [`dim`](PeakSignalNoiseRatioOptions::dim) the mean of the ratios of parts, such as images.
///
/// Infinite where predictions and targets are equal, NaN before the first item. Computed as `psnr`.
///
/// ```
/// use wgrad::metrics::{Metric, PeakSignalNoiseRatio, PeakSignalNoiseRatioOptions};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut psnr = PeakSignalNoiseRatio::new(PeakSignalNoiseRatioOptions::default())?;
/// let target = Tensor::zeros(&device, &[2, 3, 8, 8])?;
/// psnr.update(&target.add_scalar(0.1)?, &target)?;
/// assert!((psnr.compute()?[0].1 - 20.0).abs() < 1e-5);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct PeakSignalNoiseRatio {
    options: PeakSignalNoiseRatioOptions,
    width: f64,
    /// Squared errors of all elements, or else ratios of parts.
    squares: Sums,
    elements: u64,
    ratios: ScoreMean,
}

impl PeakSignalNoiseRatio {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a range or base that is not positive, and for [`DataRange::OfData`].
    pub fn new(options: PeakSignalNoiseRatioOptions) -> Result<PeakSignalNoiseRatio> {
        let width = check(&options)?;
        let (squares, ratios) = (Sums::default(), ScoreMean::default());
        Ok(PeakSignalNoiseRatio { options, width, squares, elements: 0, ratios })
    }
}

impl Metric for PeakSignalNoiseRatio {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| match &self.options.dim {
            Some(dims) => self.ratios.add(OP, &peak_signal_noise_ratio(preds, target, &self.options, &dims[..])?),
            None => {
                self.squares.add(OP, &squares(preds, target, self.options.data_range)?.sum_all()?)?;
                self.elements += preds.numel() as u64;
                Ok(())
            }
        })
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let value = match (&self.options.dim, self.squares.read()?) {
            (Some(_), _) => self.ratios.read()?,
            (None, Some(squares)) => {
                (2.0 * self.width.ln() - (squares[0] / self.elements as f64).ln()) * factor(self.options.base)
            }
            (None, None) => f64::NAN,
        };
        Ok(vec![("psnr".to_string(), value)])
    }

    fn reset(&mut self) -> Result<()> {
        (self.squares, self.elements, self.ratios) = (Sums::default(), 0, ScoreMean::default());
        Ok(())
    }
}
