//! Metrics of probabilities.

use super::classification::{ignore_index, named, task};
use super::{Answer, Answers, Call};
use wgrad::metrics::{CalibrationError, CalibrationNorm, CalibrationOptions, LogLoss, Metric};

/// The answers, if it is a metric of probabilities.
pub(super) fn run(call: &Call) -> Option<Answers> {
    Some(match named(call.name).0 {
        "calibration_error" => calibration_error(call),
        "log_loss" => log_loss(call),
        _ => return None,
    })
}

fn calibration_error(call: &Call) -> Answers {
    let norm = match call.attributes.text("norm", "l1")? {
        "l1" => CalibrationNorm::L1,
        "l2" => CalibrationNorm::L2,
        "max" => CalibrationNorm::Max,
        _ => return Err(call.attributes.wrong("norm")),
    };
    let n_bins = call.attributes.count("n_bins", 15)? as usize;
    let options = CalibrationOptions::default().n_bins(n_bins).norm(norm).ignore_index(ignore_index(call)?);
    let mut error = CalibrationError::new(call.device, task(call)?, &options)?;
    error.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    Ok(vec![Answer::number(error.error()?)])
}

fn log_loss(call: &Call) -> Answers {
    let mut loss = LogLoss::new(call.device, task(call)?, ignore_index(call)?)?;
    loss.update(&call.tensor("preds")?, &call.tensor("target")?)?;
    Ok(vec![Answer::number(loss.mean()?)])
}
