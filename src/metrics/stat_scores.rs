//! Counts of right and wrong answers by class.

use super::counts::Counts;
use super::metric::Metric;
use super::score::Score;
use super::tally::{Tally, tallied};
use super::task::{Average, ClassificationOptions, Task};
use crate::error::Result;
use crate::graph::{Device, Tensor};

/// True and false positives and negatives by class, and the [`Score`]s that follow from them: accuracy, precision,
/// recall, F-beta, specificity and others, all from one count on the device.
///
/// In a multiclass task it holds `[3, C]` numbers, so it serves any number of classes; a
/// [`ConfusionMatrix`](super::ConfusionMatrix) holds all `[C, C]`. Scores as predictions are probabilities if all of a batch are
/// in 0..1, and logits otherwise (which matters in binary and multilabel tasks).
///
/// ```
/// use wgrad::metrics::{Average, ClassificationOptions, Metric, Score, StatScores, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let options = ClassificationOptions::default().top_k(2);
/// let mut top2 = StatScores::new(&device, Task::Multiclass(3), &options)?.report(Score::Accuracy, Average::Micro);
/// let scores = Tensor::from_slice(&device, &[0.5f32, 0.4, 0.1, 0.5, 0.4, 0.1], &[2, 3])?;
/// top2.update(&scores, &Tensor::from_slice(&device, &[1, 2], &[2])?)?;
/// assert_eq!(top2.compute()?, [("accuracy/top2".to_string(), 0.5)]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct StatScores {
    tally: Tally,
}

impl StatScores {
    /// Counts of nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the options don't fit the task; errors of the device.
    pub fn new(device: &Device, task: Task, options: &ClassificationOptions) -> Result<StatScores> {
        Ok(StatScores { tally: Tally::new("StatScores", device, task, options, false)? })
    }
}

tallied!(StatScores);
