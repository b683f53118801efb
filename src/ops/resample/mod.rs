//! Elements between elements: interpolation to other sizes, and sampling at given positions.

mod affine_grid;
mod along;
pub(super) mod correlate1d;
mod grid_sample;
mod interpolate;
mod projective;
mod taps;
mod warp;

pub use grid_sample::{GridSampleMode, GridSampleOptions, GridSamplePadding};
pub use interpolate::{InterpolateMode, InterpolateOptions};
pub(crate) use projective::Projective;
pub(crate) use taps::{Rule as TapRule, Taps};
pub(crate) use warp::{Beyond, Clip, Filter, ImageMap, Sampling};

use crate::ops::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [interpolate::cases(), grid_sample::cases(), affine_grid::cases(), warp::cases()].into_iter().flatten().collect()
}
