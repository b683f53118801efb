//! Losses, composed of other operations.

mod binary;
mod capsule;
mod classes;
pub(super) mod cross_entropy;
mod ctc;
mod distance;
mod divergence;
pub(super) mod label_place;
mod likelihood;
mod margin;
mod metric_learning;
mod regression;

pub use capsule::CapsuleMarginOptions;
pub use classes::MultiMarginOptions;
pub use ctc::{CtcLengths, CtcLossOptions};
pub use distance::TripletMarginWithDistanceOptions;
pub use divergence::{KlDivOptions, KlDivReduction};
pub use likelihood::{GaussianNllOptions, PoissonNllOptions};
pub use margin::TripletMarginOptions;
pub use metric_learning::{MinedTripletOptions, TripletMining};

use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::ops::case::Case;
use crate::shape::Shape;

/// Checks that operands are floats.
fn floats(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    match operands.iter().find(|t| !t.dtype().is_float()) {
        Some(other) => Err(Error::WrongDType { op, expected: "floats", got: other.dtype() }),
        None => Ok(()),
    }
}

/// `0, 1, 2, ..` as i32.
pub(in crate::ops) fn numbers(op: &'static str, device: &Device, count: usize) -> Result<Tensor> {
    let shape = Shape::new(&[count])?;
    let count = i32::try_from(count).map_err(|_| Error::TooLarge { op, shape, limit: 1 << 31, unit: "elements" })?;
    Tensor::from_slice(device, &(0..count).collect::<Vec<i32>>(), &shape)
}

/// Checks a second operand that may not broadcast.
fn same_shape(op: &'static str, what: &str, other: &Tensor, input: &Tensor) -> Result<()> {
    if other.shape() == input.shape() {
        return Ok(());
    }
    let rule = format!("{what} {} must have the shape of the input, {}", other.shape(), input.shape());
    Err(Error::invalid(op, rule))
}

pub(super) fn cases() -> Vec<Case> {
    [
        regression::cases(),
        binary::cases(),
        divergence::cases(),
        margin::cases(),
        classes::cases(),
        likelihood::cases(),
        distance::cases(),
        ctc::cases(),
        capsule::cases(),
        metric_learning::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
