//! Learning-rate schedules, under PyTorch's names.
//!
//! A schedule is a formula: the rates of step `k` from those of step `k - 1`, in PyTorch's recursive form, so that several can be
//! [chained](ChainedScheduler) and rates that are changed by hand are respected. [`LrScheduler`] counts the steps and sets an
//! optimizer's rates. It doesn't know about batches: a schedule runs by batches if [`step`](LrScheduler::step) is called after
//! each batch, and by epochs if it is called after each epoch.
//!
//! | schedule | rate |
//! |---|---|
//! | [`ConstantLr`], [`LinearLr`], [`LinearWarmup`] | warms up |
//! | [`StepLr`], [`MultiStepLr`], [`ExponentialLr`], [`PolynomialLr`] | falls |
//! | [`CosineAnnealingLr`], [`CosineAnnealingWarmRestarts`] | falls along a cosine, once or again and again |
//! | [`OneCycleLr`], [`CyclicLr`] | rises and falls, and the momentum the other way |
//! | [`LambdaLr`], [`MultiplicativeLr`] | is computed by a closure |
//! | [`SequentialLr`], [`ChainedScheduler`] | is made of others |
//! | [`ReduceLrOnPlateau`] | falls when a measurement stops getting better |

mod compose;
mod cosine;
mod cyclic;
mod decay;
mod driver;
mod factor;
mod group;
mod momenta;
mod one_cycle;
mod plateau;
mod warmup;

pub use compose::{ChainedScheduler, SequentialLr};
pub use cosine::{CosineAnnealingLr, CosineAnnealingWarmRestarts};
pub use cyclic::{CyclicLr, CyclicMode};
pub use decay::{ExponentialLr, MultiStepLr, PolynomialLr, StepLr};
pub use driver::{LrScheduler, trace};
pub use factor::{ConstantLr, LambdaLr, LinearLr, MultiplicativeLr};
pub use group::{GroupRates, PerGroup};
pub use one_cycle::{Anneal, OneCycleLr};
pub use plateau::{Plateau, ReduceLrOnPlateau, Threshold};
pub use warmup::LinearWarmup;

use crate::error::Result;

/// A formula for the rates of each step. [`LrScheduler`] applies it.
///
/// All functions are pure: a schedule depends only on the number of the step and the current rates.
///
/// ```
/// use wgrad::optim::lr_scheduler::{GroupRates, LrSchedule, trace};
///
/// /// Halves the rate at each power of two.
/// struct AtPowers;
///
/// impl LrSchedule for AtPowers {
///     fn name(&self) -> &'static str {
///         "AtPowers"
///     }
///     fn step(&self, step: u64, groups: &mut [GroupRates]) -> wgrad::Result<()> {
///         if step.is_power_of_two() {
///             groups.iter_mut().for_each(|group| group.lr /= 2.0);
///         }
///         Ok(())
///     }
/// }
///
/// let rates: Vec<f64> = trace(&AtPowers, &[GroupRates::new(1.0)], 4)?.iter().map(|groups| groups[0].lr).collect();
/// assert_eq!(rates, [1.0, 0.5, 0.25, 0.25, 0.125]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait LrSchedule: Send + Sync {
    /// The type's name, for errors.
    fn name(&self) -> &'static str;

    /// Refuses options that make no schedule for these groups. It is called once, before all other methods.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the option, its value and the rule.
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        let _ = groups;
        Ok(())
    }

    /// The base rate that the schedule itself has for a group, which replaces the optimizer's. `is_first` is true if no other
    /// schedule comes before it in a chain or a sequence.
    fn own_base(&self, group: usize, is_first: bool) -> Option<f64> {
        let _ = (group, is_first);
        None
    }

    /// The rates of step 0, from the optimizer's own.
    fn start(&self, groups: &mut [GroupRates]) {
        let _ = groups;
    }

    /// The rates of a step, from those of the step before; `step` counts from 1.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the schedule has no such step.
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()>;

    /// The rates of step 0 in the middle of training, from any rates: called when a [`SequentialLr`] reaches this schedule.
    fn restart(&self, groups: &mut [GroupRates]) {
        groups.iter_mut().for_each(|group| group.lr = group.base_lr);
        self.start(groups);
    }
}

impl LrSchedule for Box<dyn LrSchedule> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        (**self).check(groups)
    }
    fn own_base(&self, group: usize, is_first: bool) -> Option<f64> {
        (**self).own_base(group, is_first)
    }
    fn start(&self, groups: &mut [GroupRates]) {
        (**self).start(groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        (**self).step(step, groups)
    }
    fn restart(&self, groups: &mut [GroupRates]) {
        (**self).restart(groups);
    }
}
