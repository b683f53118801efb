//! Elementary functions of one operand.

use super::arithmetic::COPY;
use super::{Row, apply};
use crate::error::{Error, Result};
use crate::graph::{Tensor, Vjp};

pub(super) const ROWS: &[&Row] = &[
    &EXP,
    &EXPM1,
    &LOG,
    &LOG1P,
    &LOG2,
    &LOG10,
    &SQRT,
    &RSQRT,
    &RECIPROCAL,
    &SQUARE,
    &SIN,
    &COS,
    &TAN,
    &ASIN,
    &ACOS,
    &ATAN,
    &SINH,
    &COSH,
    &ERF,
    &ERFINV,
    &FLOOR,
    &CEIL,
    &ROUND,
    &TRUNC,
    &FRAC,
];

const POSITIVE: &[(f64, f64)] = &[(0.25, 4.0)];

#[track_caller]
fn zero(c: &Vjp) -> Result<Vec<Option<Tensor>>> {
    Ok(vec![c.of(0, |g| g.zeros_like())?])
}

macro_rules! row {
    ($name:literal, $wgsl:literal, $reference:expr, |$g:ident, $c:ident| $gradient:expr) => {
        Row::float($name, 1, $wgsl, $reference, |$c| Ok(vec![$c.of(0, |$g| $gradient)?])).floated()
    };
}

static EXP: Row = row!("exp", "exp({0})", |x| x[0].exp(), |g, c| g * c.output(0));
static EXPM1: Row = row!("expm1", "exponential_minus1({0})", |x| x[0].exp_m1(), |g, c| g * (1.0 + c.output(0)))
    .library(&[wgsl!("lib/exponential_minus1")]);
static LOG: Row = row!("log", "log({0})", |x| x[0].ln(), |g, c| g / c.input(0)).domain(POSITIVE);
static LOG1P: Row = row!("log1p", "log_plus1({0})", |x| x[0].ln_1p(), |g, c| g / (1.0 + c.input(0)))
    .library(&[wgsl!("lib/log_plus1")])
    .domain(&[(-0.8, 4.0)]);
static LOG2: Row =
    row!("log2", "log2({0})", |x| x[0].log2(), |g, c| { g / (std::f64::consts::LN_2 * c.input(0)) }).domain(POSITIVE);
static LOG10: Row = row!("log10", "(log({0}) * F(0.4342944819))", |x| x[0].log10(), |g, c| {
    g / (std::f64::consts::LN_10 * c.input(0))
})
.domain(POSITIVE);
static SQRT: Row = row!("sqrt", "sqrt({0})", |x| x[0].sqrt(), |g, c| g / (2.0 * c.output(0))).domain(POSITIVE);
static RSQRT: Row = row!("rsqrt", "inverseSqrt({0})", |x| 1.0 / x[0].sqrt(), |g, c| {
    -0.5 * g * (c.output(0).square()? * c.output(0))?
})
.domain(POSITIVE);
static RECIPROCAL: Row =
    row!("reciprocal", "(F(1.0) / {0})", |x| 1.0 / x[0], |g, c| { -g * c.output(0).square()? }).domain(POSITIVE);
static SQUARE: Row = row!("square", "({0} * {0})", |x| x[0] * x[0], |g, c| g * (2.0 * c.input(0))).counted();
static SIN: Row = row!("sin", "sin({0})", |x| x[0].sin(), |g, c| g * c.input(0).cos()?);
static COS: Row = row!("cos", "cos({0})", |x| x[0].cos(), |g, c| -g * c.input(0).sin()?);
static TAN: Row =
    row!("tan", "tan({0})", |x| x[0].tan(), |g, c| { g * (1.0 + c.output(0).square()?) }).domain(&[(-1.2, 1.2)]);
static ASIN: Row =
    row!("asin", "arc_sine({0})", |x| x[0].asin(), |g, c| { g * (1.0 - c.input(0).square()?)?.rsqrt()? })
        .library(&[wgsl!("lib/arc_tangent"), wgsl!("lib/arc_sine")])
        .domain(&[(-0.8, 0.8)]);
static ACOS: Row =
    row!("acos", "arc_cosine({0})", |x| x[0].acos(), |g, c| { -g * (1.0 - c.input(0).square()?)?.rsqrt()? })
        .library(&[wgsl!("lib/arc_tangent"), wgsl!("lib/arc_sine")])
        .domain(&[(-0.8, 0.8)]);
static ATAN: Row = row!("atan", "arc_tangent({0})", |x| x[0].atan(), |g, c| g / (1.0 + c.input(0).square()?))
    .library(&[wgsl!("lib/arc_tangent")]);
static SINH: Row = row!("sinh", "hyperbolic_sine({0})", |x| x[0].sinh(), |g, c| g * c.input(0).cosh()?)
    .library(&[wgsl!("lib/hyperbolic_sine")]);
static COSH: Row = row!("cosh", "((exp({0}) + exp(-{0})) * F(0.5))", |x| x[0].cosh(), |g, c| g * c.input(0).sinh()?);
/// The error function, `2/sqrt(pi) * integral of exp(-t^2) from 0 to x`.
static ERF: Row = row!("erf", "error_function({0})", |x| libm::erf(x[0]), |g, c| {
    g * (std::f64::consts::FRAC_2_SQRT_PI * (-c.input(0).square()?)?.exp()?)
})
.library(ERROR_FUNCTION);
/// `y` with `erf(y) = x`.
static ERFINV: Row = row!("erfinv", "error_function_inverse({0})", |x| error_function_inverse(x[0]), |g, c| {
    g * (SQRT_PI_BY_2 * c.output(0).square()?.exp()?)
})
.library(&[wgsl!("lib/error_function_inverse")])
.domain(&[(-0.8, 0.8)]);
/// The slope of the inverse of the error function at 0.
const SQRT_PI_BY_2: f64 = 0.886_226_925_452_758;

/// Newton's method, from Winitzki's approximation.
fn error_function_inverse(x: f64) -> f64 {
    if x.abs() >= 1.0 || x.is_nan() {
        return if x.abs() == 1.0 { x * f64::INFINITY } else { f64::NAN };
    }
    let log = (1.0 - x * x).ln();
    let half = 2.0 / (std::f64::consts::PI * 0.147) + log / 2.0;
    let start = ((half * half - log / 0.147).sqrt() - half).sqrt().copysign(x);
    (0..4).fold(start, |y, _| y - (libm::erf(y) - x) / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp()))
}

pub(super) const ERROR_FUNCTION: &[&str] = &[wgsl!("lib/error_function")];
static FLOOR: Row = Row::float("floor", 1, "floor({0})", |x| x[0].floor(), zero).kinks(WHOLE).first_order().whole();
static CEIL: Row = Row::float("ceil", 1, "ceil({0})", |x| x[0].ceil(), zero).kinks(WHOLE).first_order().whole();
/// Half goes to the even neighbour.
static ROUND: Row = Row::float("round", 1, "round({0})", |x| x[0].round_ties_even(), zero)
    .kinks(&[-1.5, -0.5, 0.5, 1.5])
    .first_order()
    .whole();
static TRUNC: Row = Row::float("trunc", 1, "trunc({0})", |x| x[0].trunc(), zero).kinks(WHOLE).first_order().whole();
/// The fraction, with the sign of the number.
static FRAC: Row =
    Row::float("frac", 1, "({0} - trunc({0}))", |x| x[0] - x[0].trunc(), |c| Ok(vec![c.of(0, Ok)?])).kinks(WHOLE);
const WHOLE: &[f64] = &[-2.0, -1.0, 0.0, 1.0, 2.0];

impl Row {
    /// The identity over integers.
    const fn whole(self) -> Row {
        self.numbers().over_integers(&COPY)
    }
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident, $row:ident;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`Error::WrongDType`](crate::Error::WrongDType) for types that PyTorch refuses too. As in PyTorch, operations
                /// that need floats convert integers and truth values.
                #[track_caller]
                pub fn $name(&self) -> Result<Tensor> {
                    apply(&$row, &[self])
                }
            )*
        }
    };
}
pub(super) use unary;

unary! {
    /// `e^x`.
    exp, EXP;
    /// `e^x - 1`, exact near 0.
    expm1, EXPM1;
    /// The natural logarithm.
    log, LOG;
    /// `log(1 + x)`, exact near 0.
    log1p, LOG1P;
    /// The logarithm to base 2.
    log2, LOG2;
    /// The logarithm to base 10.
    log10, LOG10;
    /// The square root.
    sqrt, SQRT;
    /// `1 / sqrt(x)`.
    rsqrt, RSQRT;
    /// `1 / x`.
    reciprocal, RECIPROCAL;
    /// `x^2`.
    square, SQUARE;
    /// The sine of an angle in radians.
    sin, SIN;
    /// The cosine of an angle in radians.
    cos, COS;
    /// The tangent of an angle in radians.
    tan, TAN;
    /// The angle with this sine.
    asin, ASIN;
    /// The angle with this cosine.
    acos, ACOS;
    /// The angle with this tangent.
    atan, ATAN;
    /// The hyperbolic sine.
    sinh, SINH;
    /// The hyperbolic cosine.
    cosh, COSH;
    /// The error function.
    erf, ERF;
    /// The inverse of the error function: infinite at -1 and 1, NaN past them.
    erfinv, ERFINV;
    /// The largest whole number not above; its gradient is 0.
    floor, FLOOR;
    /// The smallest whole number not below; its gradient is 0.
    ceil, CEIL;
    /// The nearest whole number, half to even; its gradient is 0.
    round, ROUND;
    /// The whole part; its gradient is 0.
    trunc, TRUNC;
    /// `x - trunc(x)`, with the sign of `x`.
    frac, FRAC;
}

impl Tensor {
    /// Rounded to `decimals` decimals, half to even: `round(10^decimals x) / 10^decimals`; its gradient is 0. Negative numbers
    /// round to tens, hundreds and so on.
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1234.25f32], &[1])?;
    /// assert_eq!(x.round_decimals(-2)?.to_vec::<f32>()?, [1200.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn round_decimals(&self, decimals: i32) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: "round", expected: "floats", got: self.dtype() });
        }
        let power = 10.0f64.powi(decimals.saturating_abs());
        match decimals {
            0 => self.round(),
            1.. => (self * power)?.round()? / power,
            _ => (self / power)?.round()? * power,
        }
    }
}
