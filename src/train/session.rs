//! The loop of a run.

use super::evaluate::timed;
use super::finite::Finite;
use super::loader::{Loader, LoaderIter};
use super::progress::Pace;
use super::task::{self, Outcome, Task};
use super::{Callback, Fit, Phase, Requests, Run, Scalars, State, Trainer, checkpoint};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::optim::Optimizer;
use std::path::Path;
use std::time::Duration;

/// A run under way.
pub(super) struct Session<'s, 'a, T: Task> {
    pub(super) trainer: &'s mut Trainer<'a>,
    pub(super) model: &'s dyn Module,
    pub(super) optimizer: &'s mut dyn Optimizer,
    task: &'s mut T,
    pub(super) train: &'s dyn Loader<Batch = T::Batch>,
    validation: Option<&'s dyn Loader<Batch = T::Batch>>,
    requests: Requests,
    /// The numbers of the last validation, and its step.
    validated: (u64, Scalars),
    /// True while weights, counts and the position belong together.
    is_whole: bool,
    /// The run at the last reading that found a finite loss.
    pub(super) finite: Option<Finite>,
    /// Readings since then.
    pub(super) not_finite: u32,
    fit: Fit,
}

/// The position and the numbers of a moment.
struct Moment<'m> {
    epoch: u64,
    batch: usize,
    items: usize,
    phase: Phase,
    scalars: &'m [(String, f64)],
}

impl<'s, 'a, T: Task> Session<'s, 'a, T> {
    pub fn new(
        trainer: &'s mut Trainer<'a>,
        model: &'s dyn Module,
        optimizer: &'s mut dyn Optimizer,
        task: &'s mut T,
        train: &'s dyn Loader<Batch = T::Batch>,
        validation: Option<&'s dyn Loader<Batch = T::Batch>>,
    ) -> Session<'s, 'a, T> {
        let (requests, validated, fit) = (Requests::default(), (0, Scalars::new()), Fit::default());
        Session {
            trainer,
            model,
            optimizer,
            task,
            train,
            validation,
            requests,
            validated,
            is_whole: true,
            finite: None,
            not_finite: 0,
            fit,
        }
    }

    /// Runs to the end. After an error callbacks are told, and a checkpoint is written if one asks for it and the run's state is
    /// consistent.
    pub fn run(mut self) -> Result<Fit> {
        let result = self.epochs();
        if let Err(error) = &result {
            // The first error is the one to report.
            let is_whole = self.is_whole;
            let _ = self.tell(self.now(&[]), |callback, run| callback.on_error(run, error));
            if is_whole {
                let _ = self.write_checkpoints();
            }
        }
        result?;
        self.fit.epochs = self.trainer.progress.epoch;
        self.fit.steps = self.trainer.progress.counts.step;
        self.fit.stopped = self.requests.stopped().map(str::to_string);
        Ok(self.fit)
    }

    fn epochs(&mut self) -> Result<()> {
        self.model.train(true);
        self.tell(self.now(&[]), |callback, run| callback.on_fit_start(run))?;
        if self.trainer.progress.counts.step == 0 {
            self.check_sanity()?;
        }
        self.task.reset(Phase::Train)?;
        while !self.is_to_stop()? && self.trainer.progress.epoch < self.trainer.options.epochs {
            self.epoch()?;
        }
        self.tell(self.now(&[]), |callback, run| callback.on_fit_end(run))?;
        self.write_checkpoints()
    }

    /// A moment between two steps.
    fn now<'m>(&self, scalars: &'m [(String, f64)]) -> Moment<'m> {
        let (epoch, batch) = (self.trainer.progress.epoch, self.trainer.progress.batch);
        Moment { epoch, batch, items: 0, phase: Phase::Train, scalars }
    }

    fn tell(&mut self, moment: Moment, of: impl FnMut(&mut dyn Callback, &mut Run) -> Result<()>) -> Result<()> {
        let Trainer { device, options, progress, callbacks, stepper, .. } = &mut *self.trainer;
        let Moment { epoch, batch, items, phase, scalars } = moment;
        let mut run = Run {
            folder: options.folder.as_deref(),
            epoch,
            epochs: options.epochs,
            batch,
            batches: self.train.batches(),
            step: progress.counts.step,
            items,
            phase,
            loss_scale: stepper.loss_scale(),
            scalars,
            ..Run::new(device, self.model, &mut *self.optimizer, &mut self.requests)
        };
        callbacks.each(&mut run, of)
    }

    /// Evaluates a few batches before the first step, and leaves no trace.
    fn check_sanity(&mut self) -> Result<()> {
        let (Some(validation), batches) = (self.validation, self.trainer.options.sanity_batches) else { return Ok(()) };
        if batches == 0 {
            return Ok(());
        }
        let random = self.trainer.device.random_state();
        self.trainer.evaluate(self.model, self.task, &validation.first(batches))?;
        self.trainer.device.set_random_state(random);
        Ok(())
    }

    /// Runs an epoch, or the rest of one; returns early if a stop is requested.
    fn epoch(&mut self) -> Result<()> {
        if self.trainer.progress.batch == 0 {
            self.tell(self.now(&[]), |callback, run| callback.on_epoch_start(run))?;
        }
        let mut pace = Pace::new();
        let train = self.train;
        let mut batches = train.resume(self.trainer.progress.epoch, self.trainer.progress.batch)?;
        let ended = loop {
            let has_more = self.trainer.progress.batch < train.batches();
            if pace.apart(|| self.between_steps(!has_more))? {
                break false;
            }
            if !has_more || !self.step(&mut batches, &mut pace)? {
                break true;
            }
        };
        self.trainer.device.sync()?;
        let times = pace.times();
        self.fit.items += pace.items;
        self.fit.times.elapsed += times.elapsed;
        self.fit.times.waited += times.waited;
        if ended { self.end_epoch(pace) } else { Ok(()) }
    }

    /// Validates if that is due, and carries out requests; true if the run must stop. At the end of an epoch requests wait until
    /// it is closed.
    fn between_steps(&mut self, at_end: bool) -> Result<bool> {
        let (step, epoch) = (self.trainer.progress.counts.step, self.trainer.progress.epoch);
        let is_due = self.trainer.options.validate.is_due(step, epoch, at_end);
        if is_due && self.trainer.progress.counts.validated != step {
            self.validate()?;
        }
        Ok(!at_end && self.is_to_stop()?)
    }

    /// A pass over the validation set. Callbacks find the parameters that were evaluated.
    fn validate(&mut self) -> Result<()> {
        let Some(validation) = self.validation else { return Ok(()) };
        let validating = |session: &Self| Moment { phase: Phase::Validation, ..session.now(&[]) };
        self.tell(validating(self), |callback, run| callback.on_validation_start(run))?;
        self.is_whole = false;
        let average = match self.trainer.options.evaluate_average {
            true => self.optimizer.lend_average()?,
            false => None,
        };
        let evaluation = self.trainer.evaluate(self.model, self.task, validation)?;
        self.is_whole = true;
        let named = |(name, value): &(String, f64)| (format!("val/{name}"), *value);
        let scalars: Scalars = evaluation.scalars.iter().map(named).collect();
        self.trainer.progress.counts.validated = self.trainer.progress.counts.step;
        let moment = Moment { items: evaluation.items, scalars: &scalars, ..validating(self) };
        let told = self.tell(moment, |callback, run| callback.on_validation_end(run));
        drop(average);
        self.validated = (self.trainer.progress.counts.step, scalars);
        told
    }

    /// Carries out the requests of callbacks; true if the run must stop.
    fn is_to_stop(&mut self) -> Result<bool> {
        self.write_checkpoints()?;
        Ok(self.requests.stopped().is_some())
    }

    fn write_checkpoints(&mut self) -> Result<()> {
        for path in self.requests.take_checkpoints() {
            self.save(&path)?;
            self.tell(self.now(&[]), |callback, run| callback.on_checkpoint(run, &path))?;
        }
        Ok(())
    }

    fn save(&mut self, path: &Path) -> Result<()> {
        let at = self.trainer.position();
        let optimizer = &self.optimizer;
        let Trainer { device, stepper, callbacks, progress, .. } = &mut *self.trainer;
        let mut parts: Vec<(String, &dyn State)> = vec![("optimizer".into(), optimizer)];
        parts.extend(stepper.scaler().map(|scaler| ("scaler".into(), &*scaler as &dyn State)));
        parts.extend(self.task.state().map(|state| ("task".into(), &*state)));
        parts.extend(progress.states().map(|(name, state)| (name, &*state)));
        parts.extend(callbacks.states().into_iter().map(|(name, state)| (name, &*state)));
        let parts: Vec<(&str, &dyn State)> = parts.iter().map(|(name, state)| (&**name, *state)).collect();
        checkpoint::save(path, device, self.model, &parts, &at)
    }

    /// Takes one step, with all that belongs to it; false if the loader has no batch for it.
    fn step(&mut self, batches: &mut LoaderIter<'_, T::Batch>, pace: &mut Pace) -> Result<bool> {
        let Some((loss, items)) = self.take_step(batches, &mut pace.waited)? else { return Ok(false) };
        pace.step(&self.trainer.device, items)?;
        let scalars = self.read(&loss, pace)?;
        drop(loss);
        self.is_whole = true;
        let moment = Moment { items, ..self.now(&scalars) };
        self.tell(moment, |callback, run| callback.on_step_end(run))?;
        Ok(true)
    }

    /// A step of the optimizer by one batch or several: the loss of the last, and the items of all.
    pub(super) fn take_step(
        &mut self,
        batches: &mut LoaderIter<'_, T::Batch>,
        waited: &mut Duration,
    ) -> Result<Option<(Tensor, usize)>> {
        let left = self.train.batches() - self.trainer.progress.batch;
        let accumulate = self.trainer.options.accumulate.min(left);
        let (share, climbs) = (1.0 / accumulate as f64, self.optimizer.has_first_step());
        let (mut taken, mut items, mut last, mut seen) = (0, 0, None, Vec::new());
        while taken < accumulate {
            let Some(batch) = timed(waited, || batches.next()) else { break };
            let batch = batch?;
            self.is_whole = false;
            let outcome = self.add_gradients(&batch, share)?;
            self.trainer.progress.loss.add(&outcome.loss, outcome.items)?;
            task::update(self.task, &outcome, &batch, Phase::Train)?;
            (taken, items, last) = (taken + 1, items + outcome.items, Some(outcome.loss));
            seen.extend(climbs.then_some(batch));
        }
        let Some(loss) = last else { return Ok(None) };
        if climbs {
            self.trainer.stepper.first_step(&mut *self.optimizer)?;
            seen.iter().try_for_each(|batch| self.add_gradients(batch, share).map(drop))?;
        }
        self.tell(Moment { items, ..self.now(&[]) }, |callback, run| callback.on_gradients(run))?;
        self.trainer.stepper.step(&mut *self.optimizer)?;
        self.trainer.progress.batch += taken;
        self.trainer.progress.counts.step += 1;
        Ok(Some((loss, items)))
    }

    /// Adds a batch's share to the gradients.
    fn add_gradients(&mut self, batch: &T::Batch, share: f64) -> Result<Outcome> {
        let Trainer { stepper, .. } = &mut *self.trainer;
        let outcome = stepper.forward(|| self.task.forward(self.model, batch))?;
        stepper.backward(&outcome.loss, share)?;
        Ok(outcome)
    }

    /// Numbers of the last step, if they are due: after the first step, at regular intervals, and at the last one of an epoch.
    fn read(&mut self, loss: &Tensor, pace: &Pace) -> Result<Scalars> {
        let (step, every) = (self.trainer.progress.counts.step, self.trainer.options.log_every);
        let is_last = self.trainer.progress.batch == self.train.batches();
        if step != 1 && !step.is_multiple_of(every) && !is_last {
            return Ok(Scalars::new());
        }
        let value = f64::from(loss.item::<f32>()?);
        self.check_finite(value)?;
        let mut scalars = vec![("train/loss".to_string(), value)];
        scalars.extend(self.lrs()?);
        scalars.push(("items/s".into(), pace.items_per_second()));
        scalars.push(("wait".into(), pace.times().wait_share()));
        Ok(scalars)
    }

    /// The rate of each group.
    fn lrs(&self) -> Result<Scalars> {
        let name = |group| if group == 0 { "lr".to_string() } else { format!("lr/{group}") };
        (0..self.optimizer.groups()).map(|group| Ok((name(group), self.optimizer.lr(group)?))).collect()
    }

    fn end_epoch(&mut self, mut pace: Pace) -> Result<()> {
        let mut scalars = vec![("train/loss".to_string(), self.trainer.progress.loss.read()?)];
        let metrics = self.task.compute(Phase::Train)?;
        scalars.extend(metrics.into_iter().map(|(name, value)| (format!("train/{name}"), value)));
        if self.validated.0 == self.trainer.progress.counts.step {
            scalars.append(&mut self.validated.1);
        }
        scalars.extend(self.lrs()?);
        let [first, median] = pace.step_ms();
        scalars.extend([
            ("items/s".to_string(), pace.items_per_second()),
            ("wait".to_string(), pace.times().wait_share()),
            ("first_step_ms".to_string(), first),
            ("step_ms".to_string(), median),
            ("peak_bytes".to_string(), self.trainer.device.stats().bytes_peak as f64),
        ]);
        let moment = Moment { items: pace.items, ..self.now(&scalars) };
        self.task.reset(Phase::Train)?;
        self.trainer.progress.end_epoch()?;
        let told = self.tell(moment, |callback, run| callback.on_epoch_end(run));
        self.fit.scalars = scalars;
        told
    }
}
