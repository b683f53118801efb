//! Learning-rate schedules at work in a run.

use super::monitor::named;
use crate::error::Result;
use crate::optim::lr_scheduler::{LrScheduler, ReduceLrOnPlateau};
use crate::state::State;
use crate::train::{Callback, Run};

/// Steps a schedule after each step of the optimizer, or after each epoch.
///
/// ```
/// use wgrad::optim::lr_scheduler::{ExponentialLr, LrScheduler};
/// use wgrad::train::Scheduled;
/// # use wgrad::{Device, nn::{Linear, Scope}, optim::{Sgd, SgdOptions}};
/// # let device = Device::reference();
/// # let model = Linear::new(&Scope::new(&device), 4, 2)?;
/// let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// let decay = Scheduled::by_epoch(LrScheduler::new(&mut sgd, ExponentialLr::new(0.7))?);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Scheduled {
    scheduler: LrScheduler,
    by_step: bool,
}

impl Scheduled {
    /// After each step.
    pub fn by_step(scheduler: LrScheduler) -> Scheduled {
        Scheduled { scheduler, by_step: true }
    }

    /// After each epoch.
    pub fn by_epoch(scheduler: LrScheduler) -> Scheduled {
        Scheduled { scheduler, by_step: false }
    }
}

impl Callback for Scheduled {
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if self.by_step { self.scheduler.step(run.optimizer) } else { Ok(()) }
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        if self.by_step { Ok(()) } else { self.scheduler.step(run.optimizer) }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.scheduler)
    }
}

/// Steps a [`ReduceLrOnPlateau`] by a number of each validation.
///
/// ```
/// use wgrad::optim::lr_scheduler::{Plateau, ReduceLrOnPlateau};
/// use wgrad::train::ByMetric;
/// let schedule = ByMetric::new(ReduceLrOnPlateau::new(Plateau::Min).patience(2), "val/loss");
/// ```
pub struct ByMetric {
    schedule: ReduceLrOnPlateau,
    name: String,
}

impl ByMetric {
    /// By the number of this name.
    pub fn new(schedule: ReduceLrOnPlateau, name: impl Into<String>) -> ByMetric {
        ByMetric { schedule, name: name.into() }
    }
}

impl Callback for ByMetric {
    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        let value = named("ReduceLrOnPlateau", run, &self.name)?;
        self.schedule.step(run.optimizer, value)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.schedule)
    }
}
