//! The end of a run whose loss is not finite.

use super::progress::{Counts, Progress};
use super::session::Session;
use super::snapshot::Snapshot;
use super::task::Task;
use crate::device::Debug;
use crate::error::{Error, Result};
use std::time::Duration;

/// A run at a reading of its loss.
pub(super) struct Finite {
    snapshot: Snapshot,
    epoch: u64,
    batch: usize,
    step: u64,
}

impl<T: Task> Session<'_, '_, T> {
    /// Ends a run whose loss is not finite. A scaler skips steps and keeps the weights finite, so with one a single
    /// such reading does not end the run.
    pub(super) fn check_finite(&mut self, loss: f64) -> Result<()> {
        let is_scaled = self.trainer.stepper.scaler().is_some();
        if loss.is_finite() {
            self.not_finite = 0;
            if self.trainer.options.find_nan && !is_scaled {
                let snapshot = Snapshot::new(&self.trainer.device, self.model, &*self.optimizer)?;
                let Progress { epoch, batch, counts: Counts { step, .. }, .. } = self.trainer.progress;
                self.finite = Some(Finite { snapshot, epoch, batch, step });
            }
            return Ok(());
        }
        self.not_finite += 1;
        if is_scaled && self.not_finite < 2 {
            return Ok(());
        }
        let step = self.trainer.progress.counts.step;
        if let Some(finite) = self.finite.take() {
            self.repeat(&finite)?;
        }
        let rule = format!(
            "the loss of step {step} is {loss}; lower the learning rate, or clip gradients. \
             TrainerOptions::find_nan names the operation that comes to it first"
        );
        Err(Error::invalid("fit", rule))
    }

    /// Repeats the steps since a reading, with checks that name the first operation whose result is not finite.
    fn repeat(&mut self, from: &Finite) -> Result<()> {
        let end = self.trainer.progress.counts.step;
        from.snapshot.restore(&mut *self.optimizer)?;
        (self.trainer.progress.epoch, self.trainer.progress.batch) = match from.batch == self.train.batches() {
            true => (from.epoch + 1, 0),
            false => (from.epoch, from.batch),
        };
        self.trainer.progress.counts.step = from.step;
        let train = self.train;
        let (device, mut waited) = (self.trainer.device.clone(), Duration::ZERO);
        self.trainer.progress.loss.reset()?;
        let mut batches = train.resume(self.trainer.progress.epoch, self.trainer.progress.batch)?;
        device.with_debug(Debug { nan: true, diff: false }, || {
            while self.trainer.progress.counts.step < end {
                self.take_step(&mut batches, &mut waited)?;
            }
            Ok(())
        })
    }
}
