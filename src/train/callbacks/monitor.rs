//! A number by which a run is judged.

use crate::error::{Error, Result};
use crate::optim::lr_scheduler::Plateau;
use crate::train::Run;

/// The name of a number, and the better direction.
///
/// ```
/// use wgrad::train::Monitor;
/// let accuracy = Monitor::max("val/accuracy");
/// assert!(accuracy.is_better(0.9, 0.8));
/// assert!(!accuracy.is_better(f64::NAN, 0.8));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    name: String,
    goal: Plateau,
}

impl Monitor {
    /// The smaller, the better: a loss.
    pub fn min(name: impl Into<String>) -> Monitor {
        Monitor { name: name.into(), goal: Plateau::Min }
    }

    /// The larger, the better: an accuracy.
    pub fn max(name: impl Into<String>) -> Monitor {
        Monitor { name: name.into(), goal: Plateau::Max }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if a value is better than another; NaN never is.
    pub fn is_better(&self, value: f64, than: f64) -> bool {
        match self.goal {
            Plateau::Min => value < than,
            Plateau::Max => value > than,
        }
    }

    /// The worst value: any other but NaN is better.
    pub(super) fn worst(&self) -> f64 {
        match self.goal {
            Plateau::Min => f64::INFINITY,
            Plateau::Max => f64::NEG_INFINITY,
        }
    }

    /// A value that is better by this much.
    pub(super) fn improved(&self, value: f64, by: f64) -> f64 {
        match self.goal {
            Plateau::Min => value - by,
            Plateau::Max => value + by,
        }
    }

    /// The number at a moment of a run.
    pub(super) fn value(&self, op: &'static str, run: &Run) -> Result<f64> {
        named(op, run, &self.name)
    }
}

/// A number that must be there.
pub(super) fn named(op: &'static str, run: &Run, name: &str) -> Result<f64> {
    run.scalar(name).ok_or_else(|| {
        let known: Vec<&str> = run.scalars.iter().map(|(name, _)| name.as_str()).collect();
        Error::invalid(op, format!("there is no {name:?} after a validation; there is {}", known.join(", ")))
    })
}
