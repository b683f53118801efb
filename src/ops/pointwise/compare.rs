//! Comparisons, logic, and tests of single elements: bool results, no gradient.

use super::arithmetic::{NOT_A_NUMBER, binary};
use super::{Accepts, Makes, Row, apply};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const ROWS: &[&Row] =
    &[&EQ, &NE, &LT, &LE, &GT, &GE, &LOGICAL_AND, &LOGICAL_OR, &LOGICAL_XOR, &LOGICAL_NOT, &ISNAN, &ISINF, &ISFINITE];

const fn comparison(name: &'static str, wgsl: &'static str, reference: fn(&[f64]) -> f64) -> Row {
    Row::plain(name, 2, wgsl, Accepts::Counted, Makes::Type(DType::Bool), reference)
}

const fn logic(name: &'static str, arity: usize, wgsl: &'static str, reference: fn(&[f64]) -> f64) -> Row {
    Row::plain(name, arity, wgsl, Accepts::Truth, Makes::Type(DType::Bool), reference)
}

const fn question(name: &'static str, wgsl: &'static str, reference: fn(&[f64]) -> f64) -> Row {
    Row::plain(name, 1, wgsl, Accepts::Floated, Makes::Type(DType::Bool), reference).library(NOT_A_NUMBER)
}

fn truth(value: bool) -> f64 {
    f64::from(value)
}

static EQ: Row = comparison("eq", "({0} == {1})", |x| truth(x[0] == x[1]));
/// Not `!=`, which drivers compile to a comparison that is false for NaN.
static NE: Row = comparison("ne", "!({0} == {1})", |x| truth(x[0] != x[1]));
static LT: Row = comparison("lt", "({0} < {1})", |x| truth(x[0] < x[1]));
static LE: Row = comparison("le", "({0} <= {1})", |x| truth(x[0] <= x[1]));
static GT: Row = comparison("gt", "({0} > {1})", |x| truth(x[0] > x[1]));
static GE: Row = comparison("ge", "({0} >= {1})", |x| truth(x[0] >= x[1]));
pub(super) static LOGICAL_AND: Row = logic("logical_and", 2, "({0} & {1})", |x| truth(x[0] != 0.0 && x[1] != 0.0));
pub(super) static LOGICAL_OR: Row = logic("logical_or", 2, "({0} | {1})", |x| truth(x[0] != 0.0 || x[1] != 0.0));
static LOGICAL_XOR: Row = logic("logical_xor", 2, "({0} != {1})", |x| truth((x[0] != 0.0) != (x[1] != 0.0)));
static LOGICAL_NOT: Row = logic("logical_not", 1, "(!{0})", |x| truth(x[0] == 0.0));
static ISNAN: Row = question("isnan", "not_a_number({0})", |x| truth(x[0].is_nan()));
static ISINF: Row = question("isinf", "infinite({0})", |x| truth(x[0].is_infinite()));
static ISFINITE: Row = question("isfinite", "!(not_a_number({0}) | infinite({0}))", |x| truth(x[0].is_finite()));

binary! { comparable:
    /// True if the elements are equal.
    eq, eq_scalar, EQ;
    /// True if the elements differ; NaN differs from itself.
    ne, ne_scalar, NE;
    /// True if `self < other`.
    lt, lt_scalar, LT;
    /// True if `self <= other`.
    le, le_scalar, LE;
    /// True if `self > other`.
    gt, gt_scalar, GT;
    /// True if `self >= other`.
    ge, ge_scalar, GE;
}

/// Logic over truth values; numbers are true unless they are 0 (NaN is true).
macro_rules! logical {
    ($($(#[$doc:meta])* $name:ident, $row:ident;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                /// Numbers are true unless they are 0. Shapes broadcast.
                ///
                /// # Errors
                /// [`Error::Broadcast`](crate::Error::Broadcast), [`Error::DeviceMismatch`](crate::Error::DeviceMismatch).
                #[track_caller]
                pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                    apply(&$row, &[&self.to_dtype(DType::Bool)?, &other.to_dtype(DType::Bool)?])
                }
            )*
        }
    };
}

logical! {
    /// True if both are.
    logical_and, LOGICAL_AND;
    /// True if either is.
    logical_or, LOGICAL_OR;
    /// True if one is and the other is not.
    logical_xor, LOGICAL_XOR;
}

impl Tensor {
    /// True if this is false or 0.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn logical_not(&self) -> Result<Tensor> {
        apply(&LOGICAL_NOT, &[&self.to_dtype(DType::Bool)?])
    }

    /// True if the element is NaN. Integers and truth values are finite.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn isnan(&self) -> Result<Tensor> {
        apply(&ISNAN, &[self])
    }

    /// True if the element is infinite. Integers and truth values are finite.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn isinf(&self) -> Result<Tensor> {
        apply(&ISINF, &[self])
    }

    /// True if the element is neither NaN nor infinite. Integers and truth values are finite.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn isfinite(&self) -> Result<Tensor> {
        apply(&ISFINITE, &[self])
    }
}
