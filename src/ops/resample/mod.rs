//! Elements between elements: interpolation to other sizes, and sampling at given places.

mod affine_grid;
mod along;
mod grid_sample;
mod interpolate;
mod taps;

pub use grid_sample::{GridSampleMode, GridSampleOptions, GridSamplePadding};
pub use interpolate::{InterpolateMode, InterpolateOptions};

use crate::ops::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [interpolate::cases(), grid_sample::cases(), affine_grid::cases()].into_iter().flatten().collect()
}
