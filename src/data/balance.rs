//! Making up for classes of unequal size.

use super::random::Words;
use super::sampler::members;
use crate::error::{Error, Result};
use crate::number::nearest;

/// A weight for each class, `items / (classes * items of the class)`, as scikit-learn's "balanced": the weight for
/// `cross_entropy`. The weights of all items add up to their number.
///
/// # Errors
/// [`Error::Invalid`] if a label is not a number below `classes`, or a class has no items.
///
/// ```
/// use wgrad::data::class_weights;
/// assert_eq!(class_weights(&[0, 0, 0, 1], 2)?, [2.0 / 3.0, 2.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn class_weights(labels: &[i32], classes: usize) -> Result<Vec<f32>> {
    const OP: &str = "class_weights";
    let mut counts = vec![0usize; classes];
    for (at, &label) in labels.iter().enumerate() {
        let count = usize::try_from(label).ok().and_then(|label| counts.get_mut(label));
        *count.ok_or_else(|| Error::invalid(OP, format!("label {at} is {label}, of {classes} classes")))? += 1;
    }
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return Err(Error::invalid(OP, format!("class {class} has no items")));
    }
    Ok(counts.iter().map(|&count| nearest(labels.len() as f64 / (classes as f64 * count as f64))).collect())
}

/// All items, and further ones drawn at random with replacement from the smaller classes, so that all are as large as the
/// largest: imbalanced-learn's `RandomOverSampler`, as numbers for [`subset`](super::Dataset::subset).
pub fn oversample(labels: &[i32], seed: u64) -> Vec<usize> {
    let classes = members(labels);
    let largest = classes.values().map(Vec::len).max().unwrap_or(0);
    let mut indices: Vec<usize> = (0..labels.len()).collect();
    for (members, class) in classes.values().zip(0..) {
        let words = Words::new(seed, class);
        indices.extend((members.len()..largest).map(|at| members[words.below(at, members.len())]));
    }
    indices
}
