//! Checkpoints of a run as it goes.

use crate::error::{Error, Result};
use crate::number::nearest;
use crate::state::{self, Numbers, State, is_count};
use crate::train::trainer::Every;
use crate::train::{Callback, Run};
use std::path::{Path, PathBuf};

const OP: &str = "checkpoints";

/// Requests checkpoints: `last.safetensors` in the run's folder, every few epochs or steps, and at the end of the run, also after
/// an error or a request to stop. A new run in a folder that has one is refused. With [`keep`](Checkpoints::keep) the last few
/// are kept too, as `step-000123.safetensors`.
///
/// ```
/// use wgrad::train::{Checkpoints, Every};
/// let checkpoints = Checkpoints::default().every(Every::Steps(1000)).keep(3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoints {
    path: Option<PathBuf>,
    every: Every,
    keep: usize,
    /// Steps of the kept checkpoints, in order.
    kept: Vec<u64>,
    /// The epoch and the batch of the last one.
    written: Option<(u64, usize)>,
}

impl Default for Checkpoints {
    /// `last.safetensors` after each epoch.
    fn default() -> Checkpoints {
        Checkpoints { path: None, every: Every::Epochs(1), keep: 0, kept: Vec::new(), written: None }
    }
}

impl Checkpoints {
    /// Checkpoints at this path, in place of `last.safetensors` in the folder.
    pub fn at(path: impl Into<PathBuf>) -> Checkpoints {
        Checkpoints { path: Some(path.into()), ..Checkpoints::default() }
    }

    /// Sets the interval.
    #[must_use]
    pub fn every(self, every: Every) -> Checkpoints {
        Checkpoints { every, ..self }
    }

    /// The number of checkpoints to keep besides the last one, in its folder.
    #[must_use]
    pub fn keep(self, keep: usize) -> Checkpoints {
        Checkpoints { keep, ..self }
    }

    fn last(&self, run: &Run) -> Result<PathBuf> {
        match (&self.path, run.folder) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(folder)) => Ok(folder.join("last.safetensors")),
            (None, None) => {
                let rule = "the run has no folder: set TrainerOptions::folder, or give a path by Checkpoints::at";
                Err(Error::invalid(OP, rule))
            }
        }
    }

    fn numbered(&self, run: &Run, step: u64) -> Result<PathBuf> {
        Ok(self.last(run)?.with_file_name(format!("step-{step:06}.safetensors")))
    }

    fn request(&mut self, run: &mut Run) -> Result<()> {
        if self.keep > 0 && self.kept.last() != Some(&run.step) {
            run.requests.checkpoint(self.numbered(run, run.step)?);
            self.kept.push(run.step);
        }
        run.requests.checkpoint(self.last(run)?);
        Ok(())
    }

    fn request_at_end(&mut self, run: &mut Run) -> Result<()> {
        if self.written == Some((run.epoch, run.batch)) { Ok(()) } else { self.request(run) }
    }
}

impl Callback for Checkpoints {
    /// Finds out now, and not after an epoch, that there is no path for checkpoints.
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        self.every.check(OP, "every")?;
        let last = self.last(run)?;
        // The state at the start counts as written: nothing would be lost.
        self.written = Some((run.epoch, run.batch));
        if self.path.is_none() && run.step == 0 && last.exists() {
            let reason = "a checkpoint of another run: resume that, or choose another folder";
            return Err(Error::file(&last, reason));
        }
        let folder = last.parent().filter(|folder| !folder.as_os_str().is_empty());
        match folder.filter(|folder| !folder.is_dir()) {
            Some(folder) => Err(Error::file(&last, format!("there is no folder {}", folder.display()))),
            None => Ok(()),
        }
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if self.every.is_due(run.step, run.epoch, false) { self.request(run) } else { Ok(()) }
    }

    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        let is_by_epoch = matches!(self.every, Every::Epochs(_));
        if is_by_epoch && self.every.is_due(run.step, run.epoch, true) { self.request(run) } else { Ok(()) }
    }

    fn on_checkpoint(&mut self, run: &mut Run, path: &Path) -> Result<()> {
        if path != self.last(run)? {
            return Ok(());
        }
        self.written = Some((run.epoch, run.batch));
        while self.kept.len() > self.keep {
            let step = self.kept.remove(0);
            let oldest = self.numbered(run, step)?;
            // It may have been removed already.
            if oldest.exists() {
                std::fs::remove_file(&oldest).map_err(|error| Error::file(&oldest, error))?;
            }
        }
        Ok(())
    }

    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        self.request_at_end(run)
    }

    fn on_error(&mut self, run: &mut Run, _: &Error) -> Result<()> {
        self.request_at_end(run)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for Checkpoints {
    fn kind(&self) -> &'static str {
        OP
    }
    fn numbers(&self) -> Result<Numbers> {
        Ok(Numbers::from([("kept".to_string(), self.kept.iter().map(|&step| step as f64).collect())]))
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        let count = numbers.get("kept").map_or(0, Vec::len);
        state::list(OP, numbers, "kept", count, is_count).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.check_numbers(numbers)?;
        self.kept = numbers["kept"].iter().map(|&step| nearest(step)).collect();
        Ok(())
    }
}
