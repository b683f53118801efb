//! The taps, or windows, of a strided and dilated dimension that meet in one position: an arithmetic progression.

use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::shared::constants::unsigned_all;
use crate::shader::Kernel;
use crate::shape::Shape;

/// The `k` with `k * of` and a position leaving the same remainder by `modulus`: those with `k % step = position / divisor % step
/// * inverse % step` if `divisor` divides the position, otherwise none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Congruence {
    pub divisor: usize,
    pub step: usize,
    pub inverse: usize,
}

impl Congruence {
    /// The congruence that every `k` satisfies.
    pub const ALWAYS: Congruence = Congruence { divisor: 1, step: 1, inverse: 0 };

    /// `None` if the product does not fit the 32 bits that kernels compute with.
    pub fn new(of: usize, modulus: usize) -> Option<Congruence> {
        let (divisor, factor) = extended(of as i64, modulus as i64);
        let step = modulus / nearest::<usize>(divisor);
        let inverse = nearest::<usize>(factor.rem_euclid(step as i64));
        let fits = (step - 1).saturating_mul(inverse) <= u32::MAX as usize;
        fits.then_some(Congruence { divisor: nearest::<usize>(divisor), step, inverse })
    }

    /// Sets a template's constants of these names to divisor, step and inverse.
    pub fn specialise(&self, kernel: Kernel, names: [&'static str; 3]) -> Kernel {
        unsigned_all(kernel, names, [self.divisor, self.step, self.inverse])
    }
}

/// The taps that meet, or an error if kernels can't compute them.
pub(in crate::ops) fn meeting(op: &'static str, shape: &Shape, dilation: usize, stride: usize) -> Result<Congruence> {
    let (limit, unit) = (u64::from(u32::MAX), "in products of remainders by the stride; choose one below 65,536");
    Congruence::new(dilation, stride).ok_or(Error::TooLarge { op, shape: *shape, limit, unit })
}

pub(in crate::ops) fn greatest_common_divisor(a: usize, b: usize) -> usize {
    nearest::<usize>(extended(a as i64, b as i64).0)
}

/// The greatest common divisor of two numbers, and a factor by which the first leaves it as the remainder by the second.
fn extended(a: i64, b: i64) -> (i64, i64) {
    let (mut divisor, mut next) = (a, b);
    let (mut factor, mut next_factor) = (1, 0);
    while next != 0 {
        let times = divisor / next;
        (divisor, next) = (next, divisor - times * next);
        (factor, next_factor) = (next_factor, factor - times * next_factor);
    }
    (divisor, factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meets_exactly_where_remainders_agree() {
        for of in 1..20 {
            for modulus in 1..20 {
                let Congruence { divisor, step, inverse } = Congruence::new(of, modulus).unwrap();
                for position in 0..60 {
                    for k in 0..40 {
                        let is_met = position % divisor == 0 && k % step == position / divisor % step * inverse % step;
                        assert_eq!(is_met, (k * of) % modulus == position % modulus, "{k} {of} {position} {modulus}");
                    }
                }
            }
        }
        assert!(Congruence::new(1, 1 << 30).is_some());
        assert_eq!(Congruence::new(70_001, 100_003), None);
    }
}
