//! Conversions between the host's kinds of numbers, each to the nearest value of the other kind.
//!
//! Everywhere else clippy refuses `as` where digits or a sign could be lost (`lib.rs`).
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "conversions saturate, as the tests show")]

/// A kind of number that is converted to the kind `T`.
pub(crate) trait Nearest<T> {
    fn nearest(self) -> T;
}

/// The value of the kind `T` that is nearest to a number: a bound of `T` beyond its range, 0 for NaN. Floats lose their
/// fraction where `T` has none, and are rounded to even where it has fewer digits.
pub(crate) fn nearest<T>(value: impl Nearest<T>) -> T {
    value.nearest()
}

/// The lower half of the bits.
pub(crate) fn low_word(value: u64) -> u32 {
    value as u32
}

/// The bits, the lower half first.
pub(crate) fn halves(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

macro_rules! floats {
    ($($from:ty => $($to:ty)*;)*) => {$($(
        impl Nearest<$to> for $from {
            fn nearest(self) -> $to {
                self as $to
            }
        }
    )*)*};
}

macro_rules! integers {
    ($($from:ty => $($to:ty)*;)*) => {$($(
        impl Nearest<$to> for $from {
            fn nearest(self) -> $to {
                <$to>::try_from(self).unwrap_or(if i128::try_from(self).is_ok_and(|value| value < 0) {
                    <$to>::MIN
                } else {
                    <$to>::MAX
                })
            }
        }
    )*)*};
}

floats! {
    f64 => f32 f64 i8 i32 i64 isize u32 u64 usize;
    f32 => i32 i64 u32 usize;
}

integers! {
    usize => u8 u32 i32 isize;
    isize => i32 isize usize;
    i32 => usize isize;
    i64 => usize;
    u64 => usize;
    u128 => usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_the_nearest_that_does() {
        assert_eq!(nearest::<u32>(usize::MAX), u32::MAX);
        assert_eq!(nearest::<i32>(usize::MAX), i32::MAX);
        assert_eq!(nearest::<usize>(-1isize), 0);
        assert_eq!(nearest::<isize>(usize::MAX), isize::MAX);
        assert_eq!(nearest::<i32>(isize::MIN), i32::MIN);
        assert_eq!(nearest::<usize>(u128::MAX), usize::MAX);
        assert_eq!(nearest::<i32>(-1e30), i32::MIN);
        assert_eq!(nearest::<u32>(-1.0), 0);
        assert_eq!(nearest::<usize>(f64::NAN), 0);
        assert_eq!(nearest::<f32>(1e300), f32::INFINITY);
        assert_eq!(low_word(0x1_2345_6789), 0x2345_6789);
        assert_eq!(halves((7 << 64) | 5), [5, 7]);
    }
}
