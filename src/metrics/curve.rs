//! Curves of a ranking, and the areas below them.

use super::steps::{Steps, trapezoids};

/// The receiver operating characteristic: the false and true positive rates at each threshold, from the highest down. It begins
/// at (0, 0), with the threshold 1, unless thresholds were given. Rates of nothing are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    /// `fp / (fp + tn)`, ascending.
    pub false_positive_rate: Vec<f64>,
    /// `tp / (tp + fn)`, ascending.
    pub true_positive_rate: Vec<f64>,
    /// The thresholds, descending.
    pub thresholds: Vec<f64>,
}

/// Precision and recall at each threshold, from the lowest up, followed by a last point of precision 1 and recall 0.
///
/// Without positives recall is 1 everywhere in binary and multilabel tasks, and NaN for a class in multiclass ones
/// (where all is of class 0, recall is 1 for every class, as in torchmetrics). With given thresholds, 0 / 0 is NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecallCurve {
    /// `tp / (tp + fp)`.
    pub precision: Vec<f64>,
    /// `tp / (tp + fn)`.
    pub recall: Vec<f64>,
    /// The thresholds, one fewer than the points.
    pub thresholds: Vec<f64>,
}

impl RocCurve {
    pub(super) fn new(steps: &Steps) -> RocCurve {
        let share = |counts: &[f64], total: f64| -> Vec<f64> {
            counts.iter().map(|count| if total == 0.0 { 0.0 } else { count / total }).collect()
        };
        let mut curve = RocCurve {
            false_positive_rate: share(&steps.fps, steps.negatives),
            true_positive_rate: share(&steps.tps, steps.positives),
            thresholds: steps.thresholds.clone(),
        };
        if steps.is_binned {
            curve.false_positive_rate.reverse();
            curve.true_positive_rate.reverse();
            curve.thresholds.reverse();
        } else {
            curve.false_positive_rate.insert(0, 0.0);
            curve.true_positive_rate.insert(0, 0.0);
            curve.thresholds.insert(0, 1.0);
        }
        curve
    }

    /// The area below the curve, by trapezoids.
    pub fn area(&self) -> f64 {
        trapezoids(&self.false_positive_rate, &self.true_positive_rate)
    }

    /// The area up to a false positive rate, standardised to be 1 at best and 1/2 by chance (McClish 1989):
    /// `(1 + (area - m^2 / 2) / (m - m^2 / 2)) / 2` for the rate `m`. The whole [`area`](RocCurve::area) where `m` is 1 or more,
    /// and where the curve stays at 0. A curve of given thresholds begins at its first point, with no area before it.
    pub fn partial_area(&self, max_fpr: f64) -> f64 {
        let (fpr, tpr) = (&self.false_positive_rate, &self.true_positive_rate);
        let stop = fpr.partition_point(|&rate| rate <= max_fpr);
        if [fpr, tpr].iter().any(|rates| rates.iter().sum::<f64>() == 0.0) || stop == fpr.len() {
            return self.area();
        }
        let area = if stop == 0 { 0.0 } else { self.area_until(stop, max_fpr) };
        let least = 0.5 * max_fpr * max_fpr;
        0.5 * (1.0 + (area - least) / (max_fpr - least))
    }

    /// The area below the points before `stop`, and up to a rate between the last of them and the next.
    fn area_until(&self, stop: usize, max_fpr: f64) -> f64 {
        let (fpr, tpr) = (&self.false_positive_rate, &self.true_positive_rate);
        let along = (max_fpr - fpr[stop - 1]) / (fpr[stop] - fpr[stop - 1]);
        let last = tpr[stop - 1] + along * (tpr[stop] - tpr[stop - 1]);
        trapezoids(&[&fpr[..stop], &[max_fpr]].concat(), &[&tpr[..stop], &[last]].concat())
    }
}

impl PrecisionRecallCurve {
    /// `always`: recall is 1 everywhere.
    pub(super) fn new(steps: &Steps, always: bool) -> PrecisionRecallCurve {
        let precision = steps.tps.iter().zip(&steps.fps).map(|(tp, fp)| tp / (tp + fp));
        let recall = steps.tps.iter().map(|tp| if always { 1.0 } else { tp / steps.positives });
        let mut curve = PrecisionRecallCurve {
            precision: precision.collect(),
            recall: recall.collect(),
            thresholds: steps.thresholds.clone(),
        };
        if !steps.is_binned {
            curve.precision.reverse();
            curve.recall.reverse();
            curve.thresholds.reverse();
        }
        curve.precision.push(1.0);
        curve.recall.push(0.0);
        curve
    }

    /// `sum (r_n - r_(n-1)) p_n` over the thresholds: the precision at each, weighted by the recall that it adds. NaN
    /// where recall is NaN.
    pub fn average_precision(&self) -> f64 {
        let term = |(recall, precision): (&[f64], &f64)| (recall[0] - recall[1]) * precision;
        self.recall.windows(2).zip(&self.precision).map(term).sum()
    }

    /// The curve with 0 for NaN.
    pub(super) fn defined(mut self) -> PrecisionRecallCurve {
        for value in self.precision.iter_mut().chain(&mut self.recall) {
            *value = if value.is_nan() { 0.0 } else { *value };
        }
        self
    }
}
