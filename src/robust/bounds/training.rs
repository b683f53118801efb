//! Training on bounds.

use crate::error::{Error, Result};
use crate::ops::CrossEntropyOptions;
use crate::options::options;
use crate::robust::{Defence, Pass};
use crate::train::Outcome;

options! {
    /// Options of [`IntervalTraining`], with the paper's numbers for MNIST.
    #[derive(Clone, Copy, Debug, PartialEq)]
    IntervalTrainingOptions {
        /// The bound of changes that training ends with; the paper takes a slightly larger one than in its tests.
        eps: f64 = 0.4,
        /// The weight of the plain loss that it ends with, `kappa`.
        kappa: f64 = 0.5,
        /// Batches of plain training before the bound grows.
        warmup: u64 = 2000,
        /// Batches in which `eps` grows from 0, and `kappa` falls from 1.
        ramp: u64 = 10_000,
    }
}

/// `kappa loss(f(x), y) + (1 - kappa) CE(z, y)`, with the worst logits `z` that [bounds](crate::robust::Classifier::margins)
/// leave possible: 0 for the true class, and for each other one the upper bound of its lead over the true one (Gowal et al.,
/// 2018). It trains networks whose answers can be certified. Bounds are those of evaluation mode.
///
/// ```
/// use wgrad::robust::{IntervalTraining, IntervalTrainingOptions, RobustTraining};
/// use wgrad::train::Supervised;
/// let options = IntervalTrainingOptions::default().eps(0.1).warmup(200).ramp(1000);
/// assert_eq!(IntervalTraining::new(&options).at(700), (0.05, 0.75));
/// let task = RobustTraining::new(Supervised::classification(), IntervalTraining::new(&options));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct IntervalTraining {
    options: IntervalTrainingOptions,
}

impl IntervalTraining {
    /// A defence with these options.
    pub fn new(options: &IntervalTrainingOptions) -> IntervalTraining {
        IntervalTraining { options: *options }
    }

    /// `eps` and `kappa` after `step` batches.
    pub fn at(&self, step: u64) -> (f64, f64) {
        let IntervalTrainingOptions { eps, kappa, warmup, ramp } = self.options;
        let share = match step.checked_sub(warmup) {
            None => 0.0,
            Some(since) if since >= ramp => 1.0,
            Some(since) => since as f64 / ramp as f64,
        };
        (eps * share, 1.0 - (1.0 - kappa) * share)
    }
}

impl Defence for IntervalTraining {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        let (eps, kappa) = self.at(pass.step);
        let last = self.options.kappa;
        if !(0.0..=1.0).contains(&last) {
            return Err(Error::invalid("IntervalTraining", format!("kappa {last}; expected a share")));
        }
        let Outcome { loss, outputs, items } = pass.outcome(&pass.images)?;
        let margins = pass.net.margins(&pass.images, &pass.classes, eps)?;
        let worst = (-margins)?.cross_entropy(&pass.classes, &CrossEntropyOptions::default())?;
        Ok(Outcome { loss: ((loss * kappa)? + (worst * (1.0 - kappa))?)?, outputs, items })
    }
}
