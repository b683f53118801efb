//! The moments of a training run, and the callbacks for them.

use super::State;
use super::run::Run;
use crate::error::{Error, Result};
use std::path::Path;

/// A part of a run that acts at its moments: a log, a schedule, a rule for stopping.
///
/// The moments come in this order; those in brackets only when they are due:
///
/// ```text
/// on_fit_start
///   on_epoch_start
///     on_gradients              before each step of the optimizer
///     on_step_end               after it
///     [on_validation_start, on_validation_end]
///     [on_checkpoint]
///   on_epoch_end
///   [on_checkpoint]
/// on_fit_end, or on_error
/// ```
///
/// A resumed run begins with `on_fit_start`, at its epoch, batch and step; `on_epoch_start` is called only at the start of an
/// epoch. Callbacks are called in the order in which they were added. An error of one ends the run: the others are still called
/// for that moment, then a checkpoint is written if the run has a folder, and `on_error` is called.
///
/// ```
/// use wgrad::train::{Callback, Requests, Run};
/// use wgrad::Result;
/// # use wgrad::{Device, nn::{Linear, Scope}, optim::{Sgd, SgdOptions}};
///
/// /// Stops as soon as the loss is below a limit.
/// struct LowEnough(f64);
///
/// impl Callback for LowEnough {
///     fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
///         if run.scalar("train/loss").is_some_and(|loss| loss < self.0) {
///             run.requests.stop(format!("the loss is below {}", self.0));
///         }
///         Ok(())
///     }
/// }
/// # let device = Device::reference();
/// # let model = Linear::new(&Scope::new(&device), 4, 2)?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default())?;
/// # let mut requests = Requests::default();
/// # let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
/// # let scalars = [("train/loss".to_string(), 0.01)];
/// # run.scalars = &scalars;
/// LowEnough(0.02).on_step_end(&mut run)?;
/// assert_eq!(requests.stopped(), Some("the loss is below 0.02"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Callback {
    /// Before the first step, of a resumed run too: `run.step` is the number of steps taken, and files may hold rows of steps
    /// that will be repeated.
    ///
    /// # Errors
    /// The callback's own, here and at all other moments: they end the run.
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// Before the first batch of an epoch.
    ///
    /// # Errors
    /// The callback's own.
    fn on_epoch_start(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// Before a step: the parameters have the gradients that the step will take, recorded and not yet computed, and
    /// scaled where half precision scales the loss. `run.batch` and `run.step` are those before the step.
    ///
    /// # Errors
    /// The callback's own.
    fn on_gradients(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// After a step, which is submitted and not waited for. If the loss was read, `run.scalars` has `train/loss`, `lr`, `items/s`
    /// and `wait`, the fraction of the time spent waiting for data.
    ///
    /// # Errors
    /// The callback's own.
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// Before a pass over the validation set.
    ///
    /// # Errors
    /// The callback's own.
    fn on_validation_start(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// After it: `run.scalars` has `val/loss` and the metrics, as `val/accuracy`. The model's parameters are those that were
    /// evaluated.
    ///
    /// # Errors
    /// The callback's own.
    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// After the last step of an epoch and the validation that was due: `run.scalars` has the numbers of the epoch,
    /// `train/loss` as the mean over it, and those of the validation.
    ///
    /// # Errors
    /// The callback's own.
    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// After a checkpoint was written.
    ///
    /// # Errors
    /// The callback's own.
    fn on_checkpoint(&mut self, run: &mut Run, path: &Path) -> Result<()> {
        let _ = (run, path);
        Ok(())
    }

    /// After the last epoch, or where the run was [stopped](super::Requests::stop).
    ///
    /// # Errors
    /// The callback's own.
    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// In place of `on_fit_end`, where an error ends the run.
    ///
    /// # Errors
    /// Not reported: the run ends with the first error.
    fn on_error(&mut self, run: &mut Run, error: &Error) -> Result<()> {
        let _ = (run, error);
        Ok(())
    }

    /// At a note: a line from another callback or the run itself for the user, such as an estimate of the time.
    ///
    /// # Errors
    /// The callback's own.
    fn on_note(&mut self, run: &mut Run, note: &str) -> Result<()> {
        let _ = (run, note);
        Ok(())
    }

    /// The state that a resumed run must restore; checkpoints hold it by the callback's kind.
    fn state(&mut self) -> Option<&mut dyn State> {
        None
    }
}

/// A callback whose owner queries it afterwards, such as [`BestWeights`](super::BestWeights).
impl<C: Callback + ?Sized> Callback for &mut C {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_fit_start(run)
    }
    fn on_epoch_start(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_epoch_start(run)
    }
    fn on_gradients(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_gradients(run)
    }
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_step_end(run)
    }
    fn on_validation_start(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_validation_start(run)
    }
    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_validation_end(run)
    }
    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_epoch_end(run)
    }
    fn on_checkpoint(&mut self, run: &mut Run, path: &Path) -> Result<()> {
        (**self).on_checkpoint(run, path)
    }
    fn on_fit_end(&mut self, run: &mut Run) -> Result<()> {
        (**self).on_fit_end(run)
    }
    fn on_error(&mut self, run: &mut Run, error: &Error) -> Result<()> {
        (**self).on_error(run, error)
    }
    fn on_note(&mut self, run: &mut Run, note: &str) -> Result<()> {
        (**self).on_note(run, note)
    }
    fn state(&mut self) -> Option<&mut dyn State> {
        (**self).state()
    }
}

/// Callbacks in their order.
///
/// ```
/// use wgrad::train::{Callback, Callbacks, Requests, Run};
/// # use wgrad::{Device, Result, nn::{Linear, Scope}, optim::{Sgd, SgdOptions}};
/// # struct Log;
/// # impl Callback for Log {}
/// # let device = Device::reference();
/// # let model = Linear::new(&Scope::new(&device), 4, 2)?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default())?;
/// # let mut requests = Requests::default();
/// let mut callbacks = Callbacks::default();
/// callbacks.push(Log);
/// let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
/// callbacks.each(&mut run, |callback, run| callback.on_epoch_start(run))?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct Callbacks<'a> {
    list: Vec<Box<dyn Callback + 'a>>,
}

impl<'a> Callbacks<'a> {
    /// Adds a callback at the end.
    pub fn push(&mut self, callback: impl Callback + 'a) {
        self.list.push(Box::new(callback));
    }

    /// Passes a moment to all of them, and then the notes that they left at it.
    ///
    /// # Errors
    /// The first error of a callback; all are called nevertheless.
    pub fn each(
        &mut self,
        run: &mut Run,
        mut moment: impl FnMut(&mut dyn Callback, &mut Run) -> Result<()>,
    ) -> Result<()> {
        let mut result = Ok(());
        for callback in &mut self.list {
            result = result.and(moment(&mut **callback, run));
        }
        for note in run.requests.take_notes() {
            for callback in &mut self.list {
                result = result.and(callback.on_note(run, &note));
            }
        }
        result
    }

    /// The states in a checkpoint, with their names: `callback.KIND`, followed by a number from the second of a kind on.
    pub fn states(&mut self) -> Vec<(String, &mut dyn State)> {
        let mut states: Vec<(String, &mut dyn State)> = Vec::new();
        for state in self.list.iter_mut().filter_map(|callback| callback.state()) {
            let kind = state.kind();
            let same = states.iter().filter(|(_, other)| other.kind() == kind).count();
            let name = if same == 0 { format!("callback.{kind}") } else { format!("callback.{kind}.{}", same + 1) };
            states.push((name, state));
        }
        states
    }
}
