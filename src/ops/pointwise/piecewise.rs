//! Piecewise activation functions: rows of their own where networks have them in every block, so that the backward pass needs
//! one value, and others composed of operations.

use super::arithmetic::NOT_A_NUMBER;
use super::{Row, activation, apply};
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, Vjp, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;

pub(super) const ROWS: &[&Row] = &[&RELU6, &HARDSIGMOID, &HARDSWISH];

/// `g` where the result is strictly between 0 and `most`, where it grows with its input. The next layer keeps the result anyway.
#[track_caller]
fn on_ramp(c: &Vjp, g: &Tensor, most: f64) -> Result<Tensor> {
    let y = c.output(0);
    y.gt_scalar(0.0)?.logical_and(&y.lt_scalar(most)?)?.where_(g, &g.zeros_like()?)
}

static RELU6: Row = Row::float(
    "relu6",
    1,
    "select(clamp({0}, F(0.0), F(6.0)), {0}, not_a_number({0}))",
    |x| x[0].clamp(0.0, 6.0),
    |c| Ok(vec![c.of(0, |g| on_ramp(c, &g, 6.0))?]),
)
.library(NOT_A_NUMBER)
.domain(&[(-4.0, 8.0)])
.kinks(&[0.0, 6.0])
.first_order();

static HARDSIGMOID: Row = Row::float(
    "hardsigmoid",
    1,
    "select(clamp({0} + F(3.0), F(0.0), F(6.0)) / F(6.0), {0}, not_a_number({0}))",
    |x| (x[0] + 3.0).clamp(0.0, 6.0) / 6.0,
    |c| Ok(vec![c.of(0, |g| on_ramp(c, &(&g / 6.0)?, 1.0))?]),
)
.library(NOT_A_NUMBER)
.domain(&[(-4.0, 4.0)])
.kinks(&[-3.0, 3.0])
.first_order();

static HARDSWISH: Row = Row::float(
    "hardswish",
    1,
    "({0} * (clamp({0} + F(3.0), F(0.0), F(6.0)) / F(6.0)))",
    |x| x[0] * ((x[0] + 3.0).clamp(0.0, 6.0) / 6.0),
    |c| {
        let x = c.input(0);
        Ok(vec![c.of(0, |g| {
            let slope = ((x / 3.0)? + 0.5)?;
            let above = x.ge_scalar(3.0)?.where_(&g, &(&g * &slope)?)?;
            x.le_scalar(-3.0)?.where_(&g.zeros_like()?, &above)
        })?])
    },
)
.domain(&[(-4.0, 4.0)])
.kinks(&[-3.0, 3.0])
.first_order();

impl Tensor {
    /// `x` clamped to `min_val` and `max_val` (PyTorch's defaults: -1 and 1). The gradient is 0 at the bounds and beyond.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `min_val > max_val`; [`Error::WrongDType`] for bool.
    #[track_caller]
    pub fn hardtanh(&self, min_val: f64, max_val: f64) -> Result<Tensor> {
        const OP: &str = "hardtanh";
        let [min_val, max_val] = self.numbers(OP, [min_val, max_val])?;
        if min_val > max_val {
            return Err(Error::invalid(OP, format!("min_val {min_val} must not be above max_val {max_val}")));
        }
        self.clamp(Some(min_val), Some(max_val))
    }

    /// `min(max(x, 0), 6)`; the gradient is 0 at the bounds and beyond.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for bool.
    #[track_caller]
    pub fn relu6(&self) -> Result<Tensor> {
        self.numbers("relu6", [])?;
        if self.dtype().is_float() { apply(&RELU6, &[self]) } else { self.clamp(Some(0.0), Some(6.0)) }
    }

    /// `min(max(x + 3, 0), 6) / 6`.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn hardsigmoid(&self) -> Result<Tensor> {
        apply(&HARDSIGMOID, &[self])
    }

    /// `x min(max(x + 3, 0), 6) / 6`.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn hardswish(&self) -> Result<Tensor> {
        apply(&HARDSWISH, &[self])
    }

    /// `x` where it is above 0, `weight x` elsewhere. The weight is learned: `[1]` or `[]`, or `[C]` with one for
    /// each channel of an input `[N, C, ..]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a weight of another shape, [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn prelu(&self, weight: &Tensor) -> Result<Tensor> {
        const OP: &str = "prelu";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.prelu(&cast.of(weight)?);
        }
        let channels = if self.rank() > 1 { self.shape()[1] } else { 1 };
        let fits = weight.rank() == 0 || (weight.rank() == 1 && (weight.numel() == 1 || weight.numel() == channels));
        if !fits {
            let rule =
                format!("weight {} must be [1] or [{channels}] for an input of {}", weight.shape(), self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let mut sizes = vec![1; self.rank()];
        if let Some(size) = sizes.get_mut(1) {
            *size = weight.numel() as isize;
        }
        apply(&activation::LEAKY_RELU, &[self, &weight.reshape(&sizes)?])
    }

    /// `1.0507 x` where `x` is above 0, `1.0507 * 1.6733 (e^x - 1)` elsewhere (Klambauer et al. 2017).
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn selu(&self) -> Result<Tensor> {
        self.elu(1.673_263_242_354_377_2)? * 1.050_700_987_355_480_5
    }

    /// `x` where it is above 0, `alpha (e^(x / alpha) - 1)` elsewhere (PyTorch's default `alpha` is 1).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an `alpha` of 0; [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn celu(&self, alpha: f64) -> Result<Tensor> {
        const OP: &str = "celu";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.celu(alpha);
        }
        self.floats(OP)?;
        if alpha == 0.0 {
            return Err(Error::invalid(OP, "alpha must not be 0"));
        }
        let above = self.gt_scalar(0.0)?;
        let below = above.where_(&self.zeros_like()?, self)?;
        above.where_(self, &((&below / alpha)?.expm1()? * alpha)?)
    }

    /// `x - tanh(x)`.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn tanhshrink(&self) -> Result<Tensor> {
        self - self.tanh()?
    }

    /// 0 from `-lambd` to `lambd` (PyTorch's default is 0.5), and `x` moved towards 0 by that much elsewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `lambd` below 0; [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn softshrink(&self, lambd: f64) -> Result<Tensor> {
        const OP: &str = "softshrink";
        self.floats(OP)?;
        if lambd.is_nan() || lambd < 0.0 {
            return Err(Error::invalid(OP, format!("lambd is {lambd}; it must not be below 0")));
        }
        self.shrink(lambd, &(self - self.sign()? * lambd)?)
    }

    /// 0 from `-lambd` to `lambd` (PyTorch's default is 0.5), and `x` elsewhere.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn hardshrink(&self, lambd: f64) -> Result<Tensor> {
        self.floats("hardshrink")?;
        self.shrink(lambd, self)
    }

    /// `far` where this is further than `lambd` from 0, and 0 elsewhere; NaN stays NaN, and has no gradient.
    #[track_caller]
    fn shrink(&self, lambd: f64, far: &Tensor) -> Result<Tensor> {
        let size = self.abs()?;
        let near = size.le_scalar(lambd)?.where_(&self.zeros_like()?, &self.detach())?;
        size.gt_scalar(lambd)?.where_(far, &near)
    }

    /// `x` where it is above `threshold`, `value` elsewhere.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for bool.
    #[track_caller]
    pub fn threshold(&self, threshold: f64, value: f64) -> Result<Tensor> {
        let [threshold, value] = self.numbers("threshold", [threshold, value])?;
        // NaN is not below, and stays NaN.
        self.le_scalar(threshold)?.where_(&self.number(value)?, self)
    }

    /// `a sigmoid(b)`, with `a` and `b` the halves of this along `dim` (PyTorch's default is -1).
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::Invalid`] for an odd size or a scalar; [`Error::WrongDType`].
    #[track_caller]
    pub fn glu(&self, dim: impl Dim) -> Result<Tensor> {
        const OP: &str = "glu";
        let _line = ascribe_to_caller();
        self.floats(OP)?;
        let at = self.shape().dim(OP, dim)?;
        let Some(size) = self.shape().get(at).filter(|&size| size % 2 == 0) else {
            return Err(Error::invalid(OP, format!("{} has no even size in dimension {dim} to halve", self.shape())));
        };
        let half = |start| self.narrow(at, start, size / 2);
        half(0)? * half(size / 2)?.sigmoid()?
    }

    /// Numbers in this tensor's type: integers truncate them.
    fn numbers<const N: usize>(&self, op: &'static str, numbers: [f64; N]) -> Result<[f64; N]> {
        match self.dtype() {
            DType::Bool => Err(Error::WrongDType { op, expected: "numbers", got: DType::Bool }),
            dtype if dtype.is_float() => Ok(numbers),
            _ => Ok(numbers.map(f64::trunc)),
        }
    }

    fn floats(&self, op: &'static str) -> Result<()> {
        if self.dtype().is_float() {
            return Ok(());
        }
        Err(Error::WrongDType { op, expected: "floats", got: self.dtype() })
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |op, kinks: &'static [f64], run: fn(&Tensor) -> Result<Tensor>| {
        for shape in [&[37][..], &[2, 3, 7]] {
            let mut case = Case::new(op, &[shape], move |x| Ok(vec![run(&x[0].transpose(0, -1)?)?]));
            if !kinks.is_empty() {
                case.inputs[0].kinks = kinks;
                case = case.domain(0, -4.0, 8.0).first_order();
            }
            cases.push(case);
        }
    };
    add("hardtanh", &[-1.0, 1.5], |x| x.hardtanh(-1.0, 1.5));
    add("selu", &[0.0], |x| x.selu());
    add("celu", &[0.0], |x| x.celu(0.75));
    add("tanhshrink", &[], |x| x.tanhshrink());
    add("logsigmoid", &[], |x| x.logsigmoid());
    add("softshrink", &[-0.5, 0.5], |x| x.softshrink(0.5));
    add("hardshrink", &[-0.75, 0.75], |x| x.hardshrink(0.75));
    add("threshold", &[0.25], |x| x.threshold(0.25, -3.0));
    cases.push(
        Case::new("hardtanh", &[&[19]], |x| Ok(vec![x[0].hardtanh(-2.5, 3.5)?, x[0].threshold(1.5, -2.5)?]))
            .integers(0, -9, 9)
            .no_gradient(),
    );
    for (shape, weight) in [(&[2, 3, 5][..], &[3][..]), (&[7], &[1]), (&[4, 3], &[])] {
        let mut case = Case::new("prelu", &[shape, weight], |x| Ok(vec![x[0].prelu(&x[1])?])).first_order();
        case.inputs[0].kinks = &[0.0];
        cases.push(case);
    }
    for (shape, dim) in [(&[3, 6][..], -1), (&[4, 5], 0), (&[2, 2, 3], 1), (&[0, 4], 1)] {
        cases.push(Case::new("glu", &[shape], move |x| Ok(vec![x[0].glu(dim)?])).with("dim", dim));
    }
    cases
}
