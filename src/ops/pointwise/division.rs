//! Quotients, whole quotients and remainders.

use super::arithmetic::binary;
use super::{Accepts, Makes, Row, apply};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;

pub(super) const ROWS: &[&Row] = &[&DIV, &DIV_FLOOR, &DIV_TRUNC, &FMOD, &REMAINDER];

/// Rounding of the quotient in [`Tensor::div_rounded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoundingMode {
    /// Down, as Python's `//`.
    Floor,
    /// Towards 0, as C's division of integers.
    Trunc,
}

static DIV: Row = Row::float(
    "div",
    2,
    "({0} / {1})",
    |x| x[0] / x[1],
    |c| {
        let numerator = c.of(0, |g| g / c.input(1))?;
        // -a / b^2, computed from the quotient.
        let denominator = c.of(1, |g| -g * c.output(0) / c.input(1))?;
        Ok(vec![numerator, denominator])
    },
)
.domain(&[(-2.0, 2.0), (0.5, 2.0)])
.floated();

const QUOTIENT: &[&str] = &[wgsl!("lib/quotient")];
const INTEGER_QUOTIENT: &[&str] = &[wgsl!("lib/integer_quotient")];

/// The floor of the exact quotient, as in PyTorch: 1 / 0.1 rounds to 10, but the exact one is a little less.
fn floored(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return x / y;
    }
    let rest = x % y;
    let whole = (x - rest) / y;
    let exact = if rest != 0.0 && (rest < 0.0) != (y < 0.0) { whole - 1.0 } else { whole };
    (exact + 0.5).floor()
}

fn floored_integers(x: f64, y: f64) -> f64 {
    if y == 0.0 { x } else { (x / y).floor() }
}

const DIVIDED: &[(f64, f64)] = &[(1.1, 1.9), (2.0, 3.0)];

static DIV_FLOOR: Row = Row::float(
    "div_floor",
    2,
    "floored_quotient({0}, {1})",
    |x| floored(x[0], x[1]),
    |c| Ok(vec![c.of(0, |g| g.zeros_like())?, c.of(1, |g| g.zeros_like())?]),
)
.library(QUOTIENT)
.domain(DIVIDED)
.first_order()
.numbers()
.over_integers(&INTEGER_DIV_FLOOR);

static INTEGER_DIV_FLOOR: Row =
    Row::plain("integer_div_floor", 2, "floored_division({0}, {1})", Accepts::Signed, Makes::Same, |x| {
        floored_integers(x[0], x[1])
    })
    .library(INTEGER_QUOTIENT);

static DIV_TRUNC: Row = Row::float(
    "div_trunc",
    2,
    "trunc({0} / {1})",
    |x| (x[0] / x[1]).trunc(),
    |c| Ok(vec![c.of(0, |g| g.zeros_like())?, c.of(1, |g| g.zeros_like())?]),
)
.domain(DIVIDED)
.first_order()
.numbers()
.over_integers(&INTEGER_DIV_TRUNC);

static INTEGER_DIV_TRUNC: Row = Row::plain("integer_div_trunc", 2, "({0} / {1})", Accepts::Number, Makes::Same, |x| {
    if x[1] == 0.0 { x[0] } else { (x[0] / x[1]).trunc() }
});

/// The remainder with the sign of the dividend.
static FMOD: Row = Row::float(
    "fmod",
    2,
    "remainder_of_first({0}, {1})",
    |x| x[0] % x[1],
    |c| {
        let of_divisor = c.of(1, |g| -g * c.input(0).div_rounded(c.input(1), RoundingMode::Trunc)?)?;
        Ok(vec![c.of(0, Ok)?, of_divisor])
    },
)
.library(QUOTIENT)
.domain(DIVIDED)
.first_order()
.numbers()
.over_integers(&INTEGER_FMOD);

static INTEGER_FMOD: Row = Row::plain("integer_fmod", 2, "({0} % {1})", Accepts::Number, Makes::Same, |x| {
    if x[1] == 0.0 { 0.0 } else { x[0] % x[1] }
});

/// The remainder with the sign of the divisor.
static REMAINDER: Row = Row::float(
    "remainder",
    2,
    "remainder_of_second({0}, {1})",
    |x| {
        let rest = x[0] % x[1];
        if rest != 0.0 && (rest < 0.0) != (x[1] < 0.0) { rest + x[1] } else { rest }
    },
    |c| {
        let of_divisor = c.of(1, |g| -g * c.input(0).div_rounded(c.input(1), RoundingMode::Floor)?)?;
        Ok(vec![c.of(0, Ok)?, of_divisor])
    },
)
.library(QUOTIENT)
.domain(&[(-1.9, -1.1), (2.0, 3.0)])
.first_order()
.numbers()
.over_integers(&INTEGER_REMAINDER);

static INTEGER_REMAINDER: Row =
    Row::plain("integer_remainder", 2, "floored_remainder({0}, {1})", Accepts::Signed, Makes::Same, |x| {
        if x[1] == 0.0 { 0.0 } else { x[0] - (x[0] / x[1]).floor() * x[1] }
    })
    .library(INTEGER_QUOTIENT);

binary! { everywhere:
    /// `self / other`; f32 of integers and truth values.
    div, div_scalar, DIV;
}

/// Whole quotients and remainders, and their variants over a tensor and a number.
macro_rules! whole {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident, $row:ident;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// Shapes broadcast, and types are promoted as in PyTorch. An integer over 0 is not an error, as in PyTorch on a
                /// GPU: the quotient is the dividend, and the remainder is 0.
                ///
                /// # Errors
                /// [`Error::Broadcast`], [`Error::WrongDType`] for truth values, [`Error::DeviceMismatch`].
                #[track_caller]
                pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                    apply(&$row, &[self, other])
                }

                #[doc = concat!("[`", stringify!($name), "`](Tensor::", stringify!($name), ") with a number, which is data: another number makes no other kernel.")]
                ///
                /// # Errors
                /// [`Error::WrongDType`] for truth values, [`Error::Invalid`] for integers over 0.
                #[track_caller]
                pub fn $scalar(&self, other: impl Into<f64>) -> Result<Tensor> {
                    let other = other.into();
                    if other == 0.0 && !self.dtype().is_float() {
                        return Err(Error::invalid(stringify!($name), format!("{} cannot be divided by 0", self.dtype())));
                    }
                    self.$name(&self.everywhere(other)?)
                }
            )*
        }
    };
}

whole! {
    /// The remainder of the division, with the sign of `self`.
    fmod, fmod_scalar, FMOD;
    /// The remainder of the division, with the sign of `other`.
    remainder, remainder_scalar, REMAINDER;
    /// The quotient rounded down; its gradient is 0.
    floor_divide, floor_divide_scalar, DIV_FLOOR;
}

impl Tensor {
    /// The quotient as a whole number (PyTorch's `div` with a `rounding_mode`); its gradient is 0. Integers stay
    /// integers.
    ///
    /// # Errors
    /// As [`floor_divide`](Tensor::floor_divide).
    ///
    /// ```
    /// # use wgrad::{Device, RoundingMode, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[7, -7], &[2])?;
    /// let y = Tensor::scalar(&device, 2)?;
    /// assert_eq!(x.div_rounded(&y, RoundingMode::Trunc)?.to_vec::<i32>()?, [3, -3]);
    /// assert_eq!(x.div_rounded(&y, RoundingMode::Floor)?.to_vec::<i32>()?, [3, -4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn div_rounded(&self, other: &Tensor, rounding_mode: RoundingMode) -> Result<Tensor> {
        match rounding_mode {
            RoundingMode::Floor => self.floor_divide(other),
            RoundingMode::Trunc => apply(&DIV_TRUNC, &[self, other]),
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let whole = |op, run: fn(&Tensor, &Tensor) -> Result<Tensor>| {
        Case::new(op, &[&[3, 17], &[17]], move |x| Ok(vec![run(&x[0], &x[1])?]))
            .integers(0, -9, 9)
            .integers(1, -3, 3)
            .no_gradient()
    };
    let mut cases = vec![
        whole("div", |a, b| a.div(b)),
        whole("fmod", |a, b| a.fmod(b)),
        whole("remainder", |a, b| a.remainder(b)),
        whole("floor_divide", |a, b| a.floor_divide(b)),
        whole("div_rounded", |a, b| a.div_rounded(b, RoundingMode::Trunc)),
    ];
    cases.push(
        Case::new("fmod", &[&[9]], |x| {
            let whole = x[0].to_dtype(DType::U32)?;
            Ok(vec![whole.fmod_scalar(3.0)?, whole.div_rounded(&whole.number(2.0)?, RoundingMode::Trunc)?])
        })
        .domain(0, 0.0, 90.0)
        .no_gradient(),
    );
    cases
}
