//! Activation functions.

use super::arithmetic::NOT_A_NUMBER;
use super::elementary::{ERROR_FUNCTION, unary};
use super::{Accepts, Makes, Row, apply};
use crate::error::Result;
use crate::graph::{Tensor, Vjp};
use crate::ops::autocast;

pub(super) const ROWS: &[&Row] =
    &[&RELU, &RELU_BACKWARD, &LEAKY_RELU, &ELU, &SIGMOID, &TANH, &SILU, &MISH, &SOFTPLUS, &SOFTSIGN, &GELU];

const LOGISTIC: &[&str] = &[wgsl!("lib/logistic")];
const HYPERBOLIC_TANGENT: &[&str] = &[NOT_A_NUMBER[0], wgsl!("lib/hyperbolic_tangent")];
const SOFT_PLUS: &[&str] = &[wgsl!("lib/log_plus1"), wgsl!("lib/soft_plus")];
const MISH_LIBRARY: &[&str] = &[SOFT_PLUS[0], SOFT_PLUS[1], HYPERBOLIC_TANGENT[0], HYPERBOLIC_TANGENT[1]];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `g` where the input is above 0, otherwise `other`.
#[track_caller]
fn above_zero(c: &Vjp, g: &Tensor, other: &Tensor) -> Result<Tensor> {
    c.input(0).gt_scalar(0.0)?.where_(g, other)
}

static RELU: Row = Row::float(
    "relu",
    1,
    "select(max({0}, F(0.0)), {0}, not_a_number({0}))",
    |x| if x[0].is_nan() { x[0] } else { x[0].max(0.0) },
    |c| {
        // The result serves as well as the input, and the next layer keeps it anyway. NaN is not below 0, as in PyTorch.
        let rectified = c.output(0);
        Ok(vec![c.of(0, |g| {
            let inputs = g.node.state.lock().inputs.clone();
            let cheaper = g.node.op.behind_rectifier(&inputs, rectified)?;
            cheaper.map_or_else(|| rectified.relu_backward(&g), Ok)
        })?])
    },
)
.library(NOT_A_NUMBER)
.kinks(&[0.0])
.first_order()
.numbers()
.over_integers(&INTEGER_RELU);

/// The gradient `{0}` where the result `{1}` is above 0.
static RELU_BACKWARD: Row = Row::float(
    "relu_backward",
    2,
    "select({0}, F(0.0), {1} <= F(0.0))",
    |x| if x[1] <= 0.0 { 0.0 } else { x[0] },
    |c| Ok(vec![c.of(0, |g| c.input(1).relu_backward(&g))?, c.of(1, |g| g.zeros_like())?]),
)
.kinks(&[0.0])
.first_order();

static INTEGER_RELU: Row =
    Row::plain("integer_relu", 1, "max({0}, I(0))", Accepts::Signed, Makes::Same, |x| x[0].max(0.0));

pub(super) static LEAKY_RELU: Row = Row::float(
    "leaky_relu",
    2,
    "select({0} * {1}, {0}, {0} > F(0.0))",
    |x| if x[0] > 0.0 { x[0] } else { x[0] * x[1] },
    |c| {
        let of_input = c.of(0, |g| above_zero(c, &g, &(&g * c.input(1))?))?;
        let of_slope = c.of(1, |g| above_zero(c, &g.zeros_like()?, &(&g * c.input(0))?))?;
        Ok(vec![of_input, of_slope])
    },
)
.kinks(&[0.0])
.first_order();

static ELU: Row = Row::float(
    "elu",
    2,
    "select({1} * exponential_minus1({0}), {0}, {0} > F(0.0))",
    |x| if x[0] > 0.0 { x[0] } else { x[1] * x[0].exp_m1() },
    |c| {
        let below = c.input(0).minimum_scalar(0.0)?;
        let of_input = c.of(0, |g| above_zero(c, &g, &(&g * c.input(1) * below.exp()?)?))?;
        let of_alpha = c.of(1, |g| above_zero(c, &g.zeros_like()?, &(&g * below.expm1()?)?))?;
        Ok(vec![of_input, of_alpha])
    },
)
.library(&[wgsl!("lib/exponential_minus1")])
.kinks(&[0.0])
.first_order();

static SIGMOID: Row = Row::float(
    "sigmoid",
    1,
    "logistic({0})",
    |x| sigmoid(x[0]),
    |c| {
        let y = c.output(0);
        Ok(vec![c.of(0, |g| g * y * (1.0 - y)?)?])
    },
)
.library(LOGISTIC)
.floated();

static TANH: Row = Row::float(
    "tanh",
    1,
    "hyperbolic_tangent({0})",
    |x| x[0].tanh(),
    |c| Ok(vec![c.of(0, |g| g * (1.0 - c.output(0).square()?))?]),
)
.library(HYPERBOLIC_TANGENT)
.floated();

static SILU: Row = Row::float(
    "silu",
    1,
    "({0} * logistic({0}))",
    |x| x[0] * sigmoid(x[0]),
    |c| {
        // s + x s (1 - s)
        let s = c.input(0).sigmoid()?;
        let slope = ((1.0 + (c.input(0) * (1.0 - &s))?) * s)?;
        Ok(vec![c.of(0, |g| g * &slope)?])
    },
)
.library(LOGISTIC);

static MISH: Row = Row::float(
    "mish",
    1,
    "({0} * hyperbolic_tangent(soft_plus({0})))",
    |x| x[0] * softplus(x[0]).tanh(),
    |c| {
        // t + x (1 - t^2) s with t = tanh(softplus(x)), s = sigmoid(x)
        let x = c.input(0);
        let t = x.softplus(1.0, 20.0)?.tanh()?;
        let slope = ((1.0 - t.square()?) * x * x.sigmoid()? + &t)?;
        Ok(vec![c.of(0, |g| g * &slope)?])
    },
)
.library(MISH_LIBRARY);

/// With `beta` 1 and no threshold; [`Tensor::softplus`] adds both.
static SOFTPLUS: Row = Row::float(
    "softplus",
    1,
    "soft_plus({0})",
    |x| softplus(x[0]),
    |c| Ok(vec![c.of(0, |g| g * c.input(0).sigmoid()?)?]),
)
.library(SOFT_PLUS);

static SOFTSIGN: Row = Row::float(
    "softsign",
    1,
    "({0} / (F(1.0) + abs({0})))",
    |x| x[0] / (1.0 + x[0].abs()),
    |c| {
        let slope = (1.0 + c.input(0).abs()?)?.square()?;
        Ok(vec![c.of(0, |g| g / &slope)?])
    },
)
.kinks(&[0.0])
.first_order()
.floated();

/// `x Phi(x)` with the normal distribution function Phi.
static GELU: Row = Row::float(
    "gelu",
    1,
    "({0} * F(0.5) * (F(1.0) + error_function({0} * F(0.70710678))))",
    |x| x[0] * 0.5 * (1.0 + libm::erf(x[0] * std::f64::consts::FRAC_1_SQRT_2)),
    |c| {
        // Phi(x) + x phi(x)
        let x = c.input(0);
        let phi = (0.5 * (1.0 + (x * std::f64::consts::FRAC_1_SQRT_2)?.erf()?)?)?;
        let density = (0.398_942_280_401_432_7 * (-0.5 * x.square()?)?.exp()?)?;
        Ok(vec![c.of(0, |g| g * (&phi + x * &density))?])
    },
)
.library(ERROR_FUNCTION);

unary! {
    /// `max(x, 0)`; the gradient at 0 is 0.
    relu, RELU;
    /// `1 / (1 + e^-x)`.
    sigmoid, SIGMOID;
    /// The hyperbolic tangent.
    tanh, TANH;
    /// `x sigmoid(x)`, also called swish.
    silu, SILU;
    /// `x tanh(softplus(x))`.
    mish, MISH;
    /// `x / (1 + |x|)`.
    softsign, SOFTSIGN;
    /// `x Phi(x)`, exactly (PyTorch's `approximate="none"`).
    gelu, GELU;
}

impl Tensor {
    /// The gradient behind a [`relu`](Tensor::relu) with this result.
    #[track_caller]
    pub(in crate::ops) fn relu_backward(&self, gradient: &Tensor) -> Result<Tensor> {
        apply(&RELU_BACKWARD, &[gradient, self])
    }

    /// `x` where it is above 0, `negative_slope * x` elsewhere (PyTorch's default slope is 0.01).
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    #[track_caller]
    pub fn leaky_relu(&self, negative_slope: f64) -> Result<Tensor> {
        apply(&LEAKY_RELU, &[self, &self.number(negative_slope)?])
    }

    /// `x` where it is above 0, `alpha (e^x - 1)` elsewhere (PyTorch's default `alpha` is 1).
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Result<Tensor> {
        apply(&ELU, &[self, &self.number(alpha)?])
    }

    /// `log(1 + e^(beta x)) / beta`, and `x` itself where `beta x > threshold` (PyTorch's defaults: 1 and 20).
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    #[track_caller]
    pub fn softplus(&self, beta: f64, threshold: f64) -> Result<Tensor> {
        let scaled = (self * beta)?;
        let soft = (apply(&SOFTPLUS, &[&scaled])? / beta)?;
        scaled.gt_scalar(threshold)?.where_(self, &soft)
    }

    /// `log(sigmoid(x)) = -log(1 + e^-x)`, which neither overflows nor rounds to 0 early.
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    #[track_caller]
    pub fn logsigmoid(&self) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("logsigmoid")? {
            return cast.of(self)?.logsigmoid();
        }
        apply(&SOFTPLUS, &[&(-self)?])?.neg()
    }

    /// [`gelu`](Tensor::gelu) by `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` (PyTorch's `approximate="tanh"`).
    ///
    /// # Errors
    /// [`Error::WrongDType`](crate::Error::WrongDType) for types other than floats.
    #[track_caller]
    pub fn gelu_tanh(&self) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("gelu_tanh")? {
            return cast.of(self)?.gelu_tanh();
        }
        let cube = ((self.square()? * self)? * 0.044_715)?;
        let inner = ((self + &cube)? * 0.797_884_560_802_865_4)?.tanh()?;
        0.5 * self * (1.0 + inner)?
    }
}
