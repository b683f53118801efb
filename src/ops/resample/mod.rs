//! Elements between elements: interpolation to other sizes, and sampling at given places.

mod along;
mod interpolate;
mod taps;

pub use interpolate::{InterpolateMode, InterpolateOptions};

use crate::ops::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [interpolate::cases()].into_iter().flatten().collect()
}
