//! Runs of training.

use super::callback::{Callback, Callbacks};
use super::evaluate::{Evaluation, Predictions, evaluate, predict};
use super::loader::Loader;
use super::progress::Progress;
use super::run::{Scalars, scalar};
use super::session::Session;
use super::stepper::Stepper;
use super::task::Task;
use super::{Position, State, checkpoint};
use crate::amp::{AutocastOptions, GradScalerOptions};
use crate::data::LoadTimes;
use crate::error::{Error, Result};
use crate::graph::Device;
use crate::nn::Module;
use crate::optim::Optimizer;
use crate::options::options;
use std::path::{Path, PathBuf};

/// The interval at which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After this many epochs.
    Epochs(u64),
    /// After this many steps of the optimizer.
    Steps(u64),
}

impl Every {
    /// True after the step that completes an interval. `at_end` says that it was the last one of `epoch`, which counts
    /// from 0.
    pub(super) fn is_due(self, step: u64, epoch: u64, at_end: bool) -> bool {
        match self {
            Every::Epochs(epochs) => at_end && (epoch + 1).is_multiple_of(epochs),
            Every::Steps(steps) => step > 0 && step.is_multiple_of(steps),
        }
    }

    pub(super) fn check(self, op: &'static str, name: &str) -> Result<()> {
        match self {
            Every::Epochs(0) | Every::Steps(0) => {
                Err(Error::invalid(op, format!("{name} is {self:?}; it must be at least 1")))
            }
            _ => Ok(()),
        }
    }
}

options! {
    /// Options of a [`Trainer`].
    #[derive(Clone, Debug, PartialEq)]
    TrainerOptions {
        /// Passes over the training set, including those before the checkpoint of a resumed run.
        epochs: u64 = 1,
        /// Batches whose gradients one step adds up.
        accumulate: usize = 1,
        /// Computes forward passes in half precision.
        autocast: Option<AutocastOptions> = None,
        /// Scales the losses of half precision.
        scaler: GradScalerOptions = GradScalerOptions::default(),
        /// Steps between two readings of the loss, each of which waits for the device.
        log_every: u64 = 50,
        /// Names the first operation whose result is not finite, when a reading finds a loss that is not: the steps
        /// since the reading before are repeated with [checks](crate::Debug::nan). The weights and the optimizer's
        /// state of that reading are held for this, so they take their memory twice. Not under a loss scaler, whose
        /// steps meet infinities as a rule.
        find_nan: bool = false,
        /// The interval between validations.
        validate: Every = Every::Epochs(1),
        /// Batches of the validation set that a new run evaluates before its first step, so that a fault there shows at once.
        sanity_batches: usize = 1,
        /// Evaluates the averages of weights, where the optimizer keeps some.
        evaluate_average: bool = true,
        /// The folder of the run's files, which is created.
        folder: Option<PathBuf> = None,
        /// The seed of the data's order, for checkpoints: a program reads it from there before it makes its loader.
        seed: u64 = 0,
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Fit {
    /// Epochs done, those before a checkpoint included.
    pub epochs: u64,
    /// Steps of the optimizer, those before a checkpoint included.
    pub steps: u64,
    /// The numbers of the last epoch; none where this call ended no epoch.
    pub scalars: Scalars,
    /// Items that this call trained on.
    pub items: usize,
    /// The time of that training, without evaluations, and the part of it spent waiting for data.
    pub times: LoadTimes,
    /// The reason for an early end, if there was one.
    pub stopped: Option<String>,
}

impl Fit {
    /// The number with this name.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        scalar(&self.scalars, name)
    }

    /// Throughput of the training.
    pub fn items_per_second(&self) -> f64 {
        if self.items == 0 { 0.0 } else { self.items as f64 / self.times.elapsed.as_secs_f64().max(1e-9) }
    }
}

/// Trains, evaluates and uses a model: a loop over epochs and batches, extended by [callbacks](Callback).
///
/// The loop knows no particular task, set or log. Its parts can be used without it: a [`Loader`] gives batches, a [`Task`]
/// computes their loss, a [`Stepper`] takes a step, [`evaluate`] and [`predict`] go through a set, [`Callbacks`] follow a
/// [`Run`](super::Run), and [`save`](super::save) and [`load`](super::load) store it. Gradients are clipped, and weights
/// averaged, by the optimizer. If that takes two gradients a step ([`Sam`](crate::optim::Sam)), each step goes through its
/// batches twice; losses and metrics are those of the first time.
///
/// ```
/// use wgrad::optim::lr_scheduler::{CosineAnnealingLr, LrScheduler};
/// use wgrad::optim::{Adam, AdamOptions};
/// use wgrad::train::{EarlyStopping, ImageLoader, Monitor, Scheduled, Supervised, Trainer, TrainerOptions};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}};
/// # let device = Device::reference();
/// # let pixels = (0..40).map(|at| if at % 4 < 2 { 20 } else { 200 }).collect();
/// # let images = Images::new(Array::new(vec![20, 1, 2], pixels)?, [0, 1].repeat(10), vec!["dark".into(), "light".into()])?;
///
/// let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// let mut adam = Adam::new(&model, AdamOptions::default().lr(0.1))?.clip_grad_norm(1.0)?;
/// let cosine = LrScheduler::new(&mut adam, CosineAnnealingLr::new(8))?;
/// let train = ImageLoader::shuffled(&images, &device, 5, 0)?;
/// let test = ImageLoader::in_order(&images, &device, 20)?;
///
/// let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(8))?
///     .callback(Scheduled::by_epoch(cosine))
///     .callback(EarlyStopping::new(Monitor::min("val/loss")).patience(3));
/// let fit = trainer.fit(&model, &mut adam, &mut Supervised::classification(), &train, Some(&test))?;
/// assert!(fit.scalar("val/loss").unwrap() < 0.3);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Trainer<'a> {
    pub(super) device: Device,
    pub(super) options: TrainerOptions,
    pub(super) stepper: Stepper,
    pub(super) callbacks: Callbacks<'a>,
    pub(super) progress: Progress,
}

impl<'a> Trainer<'a> {
    /// A run that has not begun.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option is out of its range, [`Error::File`] if the folder can't be made.
    pub fn new(device: &Device, options: TrainerOptions) -> Result<Trainer<'a>> {
        const OP: &str = "Trainer";
        for (name, value) in
            [("epochs", options.epochs), ("accumulate", options.accumulate as u64), ("log_every", options.log_every)]
        {
            if value == 0 {
                return Err(Error::invalid(OP, format!("{name} is 0; it must be at least 1")));
            }
        }
        options.validate.check(OP, "validate")?;
        if let Some(folder) = &options.folder {
            std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        }
        let stepper = match options.autocast {
            Some(autocast) => Stepper::autocast(device, autocast, options.scaler)?,
            None => Stepper::default(),
        };
        let progress = Progress::new(device)?;
        Ok(Trainer { device: device.clone(), options, stepper, callbacks: Callbacks::default(), progress })
    }

    /// Adds a callback at the end.
    #[must_use = "it returns the trainer with the callback"]
    pub fn callback(mut self, callback: impl Callback + 'a) -> Trainer<'a> {
        self.callbacks.push(callback);
        self
    }

    /// The position of the run.
    pub fn position(&self) -> Position {
        let Progress { epoch, batch, .. } = self.progress;
        Position { epoch, batch: batch as u64, seed: self.options.seed }
    }

    /// Restores a run from its checkpoint; [`fit`](Trainer::fit) then goes on bit for bit as the uninterrupted run. Model,
    /// optimizer, task and callbacks have to be made as before.
    ///
    /// # Errors
    /// Those of [`load`](super::load). Nothing has changed then.
    pub fn resume<T: Task>(
        &mut self,
        path: &Path,
        model: &dyn Module,
        optimizer: &mut dyn Optimizer,
        task: &mut T,
    ) -> Result<Position> {
        let mut optimizer = optimizer;
        let Trainer { device, stepper, callbacks, progress, .. } = self;
        let mut parts: Vec<(String, &mut dyn State)> = vec![("optimizer".into(), &mut optimizer)];
        parts.extend(stepper.scaler().map(|scaler| ("scaler".into(), scaler as &mut dyn State)));
        parts.extend(task.state().map(|state| ("task".into(), state)));
        parts.extend(progress.states());
        parts.extend(callbacks.states());
        let mut parts: Vec<(&str, &mut dyn State)> =
            parts.iter_mut().map(|(name, state)| (&**name, &mut **state)).collect();
        let at = checkpoint::load(path, device, model, &mut parts)?;
        self.progress.stand_at(&at);
        self.options.seed = at.seed;
        Ok(at)
    }

    /// Trains until the last epoch is done or a stop is requested.
    ///
    /// # Errors
    /// [`Error::Unreached`] if the model does not reach all parameters of its scope; those of the loaders, the task, the
    /// optimizer, the callbacks and the device. After an error outside of a step, callbacks may still have a checkpoint written.
    pub fn fit<T: Task>(
        &mut self,
        model: &dyn Module,
        optimizer: &mut dyn Optimizer,
        task: &mut T,
        train: &dyn Loader<Batch = T::Batch>,
        validation: Option<&dyn Loader<Batch = T::Batch>>,
    ) -> Result<Fit> {
        model.check_reaches_all()?;
        Session::new(self, model, optimizer, task, train, validation).run()
    }

    /// [`evaluate`], in half precision where the run is. The numbers have no prefix.
    ///
    /// # Errors
    /// As `evaluate`.
    pub fn evaluate<T: Task>(
        &self,
        model: &dyn Module,
        task: &mut T,
        loader: &dyn Loader<Batch = T::Batch>,
    ) -> Result<Evaluation> {
        self.stepper.forward(|| evaluate(model, task, loader))
    }

    /// [`predict`], in half precision where the run is.
    ///
    /// # Errors
    /// As `predict`.
    pub fn predict<'m, T: Task>(
        &'m self,
        model: &'m dyn Module,
        task: &'m T,
        loader: &'m dyn Loader<Batch = T::Batch>,
    ) -> Result<Predictions<'m, T>> {
        Ok(predict(model, task, loader)?.within(&self.stepper))
    }
}
