//! The best weights of a run.

use super::Monitor;
use crate::error::{Error, Result};
use crate::state::{self, Numbers, State};
use crate::train::{Callback, Run};
use crate::weights::{self, SaveOptions};
use std::path::PathBuf;

const OP: &str = "best_weights";

/// Writes the weights of the best validation to `best.safetensors` in the run's folder: those that were evaluated, which may be
/// averages. With [`Metadata`](crate::weights::Metadata) in its options the file alone is enough to build the network again.
///
/// ```
/// use wgrad::models::ModelOptions;
/// use wgrad::train::{BestWeights, Monitor};
/// use wgrad::weights::{Metadata, SaveOptions};
/// let about = Metadata::new("resnet18", ModelOptions::default().classes(2)).with_classes(["cat", "dog"]);
/// let best = BestWeights::new(Monitor::max("val/accuracy"), SaveOptions::default().metadata(about));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BestWeights {
    monitor: Monitor,
    options: SaveOptions,
    path: Option<PathBuf>,
    best: f64,
    /// The number that decides between equal ones, and its value at the best.
    tie: Option<(Monitor, f64)>,
}

impl BestWeights {
    /// Judges by a number of the validations.
    pub fn new(monitor: Monitor, options: SaveOptions) -> BestWeights {
        BestWeights { options, path: None, best: monitor.worst(), tie: None, monitor }
    }

    /// Writes to this path, in place of `best.safetensors` in the folder.
    #[must_use]
    pub fn at(self, path: impl Into<PathBuf>) -> BestWeights {
        BestWeights { path: Some(path.into()), ..self }
    }

    /// Breaks ties by another number, such as `val/loss` after an accuracy: validations on a few hundred images are often equally
    /// good.
    #[must_use]
    pub fn then(self, monitor: Monitor) -> BestWeights {
        let worst = monitor.worst();
        BestWeights { tie: Some((monitor, worst)), ..self }
    }

    /// The best number so far; infinite before the first.
    pub fn best(&self) -> f64 {
        self.best
    }

    fn path(&self, run: &Run) -> Result<PathBuf> {
        let in_folder = || run.folder.map(|folder| folder.join("best.safetensors"));
        let missing = || {
            let rule = "the run has no folder: set TrainerOptions::folder, or give a path by BestWeights::at";
            Error::invalid(OP, rule)
        };
        self.path.clone().or_else(in_folder).ok_or_else(missing)
    }
}

impl Callback for BestWeights {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        self.path(run).map(drop)
    }

    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        let value = self.monitor.value(OP, run)?;
        let second = self.tie.as_ref().map(|(monitor, _)| monitor.value(OP, run)).transpose()?;
        let is_tie_won = || {
            let decided = self.tie.as_ref().zip(second);
            decided.is_some_and(|((monitor, best), second)| value == self.best && monitor.is_better(second, *best))
        };
        if self.monitor.is_better(value, self.best) || is_tie_won() {
            weights::save(self.path(run)?, run.model, &self.options)?;
            self.best = value;
            if let Some(((_, best), second)) = self.tie.as_mut().zip(second) {
                *best = second;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for BestWeights {
    fn kind(&self) -> &'static str {
        OP
    }
    fn numbers(&self) -> Result<Numbers> {
        let tie = self.tie.iter().map(|&(_, best)| best);
        Ok(Numbers::from([("best".to_string(), [self.best].into_iter().chain(tie).collect())]))
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        state::list(OP, numbers, "best", 1 + self.tie.iter().len(), |best| !best.is_nan()).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)?;
        self.best = numbers["best"][0];
        if let Some((_, best)) = &mut self.tie {
            *best = numbers["best"][1];
        }
        Ok(())
    }
}
