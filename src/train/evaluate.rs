//! Passes over a set that change nothing.

use super::RunningMean;
use super::loader::{Loader, LoaderIter};
use super::modes::Modes;
use super::run::{Phase, Scalars, scalar};
use super::stepper::Stepper;
use super::task::{self, Task};
use crate::data::LoadTimes;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;
use std::time::{Duration, Instant};

/// The result of a pass over a set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Evaluation {
    /// `loss`, the mean over all items, and the task's metrics.
    pub scalars: Scalars,
    /// Items of the set.
    pub items: usize,
    /// The time that the pass took, and the part of it spent waiting for data.
    pub times: LoadTimes,
}

impl Evaluation {
    /// The number with this name.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        scalar(&self.scalars, name)
    }

    /// Throughput.
    pub fn items_per_second(&self) -> f64 {
        self.items as f64 / self.times.elapsed.as_secs_f64().max(1e-9)
    }
}

/// The mean loss and the metrics of a task over a set, without recording history and with the model in evaluation; its
/// modes are restored afterwards. The device is read once, at the end.
///
/// # Errors
/// [`Error::Invalid`] if the set has no batches; those of the loader, the task and the device.
///
/// ```
/// use wgrad::train::{ImageLoader, Supervised, evaluate};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// # let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// let mut classify = Supervised::classification();
/// let result = evaluate(&model, &mut classify, &ImageLoader::in_order(&images, &device, 500)?)?;
/// assert!(result.scalar("loss").unwrap() > 0.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn evaluate<T: Task>(
    model: &dyn Module,
    task: &mut T,
    loader: &dyn Loader<Batch = T::Batch>,
) -> Result<Evaluation> {
    let modes = Modes::of(model);
    modes.set(false);
    task.reset(Phase::Validation)?;
    let start = Instant::now();
    let mut mean: Option<RunningMean> = None;
    let (mut items, mut waited) = (0, Duration::ZERO);
    let mut batches = loader.resume(0, 0)?;
    while let Some(batch) = timed(&mut waited, || batches.next()) {
        let batch = batch?;
        let outcome = no_grad(|| task.forward(model, &batch))?;
        let device = outcome.loss.device().clone();
        let mean = match &mut mean {
            Some(mean) => mean,
            empty => empty.insert(RunningMean::new(&device)?),
        };
        mean.add(&outcome.loss, outcome.items)?;
        task::update(task, &outcome, &batch, Phase::Validation)?;
        items += outcome.items;
        device.flush()?;
    }
    let mean = mean.ok_or_else(|| Error::invalid("evaluate", "the set has no batches"))?;
    let mut scalars = vec![("loss".to_string(), mean.read()?)];
    scalars.extend(task.compute(Phase::Validation)?);
    Ok(Evaluation { scalars, items, times: LoadTimes { elapsed: start.elapsed(), waited } })
}

/// Runs something, and adds its time to `waited`.
pub(super) fn timed<R>(waited: &mut Duration, run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = run();
    *waited += start.elapsed();
    result
}

/// The batches of a set with the task's answers for them, without recording history and with the model in evaluation as long as
/// the iterator lives.
///
/// # Errors
/// Those of the loader; the iterator's items are those of the task.
///
/// ```
/// use wgrad::train::{ImageLoader, Supervised, predict};
/// # use wgrad::{Device, data::{Array, Images}, nn::{Flatten, Linear, Scope, Sequential}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// # let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2))?;
/// let classify = Supervised::classification();
/// let loader = ImageLoader::in_order(&images, &device, 500)?;
/// for answered in predict(&model, &classify, &loader)? {
///     let (batch, probabilities) = answered?;
///     assert_eq!(probabilities.shape()[..], [batch.labels.numel(), 2]);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn predict<'a, T: Task>(
    model: &'a dyn Module,
    task: &'a T,
    loader: &'a dyn Loader<Batch = T::Batch>,
) -> Result<Predictions<'a, T>> {
    let modes = Modes::of(model);
    modes.set(false);
    Ok(Predictions { model, task, batches: loader.resume(0, 0)?, stepper: None, _modes: modes })
}

/// An iterator over batches and the answers for them: see [`predict`].
pub struct Predictions<'a, T: Task> {
    model: &'a dyn Module,
    task: &'a T,
    batches: LoaderIter<'a, T::Batch>,
    stepper: Option<&'a Stepper>,
    _modes: Modes,
}

impl<'a, T: Task> Predictions<'a, T> {
    /// With the forward passes of a run.
    pub(super) fn within(self, stepper: &'a Stepper) -> Predictions<'a, T> {
        Predictions { stepper: Some(stepper), ..self }
    }
}

impl<T: Task> Iterator for Predictions<'_, T> {
    type Item = Result<(T::Batch, Tensor)>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.and_then(|batch| {
            let predict = || no_grad(|| self.task.predict(self.model, &batch));
            let answer = self.stepper.map_or_else(predict, |stepper| stepper.forward(predict))?;
            answer.device().flush()?;
            Ok((batch, answer))
        }))
    }
}
