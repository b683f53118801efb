//! Ranges of activations, from the values of some batches.

use super::histogram::Histogram;
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::QuantizationParameters;

/// The smallest scale, PyTorch's: f32's epsilon.
pub(super) const SMALLEST_SCALE: f64 = 1.1920928955078125e-7;

/// The rule by which the range of a layer's inputs follows from those of some batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observer {
    /// From the smallest to the largest value of all (PyTorch's `MinMaxObserver`).
    MinMax,
    /// From the smallest to the largest of a batch, averaged over batches: `range += share (range of this batch - range)`
    /// (PyTorch's `MovingAverageMinMaxObserver`, whose share is 0.01).
    MovingAverage {
        /// The weight of a batch.
        share: f64,
    },
    /// Between the values with a fraction of `(100 - percent) / 100` below and above them, by a histogram of 4,096 bins: outliers
    /// are clamped.
    Percentile {
        /// The kept values, in per cent; 99.99 is usual.
        percent: f64,
    },
    /// The range whose levels tell least from the values, by the Kullback-Leibler divergence of their histograms (Migacz,
    /// "8-bit inference with TensorRT", 2017).
    Entropy,
}

/// The levels that a range is mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// 0 is level 0, and the range ends as far below as above: -127 to 127.
    Symmetric,
    /// All of -128 to 127, with its own level for 0: twice as fine for values of one sign.
    Affine,
}

impl Scheme {
    /// The lowest level; the highest is 127.
    pub(super) fn low(self) -> i32 {
        match self {
            Scheme::Symmetric => -127,
            Scheme::Affine => -128,
        }
    }

    /// The scale and the zero point of a range, by PyTorch's rule: the range is widened to hold 0, a scale is at least f32's
    /// epsilon, and zero points are rounded half to even.
    pub fn parameters(self, low: f64, high: f64) -> QuantizationParameters {
        let (low, high) = (low.min(0.0), high.max(0.0));
        match self {
            Scheme::Symmetric => QuantizationParameters::per_tensor((high.max(-low) / 127.0).max(SMALLEST_SCALE), 0),
            Scheme::Affine => {
                let scale = ((high - low) / 255.0).max(SMALLEST_SCALE);
                let point = (-128.0 - (low / scale).round_ties_even()).clamp(-128.0, 127.0);
                QuantizationParameters::per_tensor(scale, nearest(point))
            }
        }
    }
}

/// An observer at work.
#[derive(Clone, Debug)]
pub(super) struct Range {
    observer: Observer,
    bounds: Option<(f64, f64)>,
    histogram: Histogram,
}

impl Range {
    /// A range of no values yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for shares and percentages out of their range.
    pub fn new(op: &'static str, observer: Observer) -> Result<Range> {
        let fits = match observer {
            Observer::MovingAverage { share } => share > 0.0 && share <= 1.0,
            Observer::Percentile { percent } => percent > 50.0 && percent <= 100.0,
            Observer::MinMax | Observer::Entropy => true,
        };
        if !fits {
            let rule = format!("{observer:?}: a share is above 0 and at most 1, a percentage above 50 and at most 100");
            return Err(Error::invalid(op, rule));
        }
        Ok(Range { observer, bounds: None, histogram: Histogram::default() })
    }

    /// Counts the values of a batch. Those that are not finite count nowhere.
    pub fn observe(&mut self, values: &[f32]) {
        let values = values.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value));
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = values.clone().fold(start, |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return;
        }
        self.bounds = Some(match (self.bounds, self.observer) {
            (None, _) => (low, high),
            (Some((old_low, old_high)), Observer::MovingAverage { share }) => {
                (old_low + share * (low - old_low), old_high + share * (high - old_high))
            }
            (Some((old_low, old_high)), _) => (old_low.min(low), old_high.max(high)),
        });
        if matches!(self.observer, Observer::Percentile { .. } | Observer::Entropy) {
            self.histogram.count(values, low.abs().max(high.abs()));
        }
    }

    /// The range so far, `None` where no value was seen.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let (low, high) = self.bounds?;
        Some(match self.observer {
            Observer::MinMax | Observer::MovingAverage { .. } => (low, high),
            Observer::Percentile { percent } => {
                let (from, to) = self.histogram.percentiles(percent / 100.0);
                (from.max(low), to.min(high))
            }
            Observer::Entropy => {
                let most = self.histogram.least_divergence();
                (low.max(-most), high.min(most))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch's observers, for `qint8` from -128 and from -127.
    #[test]
    fn parameters_are_those_of_pytorch() {
        let affine = Scheme::Affine.parameters(-1.5, 3.25);
        assert!((affine.scale[0] - 0.018_627_451_732_754_707).abs() < 1e-9);
        assert_eq!(affine.zero_point, [-47]);
        assert_eq!(Scheme::Affine.parameters(0.5, 2.0).zero_point, [-128]);
        assert_eq!(Scheme::Affine.parameters(-2.0, -0.5).zero_point, [127]);
        assert_eq!(Scheme::Affine.parameters(0.0, 0.0).scale, [SMALLEST_SCALE]);
        let symmetric = Scheme::Symmetric.parameters(-1.5, 3.25);
        assert!((symmetric.scale[0] - 3.25 / 127.0).abs() < 1e-12);
        assert_eq!(symmetric.zero_point, [0]);
    }

    #[test]
    fn batches_are_averaged_or_joined() {
        let observed = |observer| {
            let mut range = Range::new("test", observer).unwrap();
            range.observe(&[-1.0, 0.5, f32::NAN]);
            range.observe(&[-3.0, 4.5, f32::INFINITY]);
            range.observe(&[]);
            range.bounds().unwrap()
        };
        assert_eq!(observed(Observer::MinMax), (-3.0, 4.5));
        assert_eq!(observed(Observer::MovingAverage { share: 0.25 }), (-1.5, 1.5));
    }

    /// The cubes of 10,000 values from 0 to 1, and one of 50; the range of least divergence is NumPy's, by the same formula.
    #[test]
    fn outliers_are_cut_off() {
        let values: Vec<f32> = (0..10_000u16).map(|at| (f32::from(at) / 10_000.0).powi(3)).chain([50.0]).collect();
        let observed = |observer| {
            let mut range = Range::new("test", observer).unwrap();
            range.observe(&values);
            range.bounds().unwrap()
        };
        let (low, high) = observed(Observer::Percentile { percent: 99.0 });
        assert!(low.abs() < 0.05 && (high - 0.97).abs() < 0.05, "{low} {high}");
        let (low, high) = observed(Observer::Entropy);
        assert_eq!((low, high), (0.0, 3.125));
        assert!(Range::new("test", Observer::Percentile { percent: 101.0 }).is_err());
    }
}
