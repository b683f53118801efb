//! Options of the algorithms: structs with PyTorch's defaults, a builder method for each field, and their ranges.

use crate::error::{Error, Result};

/// [Options](crate::options::options) that are numbers and choices, and so can be compared and copied.
macro_rules! options {
    ($(#[$about:meta])* $name:ident { $($fields:tt)* }) => {
        crate::options::options! {
            $(#[$about])*
            #[derive(Clone, Copy, Debug, PartialEq)]
            $name { $($fields)* }
        }
    };
}
pub(super) use options;

/// [`Algorithm::hyper`](super::algorithm::Algorithm::hyper) from the fields that hold these options, and `maximize` from
/// that field.
macro_rules! hyper {
    ($($hyper:ident => $($field:tt).+),* $(; $maximize:ident)?) => {
        $(fn maximize(&self) -> bool {
            self.$maximize
        })?

        fn hyper(&mut self, hyper: Hyper) -> Option<&mut f64> {
            match hyper {
                $(Hyper::$hyper => Some(&mut self.$($field).+),)*
                #[allow(unreachable_patterns, reason = "some algorithms have all of them")]
                _ => None,
            }
        }
    };
}
pub(super) use hyper;

/// Checks fields against their ranges.
macro_rules! ranges {
    ($this:ident; $($range:ident: $($field:ident),+);+) => {
        [$($(crate::optim::options::$range(Self::NAME, stringify!($field), $this.$field)),+),+].into_iter().collect::<Result<()>>()
    };
}
pub(super) use ranges;

/// A number that must not be negative.
pub(super) fn at_least_zero(op: &'static str, name: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be finite and not negative")))
}

/// A fraction: from 0 to 1.
pub(super) fn up_to_one(op: &'static str, name: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be from 0 to 1")))
}

/// A decay rate: from 0 up to 1, exclusive.
pub(super) fn below_one(op: &'static str, name: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be at least 0 and below 1")))
}
