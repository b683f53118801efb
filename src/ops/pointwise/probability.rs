//! Functions of probabilities.

use super::{Row, apply};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const ROWS: &[&Row] = &[&BINARY_CROSS_ENTROPY];

/// `-(t log x + (1 - t) log(1 - x))`, each logarithm being at least -100. The gradient is PyTorch's, which ignores that bound:
/// `(x - t) / max(x (1 - x), 1e-12)`.
static BINARY_CROSS_ENTROPY: Row = Row::float(
    "binary_cross_entropy",
    2,
    "(({1} - F(1.0)) * max(log_plus1(-{0}), F(-100.0)) - {1} * max(log({0}), F(-100.0)))",
    |x| (x[1] - 1.0) * (-x[0]).ln_1p().max(-100.0) - x[1] * x[0].ln().max(-100.0),
    |c| {
        let (x, t) = (c.input(0), c.input(1));
        let rest = (1.0 - x)?;
        let of_input = c.of(0, |g| g * (x - t) / (x * &rest)?.maximum_scalar(1e-12)?)?;
        let of_target = c.of(1, |g| {
            let odds = ((-x)?.log1p()?.maximum_scalar(-100.0)? - x.log()?.maximum_scalar(-100.0)?)?;
            g * odds
        })?;
        Ok(vec![of_input, of_target])
    },
)
.library(&[wgsl!("lib/log_plus1")])
.domain(&[(0.2, 0.8), (0.0, 1.0)]);

impl Tensor {
    /// The cross entropy of each element, a probability, with its target.
    #[track_caller]
    pub(crate) fn binary_cross_entropies(&self, target: &Tensor) -> Result<Tensor> {
        apply(&BINARY_CROSS_ENTROPY, &[self, target])
    }
}
