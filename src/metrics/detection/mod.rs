//! Metrics of boxes.

mod coco;
mod matching;
mod scenes;
mod voc;

pub use coco::{
    ClassPrecision, MeanAveragePrecision, MeanAveragePrecisionOptions, MeanAveragePrecisionSummary, PrecisionAverage,
};
pub use scenes::{Detection, GroundTruth};
pub use voc::{VocAveragePrecision, VocAveragePrecisionOptions, VocInterpolation, VocSummary};

/// The mean of the values that exist; `None` if none does.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// The indices of scores from the highest to the lowest; equal ones keep their order, and NaN come last.
fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let descending = |a: f64, b: f64| b.partial_cmp(&a).unwrap_or(a.is_nan().cmp(&b.is_nan()));
    order.sort_by(|&a, &b| descending(scores[a], scores[b]));
    order
}

/// Raises each precision to the highest at it or later, so that precision never rises with recall.
fn envelope(precision: &mut [f64]) {
    for at in (1..precision.len()).rev() {
        precision[at - 1] = precision[at - 1].max(precision[at]);
    }
}
