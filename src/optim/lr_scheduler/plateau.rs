//! A schedule that follows a measurement.

use super::GroupRates;
use super::driver::{read, write};
use super::group::{NOT_NEGATIVE, PerGroup, is_not_negative, not_negative, number};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::optim::Optimizer;
use crate::state::{self, Numbers, State, is_count};

const OP: &str = "ReduceLrOnPlateau";

/// The better of two measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plateau {
    /// Smaller ones, such as a loss.
    Min,
    /// Larger ones, such as an accuracy.
    Max,
}

/// The margin by which a measurement must beat the best one to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A fraction of the best one.
    Rel(f64),
    /// An absolute difference.
    Abs(f64),
}

/// Multiplies the rate by `factor` when more than `patience` measurements in a row were not better than the best one
/// before.
///
/// It takes its step after each measurement, normally after each epoch. It changes the current rate, so another schedule may work
/// on the same optimizer.
///
/// ```
/// use wgrad::optim::lr_scheduler::{Plateau, ReduceLrOnPlateau};
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// # use wgrad::{Device, Parameter, Tensor};
/// # let device = Device::reference();
/// # let parameters = vec![Parameter::new("x", &Tensor::ones(&device, &[1])?)];
/// let mut sgd = Sgd::new(parameters, SgdOptions::default().lr(0.1))?;
/// let mut scheduler = ReduceLrOnPlateau::new(Plateau::Max).patience(1).factor(0.5);
/// for accuracy in [0.7, 0.8, 0.79, 0.8] {
///     scheduler.step(&mut sgd, accuracy)?;
/// }
/// assert_eq!(sgd.lr(0)?, 0.05);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceLrOnPlateau {
    mode: Plateau,
    factor: f64,
    patience: u64,
    threshold: Threshold,
    cooldown: u64,
    min_lr: PerGroup,
    eps: f64,
    best: f64,
    bad: u64,
    cooling: u64,
}

impl ReduceLrOnPlateau {
    /// A factor of 0.1 after 10 measurements; a better one is better by at least a fraction of 1e-4.
    pub fn new(mode: Plateau) -> ReduceLrOnPlateau {
        let best = match mode {
            Plateau::Min => f64::INFINITY,
            Plateau::Max => f64::NEG_INFINITY,
        };
        ReduceLrOnPlateau {
            mode,
            factor: 0.1,
            patience: 10,
            threshold: Threshold::Rel(1e-4),
            cooldown: 0,
            min_lr: 0.0.into(),
            eps: 1e-8,
            best,
            bad: 0,
            cooling: 0,
        }
    }

    /// The factor, below 1.
    #[must_use]
    pub fn factor(self, factor: f64) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { factor, ..self }
    }

    /// Number of measurements in a row that may be no better.
    #[must_use]
    pub fn patience(self, patience: u64) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { patience, ..self }
    }

    /// The margin by which a measurement must be better to count.
    #[must_use]
    pub fn threshold(self, threshold: Threshold) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { threshold, ..self }
    }

    /// The number of measurements after a fall of the rate that don't count.
    #[must_use]
    pub fn cooldown(self, cooldown: u64) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { cooldown, ..self }
    }

    /// The rate below which it does not fall.
    #[must_use]
    pub fn min_lr(self, min_lr: impl Into<PerGroup>) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { min_lr: min_lr.into(), ..self }
    }

    /// The rate stays if it would fall by no more than this.
    #[must_use]
    pub fn eps(self, eps: f64) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { eps, ..self }
    }

    fn is_better(&self, metric: f64) -> bool {
        match (self.mode, self.threshold) {
            (Plateau::Min, Threshold::Rel(by)) => metric < self.best * (1.0 - by),
            (Plateau::Min, Threshold::Abs(by)) => metric < self.best - by,
            (Plateau::Max, Threshold::Rel(by)) => metric > self.best * (1.0 + by),
            (Plateau::Max, Threshold::Abs(by)) => metric > self.best + by,
        }
    }

    fn check(&self, groups: usize) -> Result<()> {
        number(OP, "factor", self.factor, "at least 0 and below 1", |factor| (0.0..1.0).contains(&factor))?;
        let (Threshold::Rel(threshold) | Threshold::Abs(threshold)) = self.threshold;
        not_negative(OP, "threshold", threshold)?;
        not_negative(OP, "eps", self.eps)?;
        self.min_lr.check(OP, "min_lr", groups, NOT_NEGATIVE, is_not_negative)
    }

    /// Takes a measurement; lowers the optimizer's rates if there was no improvement for too long.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option is out of its range, or the measurement is NaN: a lower rate does not save a training that
    /// has diverged. Nothing changes then.
    pub fn step(&mut self, optimizer: &mut dyn Optimizer, metric: f64) -> Result<()> {
        let (before, mut groups) = (self.clone(), read(optimizer)?);
        self.follow(&mut groups, metric)?;
        write(optimizer, &groups).inspect_err(|_| *self = before)
    }

    /// As [`step`](ReduceLrOnPlateau::step), for rates without an optimizer.
    ///
    /// # Errors
    /// As `step`.
    pub fn follow(&mut self, groups: &mut [GroupRates], metric: f64) -> Result<()> {
        self.check(groups.len())?;
        if metric.is_nan() {
            return Err(Error::invalid(OP, "the measurement is NaN"));
        }
        if self.is_better(metric) {
            self.best = metric;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.bad = 0;
        }
        if self.bad > self.patience {
            self.cooling = self.cooldown;
            self.bad = 0;
            for (index, group) in groups.iter_mut().enumerate() {
                let lower = (group.lr * self.factor).max(self.min_lr.of(index));
                if group.lr - lower > self.eps {
                    group.lr = lower;
                }
            }
        }
        Ok(())
    }

    /// The best measurement so far; infinite before the first.
    pub fn best(&self) -> f64 {
        self.best
    }
}

/// The rates themselves are the optimizer's.
impl State for ReduceLrOnPlateau {
    fn kind(&self) -> &'static str {
        OP
    }
    fn numbers(&self) -> Result<Numbers> {
        let numbers = [("best", self.best), ("bad", self.bad as f64), ("cooling", self.cooling as f64)];
        Ok(numbers.into_iter().map(|(name, number)| (name.to_string(), vec![number])).collect())
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        state::number(OP, numbers, "best", |best| !best.is_nan())?;
        state::number(OP, numbers, "bad", is_count)?;
        state::number(OP, numbers, "cooling", is_count).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)?;
        self.best = numbers["best"][0];
        self.bad = nearest(numbers["bad"][0]);
        self.cooling = nearest(numbers["cooling"][0]);
        Ok(())
    }
}
