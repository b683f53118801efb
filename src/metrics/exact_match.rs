//! The fraction of items that are right as a whole.

use super::counter::Counter;
use super::label_check::LabelCheck;
use super::labels::{Labels, counted};
use super::metric::Metric;
use super::task::{ClassificationOptions, MultidimAverage, Task};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, no_grad};

const OP: &str = "ExactMatch";

/// The fraction of items all of whose elements are right (the subset accuracy): in a multiclass task over all dimensions after
/// the first, in a multilabel task over the labels, with each position of further dimensions an item of its own. Ignored elements
/// count as right. Without items it is 0.
///
/// ```
/// use wgrad::metrics::{ExactMatch, Metric, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut exact = ExactMatch::new(&device, Task::Multilabel(3), &Default::default())?;
/// let preds = Tensor::from_slice(&device, &[0.9f32, 0.2, 0.7, 0.1, 0.8, 0.6], &[2, 3])?;
/// exact.update(&preds, &Tensor::from_slice(&device, &[1, 0, 1, 0, 1, 0], &[2, 3])?)?;
/// assert_eq!(exact.compute()?, [("exact_match".to_string(), 0.5)]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct ExactMatch {
    task: Task,
    options: ClassificationOptions,
    labels: LabelCheck,
    right: Counter,
    total: u64,
    /// For each batch, the number of right wholes in each item, and the number of wholes that an item has.
    items: Vec<(Tensor, usize)>,
}

impl ExactMatch {
    /// An empty metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a binary task, which has no wholes, and if the options don't fit the task; errors of
    /// the device.
    pub fn new(device: &Device, task: Task, options: &ClassificationOptions) -> Result<ExactMatch> {
        options.check(OP, task)?;
        if task == Task::Binary || options.top_k != 1 {
            let rule =
                format!("a task {task:?} with top_k {}; it is for multiclass and multilabel labels", options.top_k);
            return Err(Error::invalid(OP, rule));
        }
        let (labels, right) = (LabelCheck::new(device, OP, task, options.ignore_index)?, Counter::new(device, &[])?);
        Ok(ExactMatch { task, options: options.clone(), labels, right, total: 0, items: Vec::new() })
    }

    /// Waits for the share, or for that of each item with [`Samplewise`](MultidimAverage::Samplewise).
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn shares(&self) -> Result<Vec<f64>> {
        if self.options.multidim_average == MultidimAverage::Global {
            return Ok(vec![self.right.read()?[0] as f64 / self.total.max(1) as f64]);
        }
        let batches: Vec<&Tensor> = self.items.iter().map(|(right, _)| right).collect();
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let right = no_grad(|| Tensor::cat(&batches, 0))?.to_vec::<i32>()?;
        let wholes = self.items.iter().flat_map(|(right, whole)| vec![*whole; right.numel()]);
        Ok(right.into_iter().zip(wholes).map(|(right, whole)| f64::from(right) / whole.max(1) as f64).collect())
    }
}

impl Metric for ExactMatch {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let Labels { preds, target, items, .. } =
                Labels::new(OP, self.task, &self.options, [preds, target], false)?;
            self.labels.add(&target)?;
            let mut is_right = preds.eq(&target)?;
            if let Some(counted) = counted(&target, self.options.ignore_index)? {
                is_right = is_right.logical_or(&counted.logical_not()?)?;
            }
            // `[N, places]`: wholes that are right.
            let is_right = match self.task {
                Task::Multilabel(_) => is_right.all(1)?,
                _ => is_right.all((1..is_right.rank()).collect::<Vec<_>>())?,
            };
            let places = is_right.shape()[1..].iter().product::<usize>();
            let right = is_right.to_dtype(DType::I32)?;
            if self.options.multidim_average == MultidimAverage::Global {
                self.right.add(&right.sum_all()?)?;
                self.total += (items * places) as u64;
            } else {
                let right = right.sum((1..right.rank()).collect::<Vec<_>>())?;
                self.items.push((right, places));
            }
            Ok(())
        })
    }

    /// The share; with counts of each item, the mean over items.
    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let shares = self.shares()?;
        let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        Ok(vec![("exact_match".to_string(), mean)])
    }

    fn reset(&mut self) -> Result<()> {
        self.total = 0;
        self.items.clear();
        self.labels.reset()?;
        self.right.reset()
    }
}
