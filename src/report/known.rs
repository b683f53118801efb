//! Well-known charts.

use super::drawing::Drawing;
use super::line_chart::LineChart;
use crate::logs::text::short;
use crate::train::LrCurve;

/// Points of a curve.
type Points = Vec<(f64, f64)>;

/// From 0 to 1 in both directions.
fn square(title: &str, x: &str, y: &str) -> LineChart {
    LineChart::new(title, x, y).ranges(Some((0.0, 1.0)), Some((0.0, 1.0))).size(520.0, 500.0)
}

fn with_curves(chart: LineChart, curves: &[(String, Points)]) -> Drawing {
    curves.iter().fold(chart, |chart, (name, points)| chart.series(name, points.clone())).without_dots().draw()
}

/// Receiver operating characteristics: points (false positive rate, true positive rate) for each threshold, for each class or
/// model; a guess is on the diagonal.
///
/// ```
/// let curve = ("cat".to_string(), vec![(0.0, 0.0), (0.1, 0.7), (1.0, 1.0)]);
/// assert!(wgrad::report::roc("ROC", &[curve]).svg()?.contains("cat"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn roc(title: &str, curves: &[(String, Vec<(f64, f64)>)]) -> Drawing {
    let chart = square(title, "false positive rate", "true positive rate");
    with_curves(chart.reference("chance", vec![(0.0, 0.0), (1.0, 1.0)]), curves)
}

/// Points (recall, precision) for each threshold, for each class or model.
///
/// ```
/// let curve = ("cat".to_string(), vec![(0.0, 1.0), (0.7, 0.9), (1.0, 0.4)]);
/// assert!(wgrad::report::precision_recall("Precision and recall", &[curve]).svg()?.contains("recall"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn precision_recall(title: &str, curves: &[(String, Vec<(f64, f64)>)]) -> Drawing {
    with_curves(square(title, "recall", "precision"), curves)
}

/// A reliability diagram: for answers of similar confidence, the mean confidence and the accuracy. An overconfident network is
/// below the diagonal.
///
/// ```
/// assert!(wgrad::report::reliability("Calibration", &[(0.55, 0.6), (0.95, 0.9)]).svg()?.contains("confidence"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn reliability(title: &str, bins: &[(f64, f64)]) -> Drawing {
    square(title, "confidence", "accuracy")
        .reference("perfectly calibrated", vec![(0.0, 0.0), (1.0, 1.0)])
        .series("answers", bins.to_vec())
        .draw()
}

/// A learning-rate range test, with its suggested rates.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Linear, Module, Scope}, optim::{Sgd, SgdOptions}, train::LrFinder};
/// # let device = Device::reference();
/// # let model = Linear::new(&Scope::new(&device), 4, 1)?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default())?;
/// # let x = Tensor::randn(&device, &[16, 4])?;
/// # let loss = || model.forward(&x)?.square()?.mean_all();
/// let curve = LrFinder::default().start_lr(1e-4).end_lr(10.0).steps(40).run(&device, &model, &mut sgd, loss)?;
/// assert!(wgrad::report::lr_curve(&curve).svg()?.contains("learning rate"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn lr_curve(curve: &LrCurve) -> Drawing {
    let points = |losses: &[f64]| curve.lrs.iter().copied().zip(losses.iter().copied()).collect::<Points>();
    // The last losses of a test that diverged would squeeze all others together.
    let lowest = curve.smoothed.iter().copied().filter(|loss| loss.is_finite()).fold(f64::INFINITY, f64::min);
    let first = curve.smoothed.first().copied().filter(|loss| loss.is_finite());
    let top = first.filter(|first| *first > lowest).map(|first| first + (first - lowest) * 0.6);
    let shown = |points: Points| match top {
        Some(top) => points.into_iter().filter(|point| point.1 <= top).collect(),
        None => points,
    };
    let mut chart = LineChart::new("Learning-rate range test", "learning rate", "loss")
        .series("smoothed", shown(points(&curve.smoothed)))
        .series("loss", shown(points(&curve.losses)))
        .without_dots()
        .log_x();
    if let Some(lr) = curve.valley().or(curve.steepest()) {
        chart = chart.mark(&format!("suggested: {}", short(lr)), lr);
    }
    chart.draw()
}
