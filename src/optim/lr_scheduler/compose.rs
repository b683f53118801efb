//! Schedules made of others.

use super::{GroupRates, LrSchedule};
use crate::error::{Error, Result};

/// Schedules that share groups, each with the base rates that its predecessors left.
type Schedules = Vec<Box<dyn LrSchedule>>;

/// Calls `visit` for each of them in order, then restores the groups' base rates.
fn each_with_base<E>(
    schedules: &[Box<dyn LrSchedule>],
    groups: &mut [GroupRates],
    mut visit: impl FnMut(usize, &dyn LrSchedule, &mut [GroupRates]) -> Result<(), E>,
) -> Result<(), E> {
    let bases: Vec<f64> = groups.iter().map(|group| group.base_lr).collect();
    let result = schedules.iter().enumerate().try_for_each(|(at, schedule)| {
        for (index, group) in groups.iter_mut().enumerate() {
            group.base_lr = schedule.own_base(index, at == 0).unwrap_or(group.base_lr);
        }
        visit(at, &**schedule, groups)
    });
    groups.iter_mut().zip(bases).for_each(|(group, base_lr)| group.base_lr = base_lr);
    result
}

/// Starts them one after the other, and returns the base rates that they leave.
fn start_all(schedules: &[Box<dyn LrSchedule>], groups: &mut [GroupRates]) -> Vec<f64> {
    let mut bases = Vec::new();
    let Ok(()) = each_with_base(schedules, groups, |_, schedule, groups| {
        schedule.start(groups);
        bases = groups.iter().map(|group| group.base_lr).collect();
        Ok::<(), std::convert::Infallible>(())
    });
    bases
}

fn check_all(op: &'static str, schedules: &[Box<dyn LrSchedule>], groups: &[GroupRates]) -> Result<()> {
    if schedules.is_empty() {
        return Err(Error::invalid(op, "there are no schedules"));
    }
    schedules.iter().try_for_each(|schedule| schedule.check(groups))
}

fn own_base_of(schedules: &[Box<dyn LrSchedule>], group: usize, is_first: bool) -> Option<f64> {
    schedules.iter().enumerate().filter_map(|(at, schedule)| schedule.own_base(group, is_first && at == 0)).next_back()
}

/// Takes the steps of all its schedules at every step, one after the other.
///
/// ```
/// use wgrad::optim::lr_scheduler::{ChainedScheduler, ConstantLr, ExponentialLr, GroupRates, trace};
/// let chained = ChainedScheduler::new().then(ConstantLr::new(0.5, 2)).then(ExponentialLr::new(0.5));
/// let rates = trace(&chained, &[GroupRates::new(1.0)], 3)?;
/// assert_eq!(rates.iter().map(|groups| groups[0].lr).collect::<Vec<_>>(), [0.5, 0.25, 0.25, 0.125]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct ChainedScheduler {
    schedules: Schedules,
}

impl ChainedScheduler {
    /// A chain without schedules.
    pub fn new() -> ChainedScheduler {
        ChainedScheduler::default()
    }

    /// Adds a schedule to the chain.
    #[must_use]
    pub fn then(mut self, schedule: impl LrSchedule + 'static) -> ChainedScheduler {
        self.schedules.push(Box::new(schedule));
        self
    }
}

impl LrSchedule for ChainedScheduler {
    fn name(&self) -> &'static str {
        "ChainedScheduler"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        check_all(self.name(), &self.schedules, groups)
    }
    fn own_base(&self, group: usize, is_first: bool) -> Option<f64> {
        own_base_of(&self.schedules, group, is_first)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        start_all(&self.schedules, groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        each_with_base(&self.schedules, groups, |_, schedule, groups| schedule.step(step, groups))
    }
}

/// Switches from one schedule to the next at milestones. Each begins with its own step 0, at the base rate.
///
/// ```
/// use wgrad::optim::lr_scheduler::{ExponentialLr, GroupRates, LinearLr, SequentialLr, trace};
/// let warmup = SequentialLr::new(LinearLr::new(0.5, 1.0, 2)).then(2, ExponentialLr::new(0.5));
/// let rates = trace(&warmup, &[GroupRates::new(1.0)], 4)?;
/// assert_eq!(rates.iter().map(|groups| groups[0].lr).collect::<Vec<_>>(), [0.5, 0.75, 1.0, 0.5, 0.25]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct SequentialLr {
    schedules: Schedules,
    milestones: Vec<u64>,
}

impl SequentialLr {
    /// Starts with this schedule.
    pub fn new(first: impl LrSchedule + 'static) -> SequentialLr {
        SequentialLr { schedules: vec![Box::new(first)], milestones: Vec::new() }
    }

    /// Switches to another one at step `milestone`.
    #[must_use]
    pub fn then(mut self, milestone: u64, schedule: impl LrSchedule + 'static) -> SequentialLr {
        self.milestones.push(milestone);
        self.schedules.push(Box::new(schedule));
        self
    }

    /// The schedule of a step, and its own step.
    fn at(&self, step: u64) -> (usize, u64) {
        let at = self.milestones.partition_point(|&milestone| milestone <= step);
        (at, if at == 0 { step } else { step - self.milestones[at - 1] })
    }
}

impl LrSchedule for SequentialLr {
    fn name(&self) -> &'static str {
        "SequentialLr"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        if let Some(pair) = self.milestones.windows(2).find(|pair| pair[0] > pair[1]) {
            return Err(Error::invalid(self.name(), format!("milestone {} comes after {}", pair[1], pair[0])));
        }
        check_all(self.name(), &self.schedules, groups)
    }
    fn own_base(&self, group: usize, is_first: bool) -> Option<f64> {
        own_base_of(&self.schedules, group, is_first)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        // All are started, as PyTorch's are when they are made: the momenta that they set remain. Rates don't.
        let bases = start_all(&self.schedules, groups);
        groups.iter_mut().zip(bases).for_each(|(group, base_lr)| group.lr = base_lr);
        let first = self.at(0).0;
        let Ok(()) = each_with_base(&self.schedules, groups, |at, schedule, groups| {
            if at == first {
                schedule.start(groups);
            }
            Ok::<(), std::convert::Infallible>(())
        });
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        let (current, own) = self.at(step);
        each_with_base(&self.schedules, groups, |at, schedule, groups| match own {
            _ if at != current => Ok(()),
            0 => {
                schedule.restart(groups);
                Ok(())
            }
            own => schedule.step(own, groups),
        })
    }
}
