//! Applies a schedule to an optimizer.

use super::group::is_not_negative;
use super::{GroupRates, LrSchedule};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::optim::Optimizer;
use crate::state::{self, Numbers, State, is_count};

/// Rounding error, as a fraction of the base rate, of a rate that falls to 0 step by step.
const ROUNDING: f64 = 1e-12;

/// Counts the steps of a schedule and sets an optimizer's rates.
///
/// ```
/// use wgrad::optim::lr_scheduler::{CosineAnnealingLr, LrScheduler};
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// # use wgrad::{Device, Parameter, Tensor};
/// # let device = Device::reference();
/// # let parameters = vec![Parameter::new("x", &Tensor::ones(&device, &[1])?)];
/// let mut sgd = Sgd::new(parameters, SgdOptions::default().lr(0.1))?;
/// let mut scheduler = LrScheduler::new(&mut sgd, CosineAnnealingLr::new(10))?;
/// for _epoch in 0..10 {
///     // .. the steps of an epoch ..
///     scheduler.step(&mut sgd)?;
/// }
/// assert!(sgd.lr(0)? < 1e-12);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct LrScheduler {
    schedule: Box<dyn LrSchedule>,
    base_lrs: Vec<f64>,
    steps: u64,
}

impl LrScheduler {
    /// Takes the optimizer's rates as the base rates, and sets those of step 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option of the schedule is out of its range; the rates stay then.
    pub fn new(optimizer: &mut dyn Optimizer, schedule: impl LrSchedule + 'static) -> Result<LrScheduler> {
        let schedule: Box<dyn LrSchedule> = Box::new(schedule);
        let mut groups = read(optimizer)?;
        let base_lrs = groups.iter().map(|group| group.lr).collect();
        begin(&*schedule, &mut groups)?;
        write(optimizer, &groups)?;
        Ok(LrScheduler { schedule, base_lrs, steps: 0 })
    }

    /// Sets the rates of the next step, after one of the optimizer, or after an epoch of them. A group that was added since takes
    /// part from now on, with its rate as its base rate.
    ///
    /// # Errors
    /// [`Error::Invalid`] past the end of the schedule, and if a rate would be negative or not finite. The rates stay
    /// then, and no step is counted.
    pub fn step(&mut self, optimizer: &mut dyn Optimizer) -> Result<()> {
        let mut groups = read(optimizer)?;
        for (index, group) in groups.iter_mut().enumerate() {
            group.base_lr = self.base_lrs.get(index).copied().unwrap_or(group.lr);
        }
        self.base_lrs = groups.iter().map(|group| group.base_lr).collect();
        let step = self.steps.saturating_add(1);
        advance(&*self.schedule, step, &mut groups)?;
        write(optimizer, &groups)?;
        self.steps = step;
        Ok(())
    }

    /// The number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// The rates themselves are the optimizer's.
impl State for LrScheduler {
    fn kind(&self) -> &'static str {
        self.schedule.name()
    }
    fn numbers(&self) -> Result<Numbers> {
        let steps = vec![self.steps as f64];
        Ok(Numbers::from([("steps".to_string(), steps), ("base_lrs".to_string(), self.base_lrs.clone())]))
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        state::number(self.kind(), numbers, "steps", is_count)?;
        let groups = numbers.get("base_lrs").map_or(0, Vec::len);
        state::list(self.kind(), numbers, "base_lrs", groups.max(1), is_not_negative).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)?;
        self.steps = nearest(numbers["steps"][0]);
        self.base_lrs = numbers["base_lrs"].clone();
        Ok(())
    }
}

/// The rates of steps 0 to `steps`, without an optimizer: to inspect a schedule, or to plot it.
///
/// # Errors
/// Those of [`LrScheduler`].
///
/// ```
/// use wgrad::optim::lr_scheduler::{ExponentialLr, GroupRates, trace};
/// let rates = trace(&ExponentialLr::new(0.5), &[GroupRates::new(1.0), GroupRates::new(0.1)], 2)?;
/// assert_eq!(rates.iter().map(|groups| groups[0].lr).collect::<Vec<_>>(), [1.0, 0.5, 0.25]);
/// assert_eq!(rates[2][1].lr, 0.025);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn trace(schedule: &dyn LrSchedule, groups: &[GroupRates], steps: u64) -> Result<Vec<Vec<GroupRates>>> {
    let mut groups = groups.to_vec();
    begin(schedule, &mut groups)?;
    let mut all = vec![groups.clone()];
    for step in 1..=steps {
        advance(schedule, step, &mut groups)?;
        all.push(groups.clone());
    }
    Ok(all)
}

fn begin(schedule: &dyn LrSchedule, groups: &mut [GroupRates]) -> Result<()> {
    schedule.check(groups)?;
    schedule.start(groups);
    check_rates(schedule, 0, groups)
}

fn advance(schedule: &dyn LrSchedule, step: u64, groups: &mut [GroupRates]) -> Result<()> {
    schedule.step(step, groups)?;
    for group in groups.iter_mut().filter(|group| group.lr < 0.0 && group.lr > -ROUNDING * group.base_lr) {
        group.lr = 0.0;
    }
    check_rates(schedule, step, groups)
}

fn check_rates(schedule: &dyn LrSchedule, step: u64, groups: &[GroupRates]) -> Result<()> {
    for (index, group) in groups.iter().enumerate() {
        check_rate(schedule.name(), "rate", index, group.lr, step)?;
        if let Some(momentum) = group.momentum {
            check_rate(schedule.name(), "momentum", index, momentum, step)?;
        }
    }
    Ok(())
}

fn check_rate(op: &'static str, what: &str, group: usize, value: f64, step: u64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    let rule =
        format!("the {what} of group {group} would be {value} at step {step}; it must be finite and not negative");
    Err(Error::invalid(op, rule))
}

/// The current groups.
pub(super) fn read(optimizer: &dyn Optimizer) -> Result<Vec<GroupRates>> {
    let group = |group| {
        let lr = optimizer.lr(group)?;
        Ok(GroupRates { base_lr: lr, lr, momentum: optimizer.momentum(group)? })
    };
    (0..optimizer.groups()).map(group).collect()
}

/// Sets all groups, or none if there is an error.
pub(super) fn write(optimizer: &mut dyn Optimizer, groups: &[GroupRates]) -> Result<()> {
    let before = read(optimizer)?;
    set(optimizer, groups, &before).inspect_err(|_| {
        // They were the optimizer's before, so it takes them.
        let _ = set(optimizer, &before, groups);
    })
}

/// Sets the numbers that differ.
fn set(optimizer: &mut dyn Optimizer, groups: &[GroupRates], before: &[GroupRates]) -> Result<()> {
    for (index, (group, before)) in groups.iter().zip(before).enumerate() {
        if group.lr != before.lr {
            optimizer.set_lr(index, group.lr)?;
        }
        if let Some(momentum) = group.momentum.filter(|_| group.momentum != before.momentum) {
            optimizer.set_momentum(index, momentum)?;
        }
    }
    Ok(())
}
