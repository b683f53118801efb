//! One pass over the data: training or counting right answers.

use super::RunningMean;
use crate::data::{Batch, Images};
use crate::error::Result;
use crate::graph::{Device, Tensor, no_grad};
use crate::metrics::{self, Average, ClassificationOptions, Metric, Score, StatScores};
use crate::nn::Module;
use crate::ops::CrossEntropyOptions;
use crate::optim::Optimizer;
use std::time::{Duration, Instant};

/// A training step that has been submitted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Counts from 0.
    pub index: usize,
    /// Steps of the epoch.
    pub count: usize,
    /// Images of this step's batch.
    pub images: usize,
    /// The mean loss of the batch. Reading it waits for the step.
    pub loss: &'a Tensor,
}

/// What an epoch was like.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Epoch {
    /// Mean loss of the images, each at the time it was trained on.
    pub loss: f64,
    /// Images trained on.
    pub images: usize,
    /// From before the first step until the device had done the last.
    pub elapsed: Duration,
    /// The first step alone, until the device had done it: plans and compiles in a program's first epoch.
    pub first_step: Duration,
    /// The median of the other steps, from submission to submission.
    pub median_step: Duration,
}

impl Epoch {
    /// Throughput.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Trains on every batch once with the cross entropy of the model's logits, and calls `after_step` after each step. The
/// model is switched to training.
///
/// # Errors
/// [`Error::Unreached`](crate::Error::Unreached) where the model does not reach all parameters of its scope; those of the
/// model, the optimizer, `after_step`, and what went wrong on the device.
///
/// ```no_run
/// use wgrad::{Device, data::Mnist, models::LeNet5, nn::{Module, Scope}, optim::{Adam, AdamOptions}, train};
/// let device = Device::open()?;
/// let mnist = Mnist::open("data/mnist")?;
/// let model = LeNet5::new(&Scope::new(&device))?;
/// let mut adam = Adam::new(model.parameters(), AdamOptions::default())?;
/// train::epoch(&device, &model, &mut adam, mnist.train.shuffled(&device, 64, 0, 0)?, |_| Ok(()))?;
/// assert!(train::accuracy(&device, &model, &mnist.test, 500)? > 0.97);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn epoch(
    device: &Device,
    model: &dyn Module,
    optimizer: &mut dyn Optimizer,
    batches: impl ExactSizeIterator<Item = Result<Batch>>,
    mut after_step: impl FnMut(&Step) -> Result<()>,
) -> Result<Epoch> {
    model.check_reaches_all()?;
    model.train(true);
    let mut mean = RunningMean::new(device)?;
    let (count, mut total) = (batches.len(), 0);
    let mut durations = Vec::with_capacity(count);
    let mut first_step = Duration::ZERO;
    let start = Instant::now();
    let mut last = start;
    for (index, batch) in batches.enumerate() {
        let Batch { images, labels } = batch?;
        let loss = model.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        mean.add(&loss, labels.numel())?;
        total += labels.numel();
        optimizer.step()?;
        optimizer.zero_grad();
        if index == 0 {
            device.sync()?;
            first_step = start.elapsed();
        } else {
            durations.push(last.elapsed());
        }
        after_step(&Step { index, count, images: labels.numel(), loss: &loss })?;
        last = Instant::now();
    }
    device.sync()?;
    let elapsed = start.elapsed();
    durations.sort_unstable();
    let median_step = durations.get(durations.len() / 2).copied().unwrap_or(first_step);
    Ok(Epoch { loss: mean.read()?, images: total, elapsed, first_step, median_step })
}

/// The share of images whose largest logit is that of their label, without recording history. The model is switched to
/// evaluation.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) where `batch_size` is 0; those of the model, and what went wrong on
/// the device.
pub fn accuracy(device: &Device, model: &dyn Module, images: &Images, batch_size: usize) -> Result<f64> {
    model.eval();
    no_grad(|| {
        let mut scores: Option<StatScores> = None;
        for batch in images.batches(device, batch_size)? {
            let Batch { images, labels } = batch?;
            let logits = model.forward(&images)?;
            let scores = match &mut scores {
                Some(scores) => scores,
                empty => {
                    let task = metrics::Task::Multiclass(logits.shape().get(1).copied().unwrap_or(0));
                    empty.insert(StatScores::new(device, task, &ClassificationOptions::default())?)
                }
            };
            scores.update(&logits, &labels)?;
            device.flush()?;
        }
        scores.map_or(Ok(f64::NAN), |scores| Ok(scores.counts()?.score(Score::Accuracy, Average::Micro)?[0]))
    })
}
