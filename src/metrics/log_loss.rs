//! The log loss of probabilities.

use super::label_check::LabelCheck;
use super::labels::{check_shapes, class_mask, counted, probabilities, scores, whole};
use super::metric::Metric;
use super::sums::Sums;
use super::task::Task;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor, no_grad};

const OP: &str = "LogLoss";

/// The mean of `-log p` over elements, `p` being the model's probability for the true class, clamped to at least f32's epsilon
/// and at most 1 minus that, as in scikit-learn (so an element adds at most 16). In a multilabel task the mean is over all
/// labels. Scores of a batch are probabilities if all are in 0..1 and logits otherwise. NaN without elements.
///
/// ```
/// use wgrad::metrics::{LogLoss, Metric, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut loss = LogLoss::new(&device, Task::Binary, None)?;
/// let preds = Tensor::from_slice(&device, &[0.5f32, 0.25], &[2])?;
/// loss.update(&preds, &Tensor::from_slice(&device, &[1, 0], &[2])?)?;
/// let expected = -(0.5f64.ln() + 0.75f64.ln()) / 2.0;
/// assert!((loss.compute()?[0].1 - expected).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct LogLoss {
    task: Task,
    ignore_index: Option<i32>,
    labels: LabelCheck,
    sums: Sums,
}

impl LogLoss {
    /// An empty metric; elements whose target is `ignore_index` count nowhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two classes or labels; errors of the device.
    pub fn new(device: &Device, task: Task, ignore_index: Option<i32>) -> Result<LogLoss> {
        let labels = LabelCheck::new(device, OP, task.check(OP)?, ignore_index)?;
        Ok(LogLoss { task, ignore_index, labels, sums: Sums::default() })
    }

    /// Waits for the mean.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn mean(&self) -> Result<f64> {
        let sum = self.sums.read()?.map_or(0.0, |sums| sums[0]);
        Ok(-sum / self.labels.total()? as f64)
    }
}

impl Metric for LogLoss {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let by_class = check_shapes(OP, self.task, preds, target)?;
            let (scores, target) = (scores(OP, preds)?, whole(target)?);
            self.labels.add(&target)?;
            let counted = counted(&target, self.ignore_index)?;
            let given = match self.task {
                Task::Multiclass(_) if !by_class => {
                    let rule = format!("probabilities by class, [N, C, ..]; predictions are {}", preds.shape());
                    return Err(Error::invalid(OP, rule));
                }
                Task::Multiclass(_) => {
                    let probabilities = probabilities(&scores, Some(1), counted.as_ref())?;
                    let own = class_mask(&probabilities, &target)?;
                    own.where_(&probabilities, &probabilities.zeros_like()?)?.sum(1)?
                }
                Task::Binary | Task::Multilabel(_) => {
                    let yes = probabilities(&scores, None, counted.as_ref())?;
                    target.gt_scalar(0.0)?.where_(&yes, &yes.neg()?.add_scalar(1.0)?)?
                }
            };
            let mut logs = given.clamp(Some(f32::EPSILON.into()), Some(1.0 - f64::from(f32::EPSILON)))?.log()?;
            if let Some(counted) = counted {
                logs = counted.where_(&logs, &logs.zeros_like()?)?;
            }
            self.sums.add(OP, &logs.sum_all()?.reshape(&[1])?)
        })
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(vec![("log_loss".to_string(), self.mean()?)])
    }

    fn reset(&mut self) -> Result<()> {
        self.labels.reset()?;
        self.sums = Sums::default();
        Ok(())
    }
}
