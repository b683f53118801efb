//! Noise in each number.

use super::Severity;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;

pub(super) fn gaussian(images: &Tensor, severity: Severity, normal: &Tensor) -> Result<Tensor> {
    let deviation = severity.of([0.08, 0.12, 0.18, 0.26, 0.38], [0.04, 0.06, 0.08, 0.09, 0.10]);
    images + normal * deviation
}

pub(super) fn shot(images: &Tensor, severity: Severity, normal: &Tensor) -> Result<Tensor> {
    let photons = severity.of([60.0, 25.0, 12.0, 5.0, 3.0], [500.0, 250.0, 100.0, 75.0, 50.0]);
    poisson(&(images * photons)?, normal)? / photons
}

pub(super) fn impulse(images: &Tensor, severity: Severity, uniform: &Tensor) -> Result<Tensor> {
    let share = severity.of([0.03, 0.06, 0.09, 0.17, 0.27], [0.01, 0.02, 0.03, 0.05, 0.07]);
    let salted = uniform.lt_scalar(share / 2.0)?.to_dtype(DType::F32)?;
    uniform.lt_scalar(share)?.where_(&salted, images)
}

/// The mean from which quantiles are computed by an expansion.
const LARGE: f64 = 10.0;
/// Counts that a smaller mean reaches: more have a probability of 1e-9.
const COUNTS: usize = 36;

/// The Poisson quantile at `Phi(z)`, of normal draws `z`: by the sum of probabilities where the mean is small, and else as Giles
/// ("Algorithm 955: Approximation of the Inverse Poisson Cumulative Distribution Function", 2016), of
/// `m + sqrt(m) z + (z^2 + 2) / 6 - (z^3 + 2 z) / (72 sqrt(m)) + (3 z^4 + 7 z^2 - 16) / (810 m)` the whole part.
fn poisson(means: &Tensor, normal: &Tensor) -> Result<Tensor> {
    let share = (((normal * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?;
    let small = means.minimum_scalar(LARGE)?;
    let mut probability = small.neg()?.exp()?;
    let mut sum = probability.clone();
    let mut count = share.gt(&sum)?.to_dtype(DType::F32)?;
    for k in 1..COUNTS {
        probability = ((&probability * &small)? / k as f64)?;
        sum = (&sum + &probability)?;
        count = (count + share.gt(&sum)?.to_dtype(DType::F32)?)?;
    }
    let large = means.maximum_scalar(LARGE)?;
    let (root, square) = (large.sqrt()?, normal.square()?);
    let first = ((&square + 2.0)? / 6.0)?;
    let second = ((normal * (&square + 2.0)?)? / (&root * 72.0)?)?;
    let polynomial = ((((&square * 3.0)? + 7.0)? * &square)? - 16.0)?;
    let third = (polynomial / (&large * 810.0)?)?;
    let expanded = ((((&large + &root * normal)? + first)? - second)? + third)?;
    means.ge_scalar(LARGE)?.where_(&expanded.floor()?.maximum_scalar(0.0)?, &count)
}
