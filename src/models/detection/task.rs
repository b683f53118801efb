//! Training of detectors by a [`Trainer`](crate::train::Trainer).

use super::{DetectionTargets, Detector};
use crate::data::Batch;
use crate::error::Result;
use crate::graph::Tensor;
use crate::metrics::{MeanAveragePrecision, MeanAveragePrecisionOptions, Metric};
use crate::nn::Module;
use crate::train::{Outcome, Phase, RunningMean, Scalars, Task};
use std::cell::OnceCell;

/// A task of finding objects: the sum of a detector's losses is trained on, and each is logged by its name. Images are
/// `[N, 3, H, W]` of 0 to 1, and labels rows `[N, M, 5]` of a box and its class, below 0 if there is none. Evaluations count
/// detections by [`MeanAveragePrecision`].
///
/// Both passes of an evaluation run in its mode: losses, and then detections.
///
/// ```
/// # use wgrad::{Device, Tensor, data::Batch, nn::{Module, Scope}, train::Task};
/// use wgrad::models::detection::{DetectionTask, Yolo, YoloOptions};
/// # let device = Device::reference();
/// let net = Yolo::new(&Scope::new(&device), &YoloOptions::yolov3_tiny().classes(3).base_width(2).size(64))?;
/// let task = DetectionTask::new(&net)?;
/// let labels = Tensor::from_slice(&device, &[8.0f32, 8.0, 30.0, 40.0, 2.0], &[1, 1, 5])?;
/// let batch = Batch { images: Tensor::zeros(&device, &[1, 3, 64, 64])?, labels };
/// task.forward(&net, &batch)?.loss.backward()?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct DetectionTask<'a> {
    detector: &'a dyn Detector,
    names: OnceCell<Vec<&'static str>>,
    /// By phase, in the order of the names.
    losses: [Vec<RunningMean>; 2],
    metric: Box<dyn Metric>,
}

impl<'a> DetectionTask<'a> {
    /// A task of this detector, which is also the model that is trained.
    ///
    /// # Errors
    /// None today.
    pub fn new(detector: &'a dyn Detector) -> Result<DetectionTask<'a>> {
        let metric = MeanAveragePrecision::new(MeanAveragePrecisionOptions::default())?;
        Ok(DetectionTask { detector, names: OnceCell::new(), losses: Default::default(), metric: Box::new(metric) })
    }

    /// Takes another metric of [`Detections::rows`](super::Detections::rows) and labels.
    #[must_use = "it returns the task with the metric"]
    pub fn metric(self, metric: impl Metric + 'static) -> DetectionTask<'a> {
        DetectionTask { metric: Box::new(metric), ..self }
    }

    fn names(&self) -> &[&'static str] {
        self.names.get().map_or(&[], Vec::as_slice)
    }
}

fn place(phase: Phase) -> usize {
    usize::from(phase == Phase::Validation)
}

impl Task for DetectionTask<'_> {
    type Batch = Batch;

    /// Outputs are the losses side by side.
    fn forward(&self, _: &dyn Module, batch: &Batch) -> Result<Outcome> {
        let losses = self.detector.losses(&batch.images, &DetectionTargets::from_rows(&batch.labels)?)?;
        self.names.get_or_init(|| losses.iter().map(|(name, _)| name).collect());
        let each: Vec<&Tensor> = losses.iter().map(|(_, loss)| loss).collect();
        let outputs = Tensor::stack(&each, 0)?.detach();
        Ok(Outcome { loss: losses.total()?, outputs, items: batch.images.shape()[0] })
    }

    fn update(&mut self, outcome: &Outcome, batch: &Batch, phase: Phase) -> Result<()> {
        let means = &mut self.losses[place(phase)];
        for number in 0..outcome.outputs.shape()[0] {
            if means.len() == number {
                means.push(RunningMean::new(outcome.outputs.device())?);
            }
            means[number].add(&outcome.outputs.narrow(0, number, 1)?.squeeze(0)?, outcome.items)?;
        }
        match phase {
            Phase::Train => Ok(()),
            Phase::Validation => self.metric.update(&self.detector.detect(&batch.images)?.rows()?, &batch.labels),
        }
    }

    fn compute(&self, phase: Phase) -> Result<Scalars> {
        let losses = self.names().iter().zip(&self.losses[place(phase)]);
        let losses = losses.map(|(name, mean)| Ok((name.to_string(), mean.read()?)));
        let mut scalars = losses.collect::<Result<Scalars>>()?;
        if phase == Phase::Validation {
            scalars.extend(self.metric.compute()?);
        }
        Ok(scalars)
    }

    fn reset(&mut self, phase: Phase) -> Result<()> {
        self.losses[place(phase)].iter_mut().try_for_each(RunningMean::reset)?;
        match phase {
            Phase::Train => Ok(()),
            Phase::Validation => self.metric.reset(),
        }
    }

    fn predict(&self, _: &dyn Module, batch: &Batch) -> Result<Tensor> {
        self.detector.detect(&batch.images)?.rows()
    }
}
