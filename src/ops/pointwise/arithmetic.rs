//! Sums, products, powers, extremes, choice, casts.

use super::compare::{LOGICAL_AND, LOGICAL_OR};
use super::{Accepts, Full, Makes, Row, apply};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, Vjp, record_on};
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shape::Shape;

pub(super) const ROWS: &[&Row] =
    &[&ADD, &SUB, &MUL, &POW, &MAXIMUM, &MINIMUM, &ATAN2, &WHERE, &COPY, &NEG, &ABS, &SIGN];

static ADD: Row = Row::float("add", 2, "({0} + {1})", |x| x[0] + x[1], |c| Ok(vec![c.of(0, Ok)?, c.of(1, Ok)?]))
    .numbers()
    .over_truth(&LOGICAL_OR);

static SUB: Row =
    Row::float("sub", 2, "({0} - {1})", |x| x[0] - x[1], |c| Ok(vec![c.of(0, Ok)?, c.of(1, |g| -g)?])).never_truth();

static MUL: Row = Row::float(
    "mul",
    2,
    "({0} * {1})",
    |x| x[0] * x[1],
    |c| Ok(vec![c.of(0, |g| g * c.input(1))?, c.of(1, |g| g * c.input(0))?]),
)
.numbers()
.over_truth(&LOGICAL_AND);

/// `x^y`. PyTorch's corners: a negative base takes integral exponents, 0^0 is 1; the gradient of the base is 0 at
/// exponent 0, that of the exponent is 0 at base 0.
static POW: Row = Row::float(
    "pow",
    2,
    "power({0}, {1})",
    |x| x[0].powf(x[1]),
    |c| {
        let (base, exponent) = (c.input(0), c.input(1));
        let of_base = c.of(0, |g| {
            let slope = (exponent * base.pow(&(exponent - 1.0)?)?)?;
            let flat = exponent.eq_scalar(0.0)?;
            g * flat.where_(&slope.zeros_like()?, &slope)?
        })?;
        let of_exponent = c.of(1, |g| {
            let zero = base.eq_scalar(0.0)?.logical_and(&exponent.ge_scalar(0.0)?)?;
            let log = zero.where_(&base.ones_like()?, base)?.log()?;
            let slope = zero.where_(&log.zeros_like()?, &(c.output(0) * &log)?)?;
            g * slope
        })?;
        Ok(vec![of_base, of_exponent])
    },
)
.library(POWER)
.domain(&[(0.2, 2.0), (-2.0, 2.0)])
.numbers()
.over_integers(&INTEGER_POW);

const POWER: &[&str] = &[NOT_A_NUMBER[0], wgsl!("lib/power")];

/// Wraps beyond 32 bits; a negative exponent gives 0 except for the bases 1 and -1.
static INTEGER_POW: Row = Row::plain("integer_pow", 2, "integer_power({0}, {1})", Accepts::Signed, Makes::Same, |x| {
    let (base, exponent) = (nearest::<i32>(x[0]), nearest::<i32>(x[1]));
    f64::from(match (base, exponent) {
        (_, 0..) => base.wrapping_pow(exponent.cast_unsigned()),
        (1, _) => 1,
        (-1, _) => 1 - 2 * (exponent & 1),
        _ => 0,
    })
})
.library(&[wgsl!("lib/integer_power")]);

/// The gradient of an extreme goes to the chosen operand, half to each if they tie, and to both if either is NaN, as in PyTorch.
#[track_caller]
fn extreme(c: &Vjp, lost: fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Vec<Option<Tensor>>> {
    let (a, b) = (c.input(0), c.input(1));
    let share = |g: Tensor, mine: &Tensor, other: &Tensor| -> Result<Tensor> {
        let kept = mine.eq(other)?.where_(&(&g * 0.5)?, &g)?;
        lost(mine, other)?.where_(&g.zeros_like()?, &kept)
    };
    Ok(vec![c.of(0, |g| share(g, a, b))?, c.of(1, |g| share(g, b, a))?])
}

/// NaN wins, as in PyTorch; WGSL's `max` may drop it.
static MAXIMUM: Row = Row::float(
    "maximum",
    2,
    "select(max({0}, {1}), {0} + {1}, not_a_number({0}) | not_a_number({1}))",
    |x| if x[0].is_nan() || x[1].is_nan() { f64::NAN } else { x[0].max(x[1]) },
    |c| extreme(c, Tensor::lt),
)
.library(NOT_A_NUMBER)
.first_order()
.jumps_at_ties()
.numbers()
.over_integers(&INTEGER_MAXIMUM)
.over_truth(&LOGICAL_OR);

static INTEGER_MAXIMUM: Row =
    Row::plain("integer_maximum", 2, "max({0}, {1})", Accepts::Number, Makes::Same, |x| x[0].max(x[1]));

static MINIMUM: Row = Row::float(
    "minimum",
    2,
    "select(min({0}, {1}), {0} + {1}, not_a_number({0}) | not_a_number({1}))",
    |x| if x[0].is_nan() || x[1].is_nan() { f64::NAN } else { x[0].min(x[1]) },
    |c| extreme(c, Tensor::gt),
)
.library(NOT_A_NUMBER)
.first_order()
.jumps_at_ties()
.numbers()
.over_integers(&INTEGER_MINIMUM)
.over_truth(&LOGICAL_AND);

static INTEGER_MINIMUM: Row =
    Row::plain("integer_minimum", 2, "min({0}, {1})", Accepts::Number, Makes::Same, |x| x[0].min(x[1]));

pub(super) const NOT_A_NUMBER: &[&str] = &[wgsl!("lib/not_a_number")];

static ATAN2: Row = Row::float(
    "atan2",
    2,
    "arc_tangent2({0}, {1})",
    |x| x[0].atan2(x[1]),
    |c| {
        let (y, x) = (c.input(0), c.input(1));
        let length = (x.square()? + y.square()?)?;
        // No gradient flows at the origin, as in PyTorch.
        let length = length.eq_scalar(0.0)?.where_(&length.ones_like()?, &length)?;
        Ok(vec![c.of(0, |g| g * x / &length)?, c.of(1, |g| -g * y / &length)?])
    },
)
.library(&[wgsl!("lib/arc_tangent"), wgsl!("lib/arc_tangent2")])
.domain(&[(0.5, 2.0), (-2.0, 2.0)])
.floated();

static WHERE: Row = {
    let mut row = Row::float(
        "where",
        3,
        "select({2}, {1}, {0})",
        |x| if x[0] != 0.0 { x[1] } else { x[2] },
        |c| {
            let condition = c.input(0);
            let first = c.of(1, |g| condition.where_(&g, &g.zeros_like()?))?;
            let second = c.of(2, |g| condition.where_(&g.zeros_like()?, &g))?;
            Ok(vec![None, first, second])
        },
    );
    row.accepts = Accepts::Choice;
    row
};

pub(super) static COPY: Row = Row::float("copy", 1, "{0}", |x| x[0], |c| Ok(vec![c.of(0, Ok)?])).anything();

static NEG: Row = Row::float("neg", 1, "(-{0})", |x| -x[0], |c| Ok(vec![c.of(0, |g| -g)?])).signed();

static ABS: Row = Row::float("abs", 1, "abs({0})", |x| x[0].abs(), |c| Ok(vec![c.of(0, |g| g * c.input(0).sign()?)?]))
    .signed()
    .kinks(&[0.0])
    .first_order();

/// -1, 0 or 1; NaN gives 0, as in PyTorch.
static SIGN: Row = Row::float(
    "sign",
    1,
    "select(select(F(0.0), F(-1.0), {0} < F(0.0)), F(1.0), {0} > F(0.0))",
    |x| {
        if x[0] > 0.0 {
            1.0
        } else if x[0] < 0.0 {
            -1.0
        } else {
            0.0
        }
    },
    |c| Ok(vec![c.of(0, |g| g.zeros_like())?]),
)
.kinks(&[0.0])
.first_order()
.signed()
.over_integers(&INTEGER_SIGN)
.over_truth(&COPY);

static INTEGER_SIGN: Row = Row::plain("integer_sign", 1, "sign({0})", Accepts::Signed, Makes::Same, |x| {
    if x[0] == 0.0 { 0.0 } else { x[0].signum() }
});

/// A cast; gradients flow back through casts between floats.
macro_rules! cast {
    ($row:ident, $name:literal, $dtype:ident, $wgsl:literal, $reference:expr) => {
        static $row: Row = {
            let mut row =
                Row::float($name, 1, $wgsl, $reference, |c| Ok(vec![c.of(0, |g| g.to_dtype(c.input(0).dtype()))?]));
            row.accepts = Accepts::Any;
            row.makes = Makes::Type(DType::$dtype);
            row
        };
    };
}

cast!(TO_F32, "to_f32", F32, "F({0})", |x| x[0]);
cast!(TO_F16, "to_f16", F16, "F({0})", |x| x[0]);
cast!(TO_I32, "to_i32", I32, "I({0})", |x| x[0]);
cast!(TO_U32, "to_u32", U32, "U({0})", |x| x[0]);
cast!(TO_BOOL, "to_bool", Bool, "B({0})", |x| x[0]);

/// Binary methods over tensors, and their variants over a tensor and a number, which is first made a tensor.
macro_rules! binary {
    ($number:ident: $($(#[$doc:meta])* $name:ident, $scalar:ident, $row:ident;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// Shapes broadcast, and types are promoted as in PyTorch: truth values to integers, integers to floats.
                ///
                /// # Errors
                /// [`Error::Broadcast`](crate::Error::Broadcast), [`Error::WrongDType`](crate::Error::WrongDType),
                /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch).
                #[track_caller]
                pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                    apply(&$row, &[self, other])
                }

                #[doc = concat!("[`", stringify!($name), "`](Tensor::", stringify!($name), ") with a number, which is data: another number makes no other kernel.")]
                ///
                /// A number with a fraction promotes integers to floats.
                ///
                /// # Errors
                /// [`Error::WrongDType`](crate::Error::WrongDType).
                #[track_caller]
                pub fn $scalar(&self, other: impl Into<f64>) -> Result<Tensor> {
                    self.$name(&self.$number(other.into())?)
                }
            )*
        }
    };
}
pub(super) use binary;

binary! { everywhere:
    /// `self + other`.
    add, add_scalar, ADD;
    /// `self - other`.
    sub, sub_scalar, SUB;
    /// `self * other`.
    mul, mul_scalar, MUL;
    /// The larger element; NaN if either is. A tie splits the gradient.
    maximum, maximum_scalar, MAXIMUM;
    /// The smaller element; NaN if either is. A tie splits the gradient.
    minimum, minimum_scalar, MINIMUM;
    /// The angle of the point `(other, self)`, between -pi and pi.
    atan2, atan2_scalar, ATAN2;
}

pub(super) fn cases() -> Vec<Case> {
    let cast = |to: DType| {
        Case::new("to_dtype", &[&[5, 7]], move |x| Ok(vec![x[0].to_dtype(to)?])).with("to", to).no_gradient()
    };
    vec![
        cast(DType::I32),
        cast(DType::U32).domain(0, 0.0, 9.0),
        cast(DType::Bool),
        cast(DType::F32).integers(0, -9, 9),
        cast(DType::F32).truth(0),
        cast(DType::Bool).integers(0, -1, 1),
        cast(DType::F16).half(),
        // Stored as f16 in between, and computed in f32.
        Case::new("to_dtype", &[&[5, 7], &[7]], |x| {
            let (a, b) = (x[0].to_dtype(DType::F16)?, x[1].to_dtype(DType::F16)?);
            Ok(vec![a.mul(&b)?.exp()?.t()?.contiguous()?.sigmoid()?.to_dtype(DType::F32)?])
        })
        .half(),
    ]
}

impl Tensor {
    /// A number as an operand: in this tensor's type if that is a float; otherwise a whole one as an integer, and f32 for others.
    #[track_caller]
    pub(crate) fn number(&self, value: impl Into<f64>) -> Result<Tensor> {
        self.full_number(Shape::default(), value.into())
    }

    /// The same in this tensor's shape, so that nothing has to be expanded.
    #[track_caller]
    pub(crate) fn everywhere(&self, value: impl Into<f64>) -> Result<Tensor> {
        self.full_number(*self.shape(), value.into())
    }

    /// A number to compare with: in the precision of the elements, so that it equals an element that was made from it.
    #[track_caller]
    pub(crate) fn comparable(&self, value: impl Into<f64>) -> Result<Tensor> {
        self.everywhere(nearest::<f32>(value.into()))
    }

    #[track_caller]
    fn full_number(&self, shape: Shape, value: f64) -> Result<Tensor> {
        let whole = value.fract() == 0.0;
        let dtype = match self.dtype() {
            float if float.is_float() => float,
            DType::U32 if whole && (0.0..=f64::from(u32::MAX)).contains(&value) => DType::U32,
            DType::I32 | DType::Bool if whole && value.abs() <= f64::from(i32::MAX) => DType::I32,
            _ => DType::F32,
        };
        record_on(self.device(), Full::new(shape, value, dtype))
    }

    /// `-self`.
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for bool.
    #[track_caller]
    pub fn neg(&self) -> Result<Tensor> {
        apply(&NEG, &[self])
    }

    /// `|self|`; the gradient at 0 is 0.
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for bool.
    #[track_caller]
    pub fn abs(&self) -> Result<Tensor> {
        apply(&ABS, &[self])
    }

    /// -1, 0 or 1; 0 for NaN. Truth values stay.
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for u32.
    #[track_caller]
    pub fn sign(&self) -> Result<Tensor> {
        apply(&SIGN, &[self])
    }

    /// `self ^ other`. A negative base takes integral exponents and gives NaN for others; `0^0` is 1.
    ///
    /// Shapes broadcast, and types are promoted as in PyTorch. Integers wrap if the result exceeds 32 bits, and a negative
    /// exponent gives 0, except for the bases 1 and -1.
    ///
    /// # Errors
    /// [`Error::Broadcast`](crate::Error::Broadcast), [`Error::WrongDType`](crate::Error::WrongDType) for truth values,
    /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch).
    #[track_caller]
    pub fn pow(&self, other: &Tensor) -> Result<Tensor> {
        apply(&POW, &[self, other])
    }

    /// [`pow`](Tensor::pow) with a number, which is data: another number needs no other kernel.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for integers to a negative whole number.
    #[track_caller]
    pub fn pow_scalar(&self, other: f64) -> Result<Tensor> {
        let exponent = self.number(other)?;
        if other < 0.0 && exponent.dtype() == DType::I32 {
            let rule = format!("{} to the power of {other} is no whole number; see to_dtype", self.dtype());
            return Err(Error::invalid("pow", rule));
        }
        apply(&POW, &[self, &exponent])
    }

    /// Elements of `yes` where this (a bool tensor) is true, of `no` elsewhere; all three broadcast.
    ///
    /// PyTorch's `where`, which is a keyword here. A tensor without dimensions counts as a number: f16 stays f16 next to
    /// an f32 one.
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType), [`Error::Broadcast`](crate::Error::Broadcast).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[-1.0f32, 2.0], &[2])?;
    /// let y = x.gt_scalar(0.0)?.where_(&x, &x.zeros_like()?)?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn where_(&self, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
        apply(&WHERE, &[self, yes, no])
    }

    /// Elements limited to `min` and `max`; the gradient is 0 for limited ones, and at a bound, as in PyTorch 2.15. With
    /// `min > max` every element is `max`, and NaN if a bound is NaN. A bound with a fraction promotes integers to floats.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if both bounds are `None`.
    #[track_caller]
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Result<Tensor> {
        if min.is_none() && max.is_none() {
            return Err(Error::invalid("clamp", "at least one of min and max must be given"));
        }
        let mut out = self.clone();
        // Comparisons with NaN are false: NaN, and any value compared with it, is not inside, and has no gradient.
        if let Some(min) = min {
            out = out.gt_scalar(min)?.where_(&out, &out.detach().maximum(&self.number(min)?)?)?;
        }
        if let Some(max) = max {
            out = out.lt_scalar(max)?.where_(&out, &out.detach().minimum(&self.number(max)?)?)?;
        }
        Ok(out)
    }

    /// [`clamp`](Tensor::clamp) between tensors, which broadcast: `minimum(maximum(self, min), max)`. At a bound the gradient is
    /// split between the element and the bound.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if both bounds are `None`;
    /// [`Error::Broadcast`](crate::Error::Broadcast).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[-1.0f32, 0.5, 7.0], &[3])?;
    /// let most = Tensor::from_slice(&device, &[0.0f32, 1.0, 2.0], &[3])?;
    /// assert_eq!(x.clamp_tensor(None, Some(&most))?.to_vec::<f32>()?, [-1.0, 0.5, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp_tensor(&self, min: Option<&Tensor>, max: Option<&Tensor>) -> Result<Tensor> {
        match (min, max) {
            (Some(min), Some(max)) => self.maximum(min)?.minimum(max),
            (Some(min), None) => self.maximum(min),
            (None, Some(max)) => self.minimum(max),
            (None, None) => Err(Error::invalid("clamp", "at least one of min and max must be given")),
        }
    }

    /// A copy in row-major order.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn copy(&self) -> Result<Tensor> {
        super::record_row(&COPY, &[self])
    }

    /// This tensor if its elements are in row-major order, otherwise a copy.
    ///
    /// # Errors
    /// As [`copy`](Tensor::copy).
    #[track_caller]
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.layout().is_contiguous() { Ok(self.clone()) } else { self.copy() }
    }

    /// The elements in another type: floats become integers by truncation, and true if not 0.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for f16 on an adapter without it.
    #[track_caller]
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        self.device().check_dtype("to_dtype", dtype)?;
        let row = match dtype {
            _ if dtype == self.dtype() => return Ok(self.clone()),
            DType::F32 => &TO_F32,
            DType::F16 => &TO_F16,
            DType::I32 => &TO_I32,
            DType::U32 => &TO_U32,
            DType::Bool => &TO_BOOL,
        };
        apply(row, &[self])
    }
}
