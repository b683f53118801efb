//! Numbers of channels that are scaled.

use crate::number::nearest;

/// The multiple of `divisor` nearest to a number, the next one where that is less than nine tenths of it, and at least
/// `divisor`: the numbers of channels of networks that are scaled in width.
pub(super) fn make_divisible(value: f64, divisor: usize) -> usize {
    let step = divisor as f64;
    let nearest_multiple = ((value + step / 2.0) / step).floor().max(1.0) * step;
    nearest(if nearest_multiple < 0.9 * value { nearest_multiple + step } else { nearest_multiple })
}
