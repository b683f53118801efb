//! Losses, composed of other operations.

mod binary;
mod divergence;
mod margin;
mod regression;

pub use divergence::{KlDivOptions, KlDivReduction};
pub use margin::TripletMarginOptions;

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;

/// Losses are of floats.
fn floats(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    match operands.iter().find(|t| !t.dtype().is_float()) {
        Some(other) => Err(Error::WrongDType { op, expected: "floats", got: other.dtype() }),
        None => Ok(()),
    }
}

/// A second operand that may not broadcast.
fn same_shape(op: &'static str, what: &str, other: &Tensor, input: &Tensor) -> Result<()> {
    if other.shape() == input.shape() {
        return Ok(());
    }
    let rule = format!("{what} {} must have the shape of the input, {}", other.shape(), input.shape());
    Err(Error::invalid(op, rule))
}

pub(super) fn cases() -> Vec<Case> {
    [regression::cases(), binary::cases(), divergence::cases(), margin::cases()].into_iter().flatten().collect()
}
