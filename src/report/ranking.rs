//! Curves of a classifier's probabilities, by class.

use super::{Drawing, precision_recall, roc};
use crate::error::Result;
use crate::logs::text::short;
use crate::metrics::{Average, CurveOptions, Curves, PrecisionRecallCurve, RocCurve, Thresholds};
use crate::number::nearest;

/// Number of classes with their own curves: those with the smallest numbers.
const MOST_CLASSES: usize = 6;

type Points = Vec<(f64, f64)>;

/// Even steps of the logit and both ends: equal steps of probability would leave confident networks without corners.
pub(super) fn thresholds() -> CurveOptions {
    const HALF: i32 = 100;
    let probability = |step: i32| nearest::<f32>(1.0 / (1.0 + (-0.15 * f64::from(step)).exp()));
    let between = (-HALF..=HALF).map(probability);
    CurveOptions::default().thresholds(Thresholds::List([0.0].into_iter().chain(between).chain([1.0]).collect()))
}

/// ROC and precision-recall curves by class, and their means where each class has one.
pub(super) fn by_class(curves: &Curves, classes: &[String]) -> Result<Vec<Drawing>> {
    let rocs = curves.roc(Average::None)?;
    // A class of no item, or of all of them, is not ranked.
    let end = |rates: &[f64]| rates.last() == Some(&1.0);
    let is_ranked: Vec<bool> =
        rocs.iter().map(|curve| end(&curve.true_positive_rate) && end(&curve.false_positive_rate)).collect();
    let series = |points: Vec<Points>, numbers: Vec<f64>, mean: (Vec<Points>, Vec<f64>)| {
        let mut ranked: Vec<usize> = (0..classes.len()).filter(|&class| is_ranked[class]).collect();
        ranked.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        ranked.truncate(MOST_CLASSES);
        ranked.sort_unstable();
        let named = |name: &str, number: f64, points: &Points| (format!("{name} {}", short(number)), points.clone());
        let mut all: Vec<_> =
            ranked.into_iter().map(|class| named(&classes[class], numbers[class], &points[class])).collect();
        if is_ranked.iter().all(|is_ranked| *is_ranked) {
            all.extend(mean.0.iter().zip(mean.1).map(|(points, number)| named("mean of all", number, points)));
        }
        all
    };
    let mean = (curves.roc(Average::Macro)?.iter().map(of_roc).collect(), curves.auroc(Average::Macro, None)?);
    let rocs = series(rocs.iter().map(of_roc).collect(), curves.auroc(Average::None, None)?, mean);
    let points = |average| Ok(curves.precision_recall(average)?.iter().map(of_precision_recall).collect());
    let mean = (points(Average::Macro)?, curves.average_precision(Average::Macro)?);
    let precisions = series(points(Average::None)?, curves.average_precision(Average::None)?, mean);
    Ok(vec![
        roc("ROC, and the area below it", &rocs),
        precision_recall("Precision and recall, and average precision", &precisions),
    ])
}

fn of_roc(curve: &RocCurve) -> Points {
    let points = curve.false_positive_rate.iter().copied().zip(curve.true_positive_rate.iter().copied());
    [(0.0, 0.0)].into_iter().chain(points).collect()
}

/// Without the thresholds that no score reaches, where precision is none.
fn of_precision_recall(curve: &PrecisionRecallCurve) -> Points {
    let points = curve.recall.iter().copied().zip(curve.precision.iter().copied());
    points.filter(|(recall, precision)| recall.is_finite() && precision.is_finite()).collect()
}
