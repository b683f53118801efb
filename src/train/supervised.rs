//! Ready-made tasks of one output and one target.

use super::run::{Phase, Scalars};
use super::task::{Outcome, Task};
use crate::data::Batch;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::metrics::{Metric, MetricCollection};
use crate::nn::{Layer, Mode, Module};
use crate::ops::{CrossEntropyOptions, InterpolateMode, InterpolateOptions, Reduction};
use std::collections::BTreeMap;

type Loss = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor>>;
type Answer = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

/// Tasks of labelled images: the model's output for the images of a [`Batch`] is compared with its labels.
///
/// | constructor | outputs | labels | loss | answers |
/// |---|---|---|---|---|
/// | [`classification`](Supervised::classification) | `[N, C]` | `[N]` i32, or `[N, C]` f32 | cross entropy | softmax |
/// | [`multi_label`](Supervised::multi_label) | `[N, C]` | `[N, C]` f32 | binary cross entropy | sigmoid |
/// | [`regression`](Supervised::regression) | any | as the outputs | mean squared error | the outputs |
/// | [`segmentation`](Supervised::segmentation) | `[N, C, H, W]` | `[N, H, W]` i32 | cross entropy | class of each pixel |
/// | [`detection`](Supervised::detection) | any | `[N, G, 5]` f32 | the detector's | boxes `[N, M, 6]` |
///
/// Metrics get the outputs and the labels. Those of a detection get its answers in place of outputs. As labels, those
/// of classification and segmentation get class numbers, even where labels are mixed, and those of several labels get
/// whole numbers.
///
/// ```
/// use wgrad::CrossEntropyOptions;
/// use wgrad::train::Supervised;
/// let smooth = CrossEntropyOptions::default().label_smoothing(0.1);
/// let task = Supervised::classification().loss(move |outputs, labels| outputs.cross_entropy(labels, &smooth));
/// ```
pub struct Supervised {
    loss: Loss,
    answer: Answer,
    /// True if metrics take answers, and not outputs.
    measures_answers: bool,
    /// Layers whose outputs have their own loss, with its weight.
    auxiliary: Vec<(String, f64)>,
    /// The labels as metrics take them.
    target: fn(&Tensor) -> Result<Tensor>,
    training: MetricCollection,
    validation: MetricCollection,
}

fn as_they_are(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.clone())
}

/// Class numbers of labels that may be mixtures.
fn class_numbers(labels: &Tensor) -> Result<Tensor> {
    if labels.dtype().is_float() { labels.argmax(1) } else { Ok(labels.clone()) }
}

fn whole_numbers(labels: &Tensor) -> Result<Tensor> {
    labels.round()?.to_dtype(DType::I32)
}

fn cross_entropy(outputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
    outputs.cross_entropy(labels, &CrossEntropyOptions::default())
}

/// A map `[N, C, h, w]` in the size of labels `[N, H, W]`; all else as it is.
fn fitted(output: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let (map, size) = (output.shape(), labels.shape());
    if map.len() != 4 || size.len() != 3 || map[2..] == size[1..] {
        return Ok(output.clone());
    }
    let options = InterpolateOptions::default().size(size[1..].to_vec()).mode(InterpolateMode::Bilinear);
    output.interpolate(&options)
}

impl Supervised {
    fn new(
        loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static,
        answer: impl Fn(&Tensor) -> Result<Tensor> + 'static,
        target: fn(&Tensor) -> Result<Tensor>,
    ) -> Supervised {
        let metrics = || MetricCollection::new("");
        let (loss, answer): (Loss, Answer) = (Box::new(loss), Box::new(answer));
        let (auxiliary, training, validation) = (Vec::new(), metrics(), metrics());
        Supervised { loss, answer, measures_answers: false, auxiliary, target, training, validation }
    }

    /// One class for each image.
    pub fn classification() -> Supervised {
        Supervised::new(cross_entropy, |outputs| outputs.softmax(1), class_numbers)
    }

    /// Any number of classes for each image.
    pub fn multi_label() -> Supervised {
        let loss = |outputs: &Tensor, labels: &Tensor| {
            outputs.binary_cross_entropy_with_logits(labels, None, None, Reduction::Mean)
        };
        Supervised::new(loss, Tensor::sigmoid, whole_numbers)
    }

    /// Numbers.
    pub fn regression() -> Supervised {
        let loss = |outputs: &Tensor, labels: &Tensor| outputs.mse_loss(labels, Reduction::Mean);
        Supervised::new(loss, as_they_are, as_they_are)
    }

    /// A class for each pixel.
    pub fn segmentation() -> Supervised {
        Supervised::new(cross_entropy, |outputs| outputs.argmax(1), class_numbers)
    }

    /// Boxes. A detector has a loss of its outputs and the labels, and a way from its outputs to boxes `[N, M, 6]`,
    /// each with its score and the number of its class; rows with a class below 0 are padding. Labels `[N, G, 5]` are
    /// boxes with class numbers, padded in the same way, as
    /// [`MeanAveragePrecision`](crate::metrics::MeanAveragePrecision) takes them.
    pub fn detection(
        loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static,
        boxes: impl Fn(&Tensor) -> Result<Tensor> + 'static,
    ) -> Supervised {
        Supervised { measures_answers: true, ..Supervised::new(loss, boxes, as_they_are) }
    }

    /// Sets another loss, of outputs and labels: the mean over the items of a batch.
    #[must_use = "it returns the task with the loss"]
    pub fn loss(self, loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static) -> Supervised {
        Supervised { loss: Box::new(loss), ..self }
    }

    /// Adds to the loss of training that of an auxiliary classifier, a layer within the model, times `weight`. torchvision trains
    /// [segmenters](crate::models::segmentation) with 0.4. Maps of another size than the labels are resized to them, by straight
    /// lines between pixels. A step is refused where the model, in training, does not run the layer.
    ///
    /// ```
    /// use wgrad::models::segmentation::{Fcn, FcnOptions};
    /// use wgrad::train::Supervised;
    /// let options = FcnOptions::fcn_resnet50().classes(4).aux_loss(true);
    /// let task = Supervised::segmentation().auxiliary("aux_classifier", 0.4);
    /// ```
    #[must_use = "it returns the task with the auxiliary loss"]
    pub fn auxiliary(mut self, layer: impl Into<String>, weight: f64) -> Supervised {
        self.auxiliary.push((layer.into(), weight));
        self
    }

    /// The outcome of a batch, and the outputs of other layers of the model, in the order of their names.
    pub(crate) fn observed(
        &self,
        model: &dyn Module,
        batch: &Batch,
        layers: &[&str],
    ) -> Result<(Outcome, Vec<Tensor>)> {
        let (images, labels) = (&batch.images, &batch.labels);
        let is_training = || model.named_modules().iter().any(|(_, layer)| layer.mode().is_some_and(Mode::is_training));
        let has_auxiliary = !self.auxiliary.is_empty() && is_training();
        let auxiliary = if has_auxiliary { &self.auxiliary[..] } else { &[] };
        let mut found = BTreeMap::new();
        let outputs = if auxiliary.is_empty() && layers.is_empty() {
            model.forward(images)?
        } else {
            let mut keep = |layer: &Layer<'_>, _: &Tensor, output: &Tensor| {
                if auxiliary.iter().any(|(name, _)| name == layer.name) || layers.contains(&layer.name) {
                    found.insert(layer.name.to_string(), output.clone());
                }
                Ok(None)
            };
            model.forward_with(images, &mut keep)?
        };
        let of = |op: &'static str, name: &str| {
            let missing = || Error::invalid(op, format!("the model runs no layer {name:?} in training"));
            found.get(name).cloned().ok_or_else(missing)
        };
        let mut loss = (self.loss)(&outputs, labels)?;
        for (name, weight) in auxiliary {
            let output = fitted(&of("auxiliary", name)?, labels)?;
            loss = loss.add(&(self.loss)(&output, labels)?.mul_scalar(*weight)?)?;
        }
        let seen = layers.iter().map(|name| of("observed", name)).collect::<Result<_>>()?;
        Ok((Outcome { loss, outputs, items: images.shape()[0] }, seen))
    }

    /// Adds a metric of evaluations.
    ///
    /// ```
    /// use wgrad::metrics::{Average, Score, StatScores, Task};
    /// use wgrad::train::Supervised;
    /// # let device = wgrad::Device::reference();
    /// let accuracy = StatScores::new(&device, Task::Multiclass(10), &Default::default())?;
    /// let task = Supervised::classification().metric(accuracy.report(Score::Accuracy, Average::Micro));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use = "it returns the task with the metric"]
    pub fn metric(self, metric: impl Metric + 'static) -> Supervised {
        Supervised { validation: self.validation.with(metric), ..self }
    }

    /// Adds a metric of the training batches, whose forward pass each step computes anyway. In a run that was resumed
    /// within an epoch it counts only the rest of the epoch.
    #[must_use = "it returns the task with the metric"]
    pub fn train_metric(self, metric: impl Metric + 'static) -> Supervised {
        Supervised { training: self.training.with(metric), ..self }
    }

    fn metrics(&mut self, phase: Phase) -> &mut MetricCollection {
        match phase {
            Phase::Train => &mut self.training,
            Phase::Validation => &mut self.validation,
        }
    }
}

impl Task for Supervised {
    type Batch = Batch;

    fn forward(&self, model: &dyn Module, batch: &Batch) -> Result<Outcome> {
        Ok(self.observed(model, batch, &[])?.0)
    }

    fn update(&mut self, outcome: &Outcome, batch: &Batch, phase: Phase) -> Result<()> {
        let target = (self.target)(&batch.labels)?;
        let outputs = &outcome.outputs;
        let measured = if self.measures_answers { (self.answer)(outputs)? } else { outputs.clone() };
        self.metrics(phase).update(&measured, &target)
    }

    fn compute(&self, phase: Phase) -> Result<Scalars> {
        match phase {
            Phase::Train => self.training.compute(),
            Phase::Validation => self.validation.compute(),
        }
    }

    fn reset(&mut self, phase: Phase) -> Result<()> {
        self.metrics(phase).reset()
    }

    fn predict(&self, model: &dyn Module, batch: &Batch) -> Result<Tensor> {
        (self.answer)(&model.forward(&batch.images)?)
    }
}
