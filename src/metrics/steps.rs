//! The steps of a ranking, from which all its curves are made: counts above each threshold.

use std::cmp::Ordering;

/// Positives and negatives above thresholds.
pub(super) struct Steps {
    pub thresholds: Vec<f64>,
    /// Positives at or above each threshold.
    pub tps: Vec<f64>,
    /// Negatives at or above each threshold.
    pub fps: Vec<f64>,
    pub positives: f64,
    pub negatives: f64,
    /// True for given thresholds, false where they are the scores themselves in descending order.
    pub is_binned: bool,
}

impl Steps {
    /// Steps of scores in descending order, with 1 for a positive one, 0 for a negative one and less for one that
    /// doesn't count. Equal scores are one step.
    pub fn ranked(scores: &[f32], flags: &[f32]) -> Steps {
        let mut steps = Steps::empty(false);
        let mut counted = scores.iter().zip(flags).filter(|(_, flag)| **flag >= 0.0).peekable();
        while let Some((&score, &flag)) = counted.next() {
            if flag == 1.0 {
                steps.positives += 1.0;
            } else {
                steps.negatives += 1.0;
            }
            if counted.peek().is_none_or(|(next, _)| **next != score) {
                steps.push(f64::from(score), steps.positives, steps.negatives);
            }
        }
        steps
    }

    /// Steps of counts by bin, `[2, T + 1]`: negatives and positives by the number of thresholds that they reach. The
    /// thresholds are in the caller's order, and `ranks` are their positions by size.
    pub fn binned(thresholds: &[f32], ranks: &[usize], bins: &[u64]) -> Steps {
        let mut steps = Steps::empty(true);
        let (negatives, positives) = bins.split_at(bins.len() / 2);
        let above = |bins: &[u64], rank: usize| bins[rank + 1..].iter().sum::<u64>() as f64;
        for (&threshold, &rank) in thresholds.iter().zip(ranks) {
            steps.push(f64::from(threshold), above(positives, rank), above(negatives, rank));
        }
        steps.positives = positives.iter().sum::<u64>() as f64;
        steps.negatives = negatives.iter().sum::<u64>() as f64;
        steps
    }

    fn empty(is_binned: bool) -> Steps {
        let (thresholds, tps, fps) = (Vec::new(), Vec::new(), Vec::new());
        Steps { thresholds, tps, fps, positives: 0.0, negatives: 0.0, is_binned }
    }

    fn push(&mut self, threshold: f64, tps: f64, fps: f64) {
        self.thresholds.push(threshold);
        self.tps.push(tps);
        self.fps.push(fps);
    }
}

/// The area below a curve by the trapezoid rule.
pub(super) fn trapezoids(x: &[f64], y: &[f64]) -> f64 {
    let area = |(x, y): (&[f64], &[f64])| (x[1] - x[0]) * (y[0] + y[1]) / 2.0;
    x.windows(2).zip(y.windows(2)).map(area).sum()
}

/// Numbers by size, and NaN, of whichever sign, behind them.
fn ascending(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The mean of curves over the values of all their first axes, in order, interpolated linearly, as torchmetrics averages curves:
/// the segment of a value follows from the number of a curve's points at or before it.
pub(super) fn mean_curve(curves: &[(&[f64], &[f64])]) -> (Vec<f64>, Vec<f64>) {
    let mut x: Vec<f64> = curves.iter().flat_map(|(x, _)| x.iter().copied()).collect();
    x.sort_by(ascending);
    let mut mean = vec![0.0; x.len()];
    for (xs, ys) in curves {
        let mut sorted = xs.to_vec();
        sorted.retain(|x| !x.is_nan());
        sorted.sort_by(ascending);
        for (at, sum) in x.iter().zip(&mut mean) {
            let before = sorted.partition_point(|x| x <= at);
            let segment = before.saturating_sub(1).min(xs.len().saturating_sub(2));
            let (width, rise) = (xs[segment + 1] - xs[segment], ys[segment + 1] - ys[segment]);
            let slope = if width == 0.0 { 0.0 } else { rise / width };
            *sum += (ys[segment] + slope * (at - xs[segment])) / curves.len() as f64;
        }
    }
    (x, mean)
}

/// An average of numbers by class, without those that are NaN.
pub(super) fn mean_of_numbers(values: &[f64], weights: Option<&[f64]>) -> f64 {
    let numbers = || values.iter().enumerate().filter(|(_, value)| !value.is_nan());
    match weights {
        None => numbers().map(|(_, value)| value).sum::<f64>() / numbers().count() as f64,
        Some(weights) => {
            let total: f64 = numbers().map(|(at, _)| weights[at]).sum();
            let share = |weight: f64| if total == 0.0 { 0.0 } else { weight / total };
            numbers().map(|(at, value)| value * share(weights[at])).sum()
        }
    }
}
