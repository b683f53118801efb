//! A warm-up before any schedule.

use super::group::{at_least_one, not_negative};
use super::{GroupRates, LrSchedule};
use crate::error::Result;

/// Raises the rate linearly, from `warmup_lr_init` to the base rate, over `warmup_t` steps, and follows another schedule from
/// there on (timm's `warmup_t`, `warmup_lr_init` and `warmup_prefix`).
///
/// The other schedule counts its steps from the first step of the training, or, if the warm-up is a prefix, from the end of the
/// warm-up.
///
/// ```
/// use wgrad::optim::lr_scheduler::{GroupRates, LinearWarmup, PolynomialLr, trace};
/// let warmup = LinearWarmup::new(2, PolynomialLr::new(4)).warmup_lr_init(0.2);
/// for (groups, expected) in trace(&warmup, &[GroupRates::new(1.0)], 4)?.iter().zip([0.2, 0.6, 0.5, 0.25, 0.0]) {
///     assert!((groups[0].lr - expected).abs() < 1e-15);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct LinearWarmup {
    warmup_t: u64,
    warmup_lr_init: f64,
    warmup_prefix: bool,
    schedule: Box<dyn LrSchedule>,
}

impl LinearWarmup {
    /// A warm-up from 0, over the first steps of the schedule.
    pub fn new(warmup_t: u64, schedule: impl LrSchedule + 'static) -> LinearWarmup {
        LinearWarmup { warmup_t, warmup_lr_init: 0.0, warmup_prefix: false, schedule: Box::new(schedule) }
    }

    /// The first rate: 0 unless set.
    #[must_use]
    pub fn warmup_lr_init(self, warmup_lr_init: f64) -> LinearWarmup {
        LinearWarmup { warmup_lr_init, ..self }
    }

    /// Begins the schedule after the warm-up: false unless set.
    #[must_use]
    pub fn warmup_prefix(self, warmup_prefix: bool) -> LinearWarmup {
        LinearWarmup { warmup_prefix, ..self }
    }

    fn warm(&self, step: u64, groups: &mut [GroupRates]) {
        for group in groups {
            let rise = (group.base_lr - self.warmup_lr_init) / self.warmup_t as f64;
            group.lr = self.warmup_lr_init + step as f64 * rise;
        }
    }
}

impl LrSchedule for LinearWarmup {
    fn name(&self) -> &'static str {
        "LinearWarmup"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        at_least_one(self.name(), "warmup_t", self.warmup_t)?;
        not_negative(self.name(), "warmup_lr_init", self.warmup_lr_init)?;
        self.schedule.check(groups)
    }
    fn own_base(&self, group: usize, is_first: bool) -> Option<f64> {
        self.schedule.own_base(group, is_first)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        self.schedule.start(groups);
        self.warm(0, groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        if step < self.warmup_t {
            self.warm(step, groups);
            return Ok(());
        }
        let passed = if self.warmup_prefix { self.warmup_t } else { 0 };
        if step > self.warmup_t {
            return self.schedule.step(step - passed, groups);
        }
        // Brings the schedule, step by step, where it would be without a warm-up.
        groups.iter_mut().for_each(|group| group.lr = group.base_lr);
        self.schedule.start(groups);
        (1..=step - passed).try_for_each(|step| self.schedule.step(step, groups))
    }
}
