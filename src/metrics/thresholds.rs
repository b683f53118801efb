//! The thresholds of curves.

use crate::error::{Error, Result};

/// The scores at which a ranking is cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Thresholds {
    /// At each: the whole ranking is kept.
    Exact,
    /// At this many from 0 to 1 in equal steps.
    Count(usize),
    /// At these.
    List(Vec<f32>),
}

impl Thresholds {
    /// The numbers, where they are given.
    pub(super) fn numbers(&self, op: &'static str) -> Result<Option<Vec<f32>>> {
        match self {
            Thresholds::Exact => Ok(None),
            Thresholds::Count(count) if *count < 2 => {
                Err(Error::invalid(op, format!("{count} thresholds; from 0 to 1 there are 2 or more")))
            }
            Thresholds::Count(count) => {
                // From both ends, as PyTorch's linspace, so that steps are the same f32.
                let (last, step) = (count - 1, 1.0 / (count - 1) as f32);
                let number =
                    |at: usize| if at < count / 2 { step * at as f32 } else { 1.0 - step * (last - at) as f32 };
                Ok(Some((0..*count).map(number).collect()))
            }
            Thresholds::List(numbers) => match numbers.iter().find(|number| !(0.0..=1.0).contains(*number)) {
                Some(number) => Err(Error::invalid(op, format!("a threshold of {number}; they are probabilities"))),
                None if numbers.is_empty() => Err(Error::invalid(op, "a list of no thresholds")),
                None => Ok(Some(numbers.clone())),
            },
        }
    }
}
