//! k-means of numbers.

use crate::error::{Error, Result};

/// Centres, and the number of the nearest one for each value.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// The centres, in the order of the first ones.
    pub centres: Vec<f64>,
    /// For each value.
    pub labels: Vec<usize>,
}

/// Lloyd's algorithm: each value goes to its nearest centre (the lower of two), and each centre to the mean of its values, until
/// no value changes its centre or after `most_turns` iterations. A centre without values takes the value that is furthest from
/// its own, as in scikit-learn.
///
/// ```
/// use wgrad::compress::clustering::k_means;
/// let found = k_means(&[0.0, 1.0, 9.0, 10.0], vec![0.0, 10.0], 100)?;
/// assert_eq!((found.centres, found.labels), (vec![0.5, 9.5], vec![0, 0, 1, 1]));
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if there are no centres, or a number is not finite.
pub fn k_means(values: &[f64], centres: Vec<f64>, most_turns: usize) -> Result<KMeans> {
    if centres.is_empty() || !values.iter().chain(&centres).all(|number| number.is_finite()) {
        return Err(Error::invalid("k_means", "it takes one centre at least, and finite numbers"));
    }
    let mut found = KMeans { labels: assigned(values, &centres), centres };
    for _ in 0..most_turns {
        let mut sums = vec![(0.0, 0usize); found.centres.len()];
        for (&value, &label) in values.iter().zip(&found.labels) {
            sums[label].0 += value;
            sums[label].1 += 1;
        }
        relocate(values, &found, &mut sums);
        for (centre, (sum, count)) in found.centres.iter_mut().zip(sums) {
            if count > 0 {
                *centre = sum / count as f64;
            }
        }
        let labels = assigned(values, &found.centres);
        if labels == found.labels {
            break;
        }
        found.labels = labels;
    }
    Ok(found)
}

/// Moves centres without values to the values that are furthest from their own centres.
fn relocate(values: &[f64], found: &KMeans, sums: &mut [(f64, usize)]) {
    let empty: Vec<usize> = (0..sums.len()).filter(|&centre| sums[centre].1 == 0).collect();
    if empty.is_empty() {
        return;
    }
    let distance = |at: usize| (values[at] - found.centres[found.labels[at]]).abs();
    let mut furthest: Vec<usize> = (0..values.len()).collect();
    furthest.sort_by(|&a, &b| distance(b).total_cmp(&distance(a)));
    for (centre, at) in empty.into_iter().zip(furthest) {
        let old = &mut sums[found.labels[at]];
        *old = (old.0 - values[at], old.1 - 1);
        sums[centre] = (values[at], 1);
    }
}

/// So many centres, evenly from the least value to the largest, so that large weights, which are few and matter, are not drawn to
/// the many small ones.
pub(super) fn linear(values: &[f64], count: usize) -> Vec<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let step = (high - low) / count.saturating_sub(1).max(1) as f64;
    (0..count).map(|at| low + at as f64 * step).collect()
}

/// The nearest centre of each value.
fn assigned(values: &[f64], centres: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..centres.len()).collect();
    order.sort_by(|&a, &b| centres[a].total_cmp(&centres[b]));
    let nearest = |&value: &f64| {
        let above = order.partition_point(|&at| centres[at] < value);
        let (low, high) = (order[above.saturating_sub(1)], order[above.min(order.len() - 1)]);
        if (value - centres[low]).abs() <= (centres[high] - value).abs() { low } else { high }
    };
    values.iter().map(nearest).collect()
}
