//! Temperature scaling: confidences that match the accuracy.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;

const OP: &str = "TemperatureScaling";
/// Newton's steps; a dozen are usual.
const MOST_STEPS: usize = 200;

/// Logits divided by one temperature, so that the probabilities of an overconfident network match its accuracy (Guo et al., "On
/// Calibration of Modern Neural Networks", 2017). Answers are unchanged.
///
/// The temperature minimizes the mean cross entropy of held-out images. In `1 / T` it is convex, and found by Newton's method in
/// double precision. [`CalibrationError`](crate::metrics::CalibrationError) measures the gain, and `report::reliability` draws
/// it.
///
/// ```
/// use wgrad::robust::TemperatureScaling;
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// // Always as sure as 0.953, and right in three of four cases.
/// let logits = Tensor::from_slice(&device, &[3.0f32, 0.0, 3.0, 0.0, 3.0, 0.0, 3.0, 0.0], &[4, 2])?;
/// let labels = Tensor::from_slice(&device, &[0, 0, 0, 1], &[4])?;
/// let scaling = TemperatureScaling::fit(&logits, &labels)?;
/// let sure = scaling.apply(&logits)?.softmax(1)?.to_vec::<f32>()?[0];
/// assert!((sure - 0.75).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperatureScaling {
    temperature: f64,
}

impl TemperatureScaling {
    /// Finds the temperature by logits `[N, C]` and labels, i32 `[N]`, of images that the network was not trained on. The device
    /// is read once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, labels outside the classes, logits that are not finite, and if no temperature is
    /// best: every answer is right, so that 0 would be, or answers are no better than chance, so that it would be infinite.
    pub fn fit(logits: &Tensor, labels: &Tensor) -> Result<TemperatureScaling> {
        let invalid = |rule: String| Err(Error::invalid(OP, rule));
        let &[count, classes] = &logits.shape()[..] else {
            return invalid(format!("logits {}; expected [N, C]", logits.shape()));
        };
        if labels.dtype() != DType::I32 || labels.shape()[..] != [count] || count == 0 || classes == 0 {
            let (labels, dtype, logits) = (labels.shape(), labels.dtype(), logits.shape());
            return invalid(format!(
                "labels {labels} in {dtype} for logits {logits}; expected i32 [N] for [N, C], N > 0"
            ));
        }
        let (logits, labels) = (logits.to_dtype(DType::F32)?.to_f64()?, labels.to_vec::<i32>()?);
        if let Some(label) = labels.iter().find(|&&label| !(0..nearest(classes)).contains(&label)) {
            return invalid(format!("the label {label} is none of {classes} classes"));
        }
        if logits.iter().any(|logit| !logit.is_finite()) {
            return invalid("there are logits that are not finite".to_string());
        }
        let rows: Vec<(&[f64], usize)> =
            logits.chunks(classes).zip(labels.iter().map(|&label| nearest(label))).collect();
        if rows.iter().all(|(row, label)| row.iter().all(|logit| *logit <= row[*label])) {
            return invalid("every answer is right; take images with mistakes".to_string());
        }
        let sum_at = |inverse: f64| {
            rows.iter().fold([0.0; 2], |sum, (row, label)| {
                let [slope, curvature] = derivatives(row, *label, inverse);
                [sum[0] + slope, sum[1] + curvature]
            })
        };
        if sum_at(0.0)[0] >= 0.0 {
            return invalid("the answers are no better than chance".to_string());
        }
        // The slope is negative at `low`, and positive at `high` once that is finite.
        let (mut low, mut high, mut inverse) = (0.0, f64::INFINITY, 1.0);
        for _ in 0..MOST_STEPS {
            let [slope, curvature] = sum_at(inverse);
            if slope < 0.0 {
                low = inverse
            } else {
                high = inverse
            }
            let step = inverse - slope / curvature;
            let halved = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * inverse };
            let next = if step > low && step < high && step < 4.0 * inverse { step } else { halved };
            if (next - inverse).abs() <= 1e-15 * inverse {
                break;
            }
            inverse = next;
        }
        Ok(TemperatureScaling { temperature: 1.0 / inverse })
    }

    /// The temperature: above 1 for a network that is too sure.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Calibrated logits.
    ///
    /// # Errors
    /// Those of the division.
    #[track_caller]
    pub fn apply(&self, logits: &Tensor) -> Result<Tensor> {
        logits.div_scalar(self.temperature)
    }
}

/// The first two derivatives of a row's cross entropy by `b = 1 / T`: with `p = softmax(b z)`, these are `sum p z - z_label` and
/// the variance of `z` under `p`.
fn derivatives(row: &[f64], label: usize, inverse: f64) -> [f64; 2] {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = row.iter().map(|logit| (inverse * (logit - largest)).exp());
    let sum: f64 = weights.clone().sum();
    let mean = weights.clone().zip(row).map(|(weight, logit)| weight * logit).sum::<f64>() / sum;
    let variance = weights.zip(row).map(|(weight, logit)| weight * (logit - mean).powi(2)).sum::<f64>() / sum;
    [mean - row[label], variance]
}
