//! Checks of the distribution of random numbers.

use super::{Draws, Stream};

/// Draws for each of ten thousand images.
pub(super) fn drawn<T>(draw: impl FnMut(&mut Stream) -> T) -> Vec<T> {
    Draws::new(7, 3, &(0..10_000).collect::<Vec<_>>()).each(draw)
}

/// Fails where the mean is off by five standard errors, or the deviation by 4 %.
pub(super) fn check(what: &str, numbers: impl IntoIterator<Item = f64>, mean: f64, std: f64) {
    let numbers: Vec<f64> = numbers.into_iter().collect();
    let count = numbers.len() as f64;
    let got = numbers.iter().sum::<f64>() / count;
    let spread = (numbers.iter().map(|number| (number - got).powi(2)).sum::<f64>() / count).sqrt();
    assert!((got - mean).abs() <= 5.0 * std / count.sqrt(), "{what}: mean {got}, expected {mean}");
    assert!((spread - std).abs() <= 0.04 * std, "{what}: deviation {spread}, expected {std}");
}

/// Fails where the frequency of something does not match its probability `p`.
pub(super) fn check_frequency(what: &str, happened: impl IntoIterator<Item = bool>, p: f64) {
    check(what, happened.into_iter().map(f64::from), p, (p * (1.0 - p)).sqrt());
}
