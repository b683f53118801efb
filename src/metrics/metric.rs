//! Measures of a run that add up batch by batch, and lists of them.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use std::collections::HashSet;

/// A measure that adds up on the device over the batches of an epoch, and is read at its end.
///
/// [`update`](Metric::update) launches work and waits for nothing; [`compute`](Metric::compute) waits and reads once. Metrics
/// keep no history: gradients do not flow into them.
pub trait Metric: Send {
    /// Counts a batch: predictions and their targets. Reads nothing back.
    ///
    /// # Errors
    /// Shapes and types that the metric does not take. A label out of range is found on the device, and is
    /// [`Error::IndexOutOfRange`] at the next synchronisation.
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()>;

    /// Waits for the values since the last [`reset`](Metric::reset), each with its name, always the same names in the same
    /// order. The metric stays as it is: more batches may follow.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    fn compute(&self) -> Result<Vec<(String, f64)>>;

    /// Forgets all batches.
    ///
    /// # Errors
    /// Errors of the device.
    fn reset(&mut self) -> Result<()>;
}

impl Metric for Box<dyn Metric> {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        (**self).update(preds, target)
    }
    fn compute(&self) -> Result<Vec<(String, f64)>> {
        (**self).compute()
    }
    fn reset(&mut self) -> Result<()> {
        (**self).reset()
    }
}

/// Metrics that are updated together, with a prefix before their names. It is a metric itself, so a nested collection gives some
/// names another prefix.
///
/// ```
/// use wgrad::metrics::{Average, Metric, MetricCollection, Score, StatScores, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let scores = StatScores::new(&device, Task::Multiclass(3), &Default::default())?
///     .report(Score::Accuracy, Average::Micro)
///     .report(Score::F1, Average::Macro);
/// let mut metrics = MetricCollection::new("val/").with(scores);
/// let preds = Tensor::from_slice(&device, &[0, 1, 2, 2], &[4])?;
/// let target = Tensor::from_slice(&device, &[0, 1, 2, 0], &[4])?;
/// metrics.update(&preds, &target)?;
/// assert_eq!(metrics.compute()?[0], ("val/accuracy".to_string(), 0.75));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct MetricCollection {
    prefix: String,
    metrics: Vec<Box<dyn Metric>>,
}

impl MetricCollection {
    /// No metrics yet, with a prefix such as `"val/"`; an empty one leaves names as they are.
    pub fn new(prefix: impl Into<String>) -> MetricCollection {
        MetricCollection { prefix: prefix.into(), metrics: Vec::new() }
    }

    /// Adds a metric at the end.
    #[must_use = "it returns the collection with the metric"]
    pub fn with(mut self, metric: impl Metric + 'static) -> MetricCollection {
        self.metrics.push(Box::new(metric));
        self
    }
}

impl Metric for MetricCollection {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        self.metrics.iter_mut().try_for_each(|metric| metric.update(preds, target))
    }

    /// The values of all metrics in the order they were added.
    ///
    /// # Errors
    /// [`Error::Invalid`] if two have the same name; those of the metrics.
    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let mut values = Vec::new();
        for metric in &self.metrics {
            values.extend(metric.compute()?.into_iter().map(|(name, value)| (format!("{}{name}", self.prefix), value)));
        }
        let mut names = HashSet::new();
        match values.iter().find(|(name, _)| !names.insert(name)) {
            None => Ok(values),
            Some((name, _)) => {
                let rule = format!("two metrics are called {name}; give one a prefix, by a collection of its own");
                Err(Error::invalid("MetricCollection", rule))
            }
        }
    }

    fn reset(&mut self) -> Result<()> {
        self.metrics.iter_mut().try_for_each(Metric::reset)
    }
}
