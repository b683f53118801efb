//! Numbers as signed bytes: `level` rounds them, `packed` stores four in a word, `sums` multiplies and adds them by
//! `kernel`, or as `whole` f32; `conv` has the methods.
//!
//! There is no element type of one byte: WGSL can't store one, and a layout's strides count elements. A [`QuantizedTensor`] is a
//! tensor of u32 words, four neighbours along dimension 1 in each, with the scales that give its bytes a meaning. So the terms
//! that a product of bytes adds up share a word, and neighbouring invocations still load neighbouring words.

mod conv;
mod kernel;
mod level;
mod packed;
mod sums;
mod whole;

pub(crate) use level::{Grid, Number};
pub use packed::{QuantizationParameters, QuantizedTensor};
pub(crate) use sums::{Input, Sums};

use super::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [level::cases(), packed::cases(), conv::cases()].into_iter().flatten().collect()
}
