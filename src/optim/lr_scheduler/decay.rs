//! Schedules that let the rate fall.

use super::group::{at_least_one, not_negative};
use super::{GroupRates, LrSchedule};
use crate::error::{Error, Result};

/// Multiplies the rate by `gamma` every `step_size` steps: `base_lr gamma^floor(k / step_size)`.
///
/// ```
/// use wgrad::optim::lr_scheduler::{GroupRates, StepLr, trace};
/// let rates = trace(&StepLr::new(2).gamma(0.5), &[GroupRates::new(0.8)], 4)?;
/// assert_eq!(rates.iter().map(|groups| groups[0].lr).collect::<Vec<_>>(), [0.8, 0.8, 0.4, 0.4, 0.2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StepLr {
    step_size: u64,
    gamma: f64,
}

impl StepLr {
    /// With a `gamma` of 0.1.
    pub fn new(step_size: u64) -> StepLr {
        StepLr { step_size, gamma: 0.1 }
    }

    /// The factor.
    #[must_use]
    pub fn gamma(self, gamma: f64) -> StepLr {
        StepLr { gamma, ..self }
    }
}

impl LrSchedule for StepLr {
    fn name(&self) -> &'static str {
        "StepLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        at_least_one(self.name(), "step_size", self.step_size)?;
        not_negative(self.name(), "gamma", self.gamma)
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        if step.is_multiple_of(self.step_size) {
            groups.iter_mut().for_each(|group| group.lr *= self.gamma);
        }
        Ok(())
    }
}

/// Multiplies the rate by `gamma` at each of the `milestones`, as often as it is among them.
///
/// ```
/// use wgrad::optim::lr_scheduler::{GroupRates, MultiStepLr, trace};
/// let rates = trace(&MultiStepLr::new([1, 3]).gamma(0.5), &[GroupRates::new(0.8)], 3)?;
/// assert_eq!(rates.iter().map(|groups| groups[0].lr).collect::<Vec<_>>(), [0.8, 0.4, 0.4, 0.2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStepLr {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStepLr {
    /// With a `gamma` of 0.1.
    pub fn new(milestones: impl Into<Vec<u64>>) -> MultiStepLr {
        MultiStepLr { milestones: milestones.into(), gamma: 0.1 }
    }

    /// The factor.
    #[must_use]
    pub fn gamma(self, gamma: f64) -> MultiStepLr {
        MultiStepLr { gamma, ..self }
    }

    fn pass(&self, step: u64, groups: &mut [GroupRates]) {
        let times = self.milestones.iter().filter(|&&milestone| milestone == step).count();
        if times > 0 {
            let factor = self.gamma.powf(times as f64);
            groups.iter_mut().for_each(|group| group.lr *= factor);
        }
    }
}

impl LrSchedule for MultiStepLr {
    fn name(&self) -> &'static str {
        "MultiStepLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        if self.milestones.is_empty() {
            return Err(Error::invalid(self.name(), "there are no milestones, so the rate would never change"));
        }
        not_negative(self.name(), "gamma", self.gamma)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        self.pass(0, groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        self.pass(step, groups);
        Ok(())
    }
}

/// Multiplies the rate by `gamma` at every step: `base_lr gamma^k`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialLr {
    gamma: f64,
}

impl ExponentialLr {
    /// The factor.
    pub fn new(gamma: f64) -> ExponentialLr {
        ExponentialLr { gamma }
    }
}

impl LrSchedule for ExponentialLr {
    fn name(&self) -> &'static str {
        "ExponentialLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        not_negative(self.name(), "gamma", self.gamma)
    }
    fn step(&self, _: u64, groups: &mut [GroupRates]) -> Result<()> {
        groups.iter_mut().for_each(|group| group.lr *= self.gamma);
        Ok(())
    }
}

/// Lets the rate fall to 0 over `total_iters` steps: `base_lr (1 - k / total_iters)^power`.
#[derive(Clone, Debug, PartialEq)]
pub struct PolynomialLr {
    total_iters: u64,
    power: f64,
}

impl PolynomialLr {
    /// In a straight line.
    pub fn new(total_iters: u64) -> PolynomialLr {
        PolynomialLr { total_iters, power: 1.0 }
    }

    /// The exponent; above 1 the rate falls fast at first.
    #[must_use]
    pub fn power(self, power: f64) -> PolynomialLr {
        PolynomialLr { power, ..self }
    }
}

impl LrSchedule for PolynomialLr {
    fn name(&self) -> &'static str {
        "PolynomialLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        at_least_one(self.name(), "total_iters", self.total_iters)?;
        not_negative(self.name(), "power", self.power)
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        if step <= self.total_iters {
            let left = |step: u64| 1.0 - step as f64 / self.total_iters as f64;
            let factor = (left(step) / left(step - 1)).powf(self.power);
            groups.iter_mut().for_each(|group| group.lr *= factor);
        }
        Ok(())
    }
}
