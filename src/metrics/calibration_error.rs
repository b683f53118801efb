//! The calibration error: the distance between a model's confidence and its accuracy.

use super::counter::Counter;
use super::label_check::LabelCheck;
use super::labels::{check_shapes, counted, probabilities, scores, whole};
use super::metric::Metric;
use super::sums::Sums;
use super::task::Task;
use super::thresholds::Thresholds;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, no_grad};
use crate::ops::{CountLabels, Tallied};
use crate::options::options;

const OP: &str = "CalibrationError";

options! {
    /// Binning and comparison of confidences.
    #[derive(Clone, Debug, PartialEq)]
    CalibrationOptions {
        /// Bins of equal width between 0 and 1. A confidence of exactly 1 is a bin of its own, as in torchmetrics.
        n_bins: usize = 15,
        /// The norm that makes one number of the bins' differences.
        norm: CalibrationNorm = CalibrationNorm::L1,
        /// Elements with this target count nowhere.
        ignore_index: Option<i32> = None,
    }
}

/// The norm that makes one number of the bins' differences between confidence and accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationNorm {
    /// Their mean, weighted by the number of elements in each bin: the expected calibration error.
    L1,
    /// The root of the weighted mean of their squares.
    L2,
    /// The largest: the maximum calibration error.
    Max,
}

/// The calibration error (Naeini, Cooper and Hauskrecht 2015): elements are binned by the model's confidence, and in each bin its
/// mean is compared with the accuracy, `|acc_b - conf_b|`.
///
/// In a binary task the confidence is the probability of yes, and a true yes is correct; in a multiclass task it is the largest
/// probability, and its class is correct if it is the target. Scores of a batch are probabilities if all are in 0..1 and logits
/// otherwise. Without elements the error is NaN, or 0 with the norms L2 and Max.
///
/// ```
/// use wgrad::metrics::{CalibrationError, CalibrationOptions, Metric, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let options = CalibrationOptions::default().n_bins(2);
/// let mut error = CalibrationError::new(&device, Task::Binary, &options)?;
/// let preds = Tensor::from_slice(&device, &[0.25f32, 0.25, 0.5, 0.75], &[4])?;
/// error.update(&preds, &Tensor::from_slice(&device, &[0, 1, 1, 1], &[4])?)?;
/// // Half of |1/2 - 1/4| and half of |1 - 5/8|.
/// assert_eq!(error.compute()?, [("calibration_error".to_string(), 0.3125)]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct CalibrationError {
    task: Task,
    options: CalibrationOptions,
    bounds: Tensor,
    labels: LabelCheck,
    /// `[bins, 2]`: wrong and right elements.
    counts: Counter,
    /// Sums of confidences by bin.
    confidences: Sums,
}

impl CalibrationError {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a multilabel task, fewer than two classes, or no bins; errors of the device.
    pub fn new(device: &Device, task: Task, options: &CalibrationOptions) -> Result<CalibrationError> {
        if matches!(task.check(OP)?, Task::Multilabel(_)) {
            return Err(Error::invalid(OP, format!("a task {task:?}; calibration is of binary and multiclass ones")));
        }
        let bounds = Thresholds::Count(options.n_bins + 1).numbers(OP)?.unwrap_or_default();
        Ok(CalibrationError {
            task,
            options: options.clone(),
            labels: LabelCheck::new(device, OP, task, options.ignore_index)?,
            counts: Counter::new(device, &[1, 1, 2 * bounds.len()])?,
            bounds: Tensor::from_slice(device, &bounds, &[bounds.len()])?,
            confidences: Sums::default(),
        })
    }

    /// Waits for the bins of a reliability diagram: the number of elements in each, their accuracy and the mean confidence (0 in
    /// an empty bin).
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn bins(&self) -> Result<Vec<(u64, f64, f64)>> {
        let counts = self.counts.read()?;
        let confidences = self.confidences.read()?.unwrap_or_else(|| vec![0.0; counts.len() / 2]);
        let bin = |(&[wrong, right], confidence): (&[u64; 2], f64)| {
            let share = |part: f64| part / (wrong + right).max(1) as f64;
            (wrong + right, share(right as f64), share(confidence))
        };
        Ok(counts.as_chunks().0.iter().zip(confidences).map(bin).collect())
    }

    /// Waits for the error.
    ///
    /// # Errors
    /// As [`bins`](CalibrationError::bins).
    pub fn error(&self) -> Result<f64> {
        let bins = self.bins()?;
        let total: f64 = bins.iter().map(|bin| bin.0 as f64).sum();
        let weighted = |power: i32| -> f64 {
            bins.iter().map(|&(count, right, sure)| (right - sure).abs().powi(power) * count as f64 / total).sum()
        };
        Ok(match self.options.norm {
            CalibrationNorm::L1 => weighted(1),
            CalibrationNorm::L2 => weighted(2).max(0.0).sqrt(),
            CalibrationNorm::Max => bins.iter().map(|&(_, right, sure)| (right - sure).abs()).fold(0.0, f64::max),
        })
    }
}

impl Metric for CalibrationError {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let by_class = check_shapes(OP, self.task, preds, target)?;
            let (scores, target) = (scores(OP, preds)?, whole(target)?);
            self.labels.add(&target)?;
            let counted = counted(&target, self.options.ignore_index)?;
            let (sure, right) = match self.task {
                Task::Multiclass(_) if !by_class => {
                    let rule = format!("probabilities by class, [N, C, ..]; predictions are {}", preds.shape());
                    return Err(Error::invalid(OP, rule));
                }
                Task::Multiclass(_) => {
                    let (sure, class) = probabilities(&scores, Some(1), counted.as_ref())?.max(1)?;
                    (sure, class.eq(&target)?.to_dtype(DType::I32)?)
                }
                _ => (probabilities(&scores, None, counted.as_ref())?, target),
            };
            let [sure, right] = [sure, right].map(|of| of.contiguous()?.reshape(&[-1]));
            let (sure, right) = (sure?, right?);
            let reached = sure.unsqueeze(1)?.ge(&self.bounds)?.to_dtype(DType::I32)?.sum(1)?;
            // NaN reaches no bound; it makes its bin's sum NaN.
            let mut bin = reached.add_scalar(-1.0)?.maximum_scalar(0.0)?;
            let mut place = (&bin * 2.0 + right)?;
            if let Some(counted) = counted {
                let counted = counted.contiguous()?.reshape(&[-1])?;
                let none = bin.full_like(-1.0)?;
                (bin, place) = (counted.where_(&bin, &none)?, counted.where_(&place, &none)?);
            }
            let bins = self.bounds.numel();
            let count = CountLabels::new(OP, 2 * bins, Tallied::Targets, Some(-1));
            let place = place.contiguous()?;
            self.counts.add(&count.of(&place, &place)?)?;
            let numbers = Tensor::arange(bin.device(), 0.0, bins as f64, 1.0, DType::I32)?.unsqueeze(1)?;
            let sure = sure.unsqueeze(0)?;
            let by_bin = numbers.eq(&bin)?.where_(&sure, &sure.zeros_like()?)?;
            self.confidences.add(OP, &by_bin.sum(1)?)
        })
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(vec![("calibration_error".to_string(), self.error()?)])
    }

    fn reset(&mut self) -> Result<()> {
        self.labels.reset()?;
        self.counts.reset()?;
        self.confidences = Sums::default();
        Ok(())
    }
}
