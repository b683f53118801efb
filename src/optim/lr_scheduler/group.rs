//! The numbers of a group of parameters that schedules change.

use crate::error::{Error, Result};

/// A group of parameters as a schedule sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupRates {
    /// The rate that the group started with (PyTorch's `initial_lr`).
    pub base_lr: f64,
    /// The learning rate.
    pub lr: f64,
    /// The momentum, or Adam's first decay rate; `None` if the optimizer has neither.
    pub momentum: Option<f64>,
}

impl GroupRates {
    /// A group at its base rate, without a momentum.
    pub fn new(lr: f64) -> GroupRates {
        GroupRates { base_lr: lr, lr, momentum: None }
    }
}

/// A number for each group, or one for all: from a number, an array or a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct PerGroup(Vec<f64>);

impl PerGroup {
    /// The number of a group.
    pub(super) fn of(&self, group: usize) -> f64 {
        // `check` has made sure that there is one.
        self.0.get(group).or(self.0.first()).copied().unwrap_or(f64::NAN)
    }

    /// Refuses lists whose length is not the number of groups, and numbers that break `rule`.
    pub(super) fn check(
        &self,
        op: &'static str,
        name: &str,
        groups: usize,
        rule: &str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<()> {
        if self.0.len() != 1 && self.0.len() != groups {
            return Err(Error::invalid(op, format!("{name} has {} values for {groups} groups", self.0.len())));
        }
        self.0.iter().try_for_each(|&value| number(op, name, value, rule, &fits))
    }
}

impl From<f64> for PerGroup {
    fn from(value: f64) -> PerGroup {
        PerGroup(vec![value])
    }
}

impl From<Vec<f64>> for PerGroup {
    fn from(values: Vec<f64>) -> PerGroup {
        PerGroup(values)
    }
}

impl<const N: usize> From<[f64; N]> for PerGroup {
    fn from(values: [f64; N]) -> PerGroup {
        PerGroup(values.to_vec())
    }
}

/// Refuses a number that breaks `rule`.
pub(super) fn number(op: &'static str, name: &str, value: f64, rule: &str, fits: impl Fn(f64) -> bool) -> Result<()> {
    if fits(value) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be {rule}")))
}

/// Refuses a number that is not finite.
pub(super) fn finite(op: &'static str, name: &str, value: f64) -> Result<()> {
    number(op, name, value, "finite", f64::is_finite)
}

/// Refuses a factor that would make a rate negative or infinite.
pub(super) fn not_negative(op: &'static str, name: &str, value: f64) -> Result<()> {
    number(op, name, value, NOT_NEGATIVE, is_not_negative)
}

pub(super) const NOT_NEGATIVE: &str = "finite and not negative";

pub(super) fn is_not_negative(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}

/// Refuses a count of 0.
pub(super) fn at_least_one(op: &'static str, name: &str, value: u64) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is 0; it must be at least 1")))
}
