//! The confusion matrix.

use super::counts::Counts;
use super::metric::Metric;
use super::score::Score;
use super::tally::{Tally, tallied};
use super::task::{Average, ClassificationOptions, Task};
use crate::error::Result;
use crate::graph::{Device, Tensor};

/// Counts of each true class by predicted class: `[C, C]`, or `[2, 2]` in a binary task, or `[L, 2, 2]` in a multilabel
/// one. All [`Score`]s follow from it.
///
/// ```
/// use wgrad::metrics::{ConfusionMatrix, Metric, Normalize, Task};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let mut matrix = ConfusionMatrix::new(&device, Task::Multiclass(3), &Default::default())?;
/// let preds = Tensor::from_slice(&device, &[0, 1, 1, 0], &[4])?;
/// matrix.update(&preds, &Tensor::from_slice(&device, &[0, 1, 0, 0], &[4])?)?;
/// assert_eq!(matrix.matrix(Normalize::None)?, [2.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
/// assert_eq!(matrix.matrix(Normalize::Pred)?, [1.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct ConfusionMatrix {
    tally: Tally,
    task: Task,
}

/// The divisor of a confusion matrix's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// Nothing: they are counts.
    None,
    /// The sum of their row: shares of the true class.
    True,
    /// The sum of their column: shares of the predicted class.
    Pred,
    /// The sum of the matrix.
    All,
}

impl ConfusionMatrix {
    /// A matrix of zeros.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the options don't fit the task; errors of the device.
    pub fn new(device: &Device, task: Task, options: &ClassificationOptions) -> Result<ConfusionMatrix> {
        Ok(ConfusionMatrix { tally: Tally::new("ConfusionMatrix", device, task, options, true)?, task })
    }

    /// Waits for the matrix, in row-major order; those of several labels or items follow one another. A fraction of nothing is 0.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn matrix(&self, normalize: Normalize) -> Result<Vec<f64>> {
        let counts = self.counts()?;
        let size = match self.task {
            Task::Multiclass(classes) => classes,
            Task::Binary | Task::Multilabel(_) => 2,
        };
        let normalized = |matrix: &[u64]| -> Vec<f64> {
            let sums: Vec<u64> = match normalize {
                Normalize::None => vec![1],
                Normalize::True => matrix.chunks(size).map(|row| row.iter().sum()).collect(),
                Normalize::Pred => (0..size).map(|class| matrix[class..].iter().step_by(size).sum()).collect(),
                Normalize::All => vec![matrix.iter().sum()],
            };
            let sum = |at: usize| match normalize {
                Normalize::None | Normalize::All => sums[0],
                Normalize::True => sums[at / size],
                Normalize::Pred => sums[at % size],
            };
            matrix.iter().enumerate().map(|(at, &count)| count as f64 / sum(at).max(1) as f64).collect()
        };
        Ok(counts.matrix().chunks(size * size).flat_map(normalized).collect())
    }
}

tallied!(ConfusionMatrix);
