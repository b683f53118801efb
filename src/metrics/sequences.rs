//! Measures of sequences of labels, such as the characters of a text.

use crate::error::{Error, Result};

/// The least number of labels to insert, leave out or replace that makes one sequence the other (Levenshtein 1966).
///
/// ```
/// use wgrad::metrics::edit_distance;
/// assert_eq!(edit_distance("kitten".as_bytes(), "sitting".as_bytes()), 3);
/// ```
pub fn edit_distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    // The distances between the labels of `a` so far and each beginning of `b`.
    let mut distances: Vec<usize> = (0..=b.len()).collect();
    for (row, label) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut distances[0], row + 1);
        for (column, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(label != other);
            diagonal = distances[column + 1];
            distances[column + 1] = replaced.min(diagonal + 1).min(distances[column] + 1);
        }
    }
    distances[b.len()]
}

/// Counts of sequences that were read: on the host, where decoders leave them.
///
/// ```
/// use wgrad::metrics::SequenceScores;
/// let mut scores = SequenceScores::default();
/// scores.update(&[vec![1, 2, 3], vec![4, 4]], &[vec![1, 2, 3], vec![4, 5, 6, 4]])?;
/// assert_eq!((scores.exact_match(), scores.edit_distance()), (0.5, 1.0));
/// assert_eq!(scores.error_rate(), 2.0 / 7.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceScores {
    sequences: usize,
    /// Sequences that were read without an error.
    exact: usize,
    /// The sum of all edit distances.
    edits: usize,
    /// Labels of all targets.
    labels: usize,
}

impl SequenceScores {
    /// Counts some sequences.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not as many predictions as targets.
    pub fn update<T: PartialEq>(&mut self, preds: &[Vec<T>], target: &[Vec<T>]) -> Result<()> {
        if preds.len() != target.len() {
            let rule = format!("{} predictions for {} targets", preds.len(), target.len());
            return Err(Error::invalid("SequenceScores", rule));
        }
        for (pred, target) in preds.iter().zip(target) {
            let edits = edit_distance(pred, target);
            self.sequences += 1;
            self.exact += usize::from(edits == 0);
            self.edits += edits;
            self.labels += target.len();
        }
        Ok(())
    }

    /// The fraction of sequences that were read without an error; 0 without sequences.
    pub fn exact_match(&self) -> f64 {
        self.exact as f64 / self.sequences.max(1) as f64
    }

    /// The mean edit distance (torchmetrics' `EditDistance`); 0 without sequences.
    pub fn edit_distance(&self) -> f64 {
        self.edits as f64 / self.sequences.max(1) as f64
    }

    /// Edits by label of the targets (torchmetrics' `CharErrorRate`, for characters); 0 without labels.
    pub fn error_rate(&self) -> f64 {
        self.edits as f64 / self.labels.max(1) as f64
    }
}
