//! Schedules that multiply the rate by given factors.

use super::group::{at_least_one, number};
use super::{GroupRates, LrSchedule};
use crate::error::{Error, Result};

/// Multiplies the rate by `factor` until step `total_iters`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantLr {
    factor: f64,
    total_iters: u64,
}

impl ConstantLr {
    /// PyTorch's defaults are a factor of 1/3 and 5 steps.
    pub fn new(factor: f64, total_iters: u64) -> ConstantLr {
        ConstantLr { factor, total_iters }
    }
}

impl LrSchedule for ConstantLr {
    fn name(&self) -> &'static str {
        "ConstantLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        // No factor would raise a rate of 0 again.
        number(self.name(), "factor", self.factor, "above 0 and at most 1", |factor| factor > 0.0 && factor <= 1.0)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        groups.iter_mut().for_each(|group| group.lr *= self.factor);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        if step == self.total_iters {
            groups.iter_mut().for_each(|group| group.lr *= 1.0 / self.factor);
        }
        Ok(())
    }
}

/// Changes the rate linearly, from `start_factor` of the base rate to `end_factor` of it at step `total_iters`.
///
/// ```
/// use wgrad::optim::lr_scheduler::{GroupRates, LinearLr, trace};
/// let rates = trace(&LinearLr::new(0.25, 1.0, 3), &[GroupRates::new(0.8)], 4)?;
/// for (groups, expected) in rates.iter().zip([0.2, 0.4, 0.6, 0.8, 0.8]) {
///     assert!((groups[0].lr - expected).abs() < 1e-15);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLr {
    start_factor: f64,
    end_factor: f64,
    total_iters: u64,
}

impl LinearLr {
    /// PyTorch's defaults are from 1/3 to 1 in 5 steps.
    pub fn new(start_factor: f64, end_factor: f64, total_iters: u64) -> LinearLr {
        LinearLr { start_factor, end_factor, total_iters }
    }
}

impl LrSchedule for LinearLr {
    fn name(&self) -> &'static str {
        "LinearLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        let start = |factor| factor > 0.0 && factor <= 1.0;
        number(self.name(), "start_factor", self.start_factor, "above 0 and at most 1", start)?;
        number(self.name(), "end_factor", self.end_factor, "from 0 to 1", |factor| (0.0..=1.0).contains(&factor))?;
        at_least_one(self.name(), "total_iters", self.total_iters)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        groups.iter_mut().for_each(|group| group.lr *= self.start_factor);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        if step <= self.total_iters {
            let rise = self.end_factor - self.start_factor;
            let before = self.total_iters as f64 * self.start_factor + (step - 1) as f64 * rise;
            groups.iter_mut().for_each(|group| group.lr *= 1.0 + rise / before);
        }
        Ok(())
    }
}

type Factor = Box<dyn Fn(u64) -> f64 + Send + Sync>;

/// A factor for each group, or one for all.
struct Factors(Vec<Factor>);

impl Factors {
    fn check(&self, op: &'static str, groups: usize) -> Result<()> {
        if self.0.len() == 1 || self.0.len() == groups {
            return Ok(());
        }
        Err(Error::invalid(op, format!("{} closures for {groups} groups", self.0.len())))
    }

    /// The factors of a step, group by group.
    fn at(&self, step: u64) -> impl Iterator<Item = f64> {
        let last = self.0.last().filter(|_| self.0.len() == 1);
        self.0.iter().chain(std::iter::repeat_with(move || last).flatten()).map(move |factor| factor(step))
    }
}

/// Makes the rate `base_lr factor(k)`.
///
/// ```
/// use wgrad::optim::lr_scheduler::{GroupRates, LambdaLr, trace};
/// let rates = trace(&LambdaLr::new(|step| 1.0 / (1 + step) as f64), &[GroupRates::new(0.6)], 2)?;
/// assert_eq!(rates.iter().map(|groups| groups[0].lr).collect::<Vec<_>>(), [0.6, 0.3, 0.6 * (1.0 / 3.0)]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct LambdaLr {
    factors: Factors,
}

impl LambdaLr {
    /// The same factor for all groups, from the number of the step.
    pub fn new(factor: impl Fn(u64) -> f64 + Send + Sync + 'static) -> LambdaLr {
        LambdaLr { factors: Factors(vec![Box::new(factor)]) }
    }

    /// A factor for each group.
    pub fn each(factors: Vec<Box<dyn Fn(u64) -> f64 + Send + Sync>>) -> LambdaLr {
        LambdaLr { factors: Factors(factors) }
    }
}

impl LrSchedule for LambdaLr {
    fn name(&self) -> &'static str {
        "LambdaLr"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        self.factors.check(self.name(), groups.len())
    }
    fn start(&self, groups: &mut [GroupRates]) {
        groups.iter_mut().zip(self.factors.at(0)).for_each(|(group, factor)| group.lr = group.base_lr * factor);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        groups.iter_mut().zip(self.factors.at(step)).for_each(|(group, factor)| group.lr = group.base_lr * factor);
        Ok(())
    }
}

/// Multiplies the rate by `factor(k)` at step `k`, from step 1 on.
pub struct MultiplicativeLr {
    factors: Factors,
}

impl MultiplicativeLr {
    /// The same factor for all groups, from the number of the step.
    pub fn new(factor: impl Fn(u64) -> f64 + Send + Sync + 'static) -> MultiplicativeLr {
        MultiplicativeLr { factors: Factors(vec![Box::new(factor)]) }
    }

    /// A factor for each group.
    pub fn each(factors: Vec<Box<dyn Fn(u64) -> f64 + Send + Sync>>) -> MultiplicativeLr {
        MultiplicativeLr { factors: Factors(factors) }
    }

    fn multiply(&self, step: u64, groups: &mut [GroupRates]) {
        groups.iter_mut().zip(self.factors.at(step)).for_each(|(group, factor)| group.lr *= factor);
    }
}

impl LrSchedule for MultiplicativeLr {
    fn name(&self) -> &'static str {
        "MultiplicativeLr"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        self.factors.check(self.name(), groups.len())
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        self.multiply(step, groups);
        Ok(())
    }
    /// It has no first rate of its own, and goes on from the current one, as in PyTorch.
    fn restart(&self, groups: &mut [GroupRates]) {
        self.multiply(0, groups);
    }
}
