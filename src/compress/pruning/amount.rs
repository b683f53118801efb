//! The amount to prune.

use crate::error::{Error, Result};
use crate::number::nearest;

/// An amount to prune of the unpruned elements. An `f64` is a fraction, a `usize` a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A share from 0 to 1, rounded to a whole number, halves to the even one.
    Share(f64),
    /// A number of weights or channels.
    Count(usize),
}

impl From<f64> for Amount {
    fn from(share: f64) -> Amount {
        Amount::Share(share)
    }
}

impl From<usize> for Amount {
    fn from(count: usize) -> Amount {
        Amount::Count(count)
    }
}

impl Amount {
    /// The number of things out of `total`.
    pub(super) fn of(self, op: &'static str, total: usize) -> Result<usize> {
        match self {
            Amount::Share(share) => Ok(nearest((checked(op, share)? * total as f64).round_ties_even())),
            Amount::Count(count) if count <= total => Ok(count),
            Amount::Count(count) => Err(Error::invalid(op, format!("{count} of the {total} that are not pruned yet"))),
        }
    }
}

/// A share from 0 to 1.
pub(in crate::compress) fn checked(op: &'static str, share: f64) -> Result<f64> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(Error::invalid(op, format!("a share of {share}; it must be from 0 to 1"))),
    }
}
