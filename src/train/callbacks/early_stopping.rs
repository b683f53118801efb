//! The end of a run that gets no better.

use super::Monitor;
use crate::error::Result;
use crate::number::nearest;
use crate::state::{Numbers, State, is_count, number};
use crate::train::{Callback, Run};

const OP: &str = "early_stopping";

/// Stops after more than `patience` validations in a row that did not beat the best one before by more than
/// `min_delta`.
///
/// ```
/// use wgrad::train::{EarlyStopping, Monitor};
/// let stopping = EarlyStopping::new(Monitor::max("val/accuracy")).patience(5).min_delta(1e-3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: u64,
    min_delta: f64,
    best: f64,
    bad: u64,
}

impl EarlyStopping {
    /// Watches a number of the validations, with a patience of 3.
    pub fn new(monitor: Monitor) -> EarlyStopping {
        EarlyStopping { patience: 3, min_delta: 0.0, best: monitor.worst(), bad: 0, monitor }
    }

    /// Sets the number of validations in a row that may be no better.
    #[must_use]
    pub fn patience(self, patience: u64) -> EarlyStopping {
        EarlyStopping { patience, ..self }
    }

    /// Sets the margin by which a validation must be better to count.
    #[must_use]
    pub fn min_delta(self, min_delta: f64) -> EarlyStopping {
        EarlyStopping { min_delta, ..self }
    }

    /// The best number so far; infinite before the first.
    pub fn best(&self) -> f64 {
        self.best
    }
}

impl Callback for EarlyStopping {
    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        let value = self.monitor.value(OP, run)?;
        if self.monitor.is_better(value, self.monitor.improved(self.best, self.min_delta)) {
            (self.best, self.bad) = (value, 0);
            return Ok(());
        }
        self.bad += 1;
        if self.bad > self.patience {
            let (name, best) = (self.monitor.name(), self.best);
            run.requests.stop(format!("{name} has not become better than {best} in {} validations", self.bad));
        }
        Ok(())
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for EarlyStopping {
    fn kind(&self) -> &'static str {
        OP
    }
    fn numbers(&self) -> Result<Numbers> {
        Ok(Numbers::from([("best".to_string(), vec![self.best]), ("bad".to_string(), vec![self.bad as f64])]))
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        number(OP, numbers, "best", |best| !best.is_nan())?;
        number(OP, numbers, "bad", is_count).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)?;
        (self.best, self.bad) = (numbers["best"][0], nearest(numbers["bad"][0]));
        Ok(())
    }
}
