//! Metrics of predicted numbers.

mod errors;
mod variance;

pub use errors::{
    MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredErrorOptions, MeanSquaredLogError,
    SymmetricMeanAbsolutePercentageError, WeightedMeanAbsolutePercentageError,
};
pub use variance::{ExplainedVariance, MultiOutput, PearsonCorrCoef, R2Score, R2ScoreOptions};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;

/// The least divisor of a relative error: torchmetrics'.
const EPSILON: f64 = 1.17e-6;

/// Predictions and targets of one shape, in f32.
pub(super) fn pair(op: &'static str, preds: &Tensor, target: &Tensor) -> Result<[Tensor; 2]> {
    if preds.shape() != target.shape() {
        let rule = format!("preds {} and target {} must have one shape", preds.shape(), target.shape());
        return Err(Error::invalid(op, rule));
    }
    Ok([preds.to_dtype(DType::F32)?, target.to_dtype(DType::F32)?])
}

/// A value's name, or one for each output.
fn named(name: &str, values: Vec<f64>) -> Vec<(String, f64)> {
    match values[..] {
        [value] => vec![(name.to_string(), value)],
        _ => values.into_iter().enumerate().map(|(at, value)| (format!("{name}/{at}"), value)).collect(),
    }
}
