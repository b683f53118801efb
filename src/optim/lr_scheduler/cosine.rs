//! Schedules along a cosine (Loshchilov and Hutter, 2017: "SGDR: Stochastic Gradient Descent with Warm Restarts").

use super::group::{at_least_one, not_negative};
use super::{GroupRates, LrSchedule};
use crate::error::Result;
use std::f64::consts::PI;

/// Lets the rate fall to `eta_min` along half a cosine of `t_max` steps, and rise again along the next half:
/// `eta_min + (base_lr - eta_min) (1 + cos(pi k / t_max)) / 2`.
///
/// ```
/// use wgrad::optim::lr_scheduler::{CosineAnnealingLr, GroupRates, trace};
/// let rates = trace(&CosineAnnealingLr::new(2).eta_min(0.2), &[GroupRates::new(1.0)], 2)?;
/// for (groups, expected) in rates.iter().zip([1.0, 0.6, 0.2]) {
///     assert!((groups[0].lr - expected).abs() < 1e-15);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CosineAnnealingLr {
    t_max: u64,
    eta_min: f64,
}

impl CosineAnnealingLr {
    /// Falls to 0.
    pub fn new(t_max: u64) -> CosineAnnealingLr {
        CosineAnnealingLr { t_max, eta_min: 0.0 }
    }

    /// The smallest rate.
    #[must_use]
    pub fn eta_min(self, eta_min: f64) -> CosineAnnealingLr {
        CosineAnnealingLr { eta_min, ..self }
    }
}

impl LrSchedule for CosineAnnealingLr {
    fn name(&self) -> &'static str {
        "CosineAnnealingLr"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        at_least_one(self.name(), "t_max", self.t_max)?;
        not_negative(self.name(), "eta_min", self.eta_min)
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        let (t_max, eta_min) = (self.t_max as f64, self.eta_min);
        // In the valley the rate is eta_min, and no factor leads out of it.
        let is_in_valley = step > self.t_max && (step - 1 - self.t_max).is_multiple_of(self.t_max.saturating_mul(2));
        let height = |step: u64| 1.0 + (PI * step as f64 / t_max).cos();
        for group in groups {
            group.lr = if is_in_valley {
                group.lr + (group.base_lr - eta_min) * (1.0 - (PI / t_max).cos()) / 2.0
            } else {
                height(step) / height(step - 1) * (group.lr - eta_min) + eta_min
            };
        }
        Ok(())
    }
}

/// Lets the rate fall to `eta_min` along half a cosine and start again: after `t_0` steps, then after `t_mult` times as many, and
/// so on.
#[derive(Clone, Debug, PartialEq)]
pub struct CosineAnnealingWarmRestarts {
    t_0: u64,
    t_mult: u64,
    eta_min: f64,
}

impl CosineAnnealingWarmRestarts {
    /// Half cosines of equal lengths, down to 0.
    pub fn new(t_0: u64) -> CosineAnnealingWarmRestarts {
        CosineAnnealingWarmRestarts { t_0, t_mult: 1, eta_min: 0.0 }
    }

    /// Ratio of each half cosine's length to the one before.
    #[must_use]
    pub fn t_mult(self, t_mult: u64) -> CosineAnnealingWarmRestarts {
        CosineAnnealingWarmRestarts { t_mult, ..self }
    }

    /// The smallest rate.
    #[must_use]
    pub fn eta_min(self, eta_min: f64) -> CosineAnnealingWarmRestarts {
        CosineAnnealingWarmRestarts { eta_min, ..self }
    }

    /// The fraction of its half cosine that a step has reached.
    fn share(&self, step: u64) -> f64 {
        if self.t_mult == 1 {
            return (step % self.t_0) as f64 / self.t_0 as f64;
        }
        let (mut begun, mut length) = (step, self.t_0);
        while begun >= length {
            begun -= length;
            length = length.saturating_mul(self.t_mult);
        }
        begun as f64 / length as f64
    }

    fn apply(&self, step: u64, groups: &mut [GroupRates]) {
        let height = (1.0 + (PI * self.share(step)).cos()) / 2.0;
        for group in groups {
            group.lr = self.eta_min + (group.base_lr - self.eta_min) * height;
        }
    }
}

impl LrSchedule for CosineAnnealingWarmRestarts {
    fn name(&self) -> &'static str {
        "CosineAnnealingWarmRestarts"
    }
    fn check(&self, _: &[GroupRates]) -> Result<()> {
        at_least_one(self.name(), "t_0", self.t_0)?;
        at_least_one(self.name(), "t_mult", self.t_mult)?;
        not_negative(self.name(), "eta_min", self.eta_min)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        self.apply(0, groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        self.apply(step, groups);
        Ok(())
    }
}
