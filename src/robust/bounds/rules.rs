//! Intervals through single calls.

use super::curves::{GELU_MINIMUM, HARDSWISH_MINIMUM, MISH_MINIMUM, SILU_MINIMUM};
use crate::error::{Error, Result};
use crate::graph::{Call, Class, Tensor};

/// Bounds of a value, each of its shape.
#[derive(Clone, Debug)]
pub struct Interval {
    /// No element is below.
    pub lower: Tensor,
    /// No element is above.
    pub upper: Tensor,
}

/// Operations that grow with each of their inputs, or take elements of them.
const GROWING: [&str; 40] = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "add",
    "amax",
    "amin",
    "atan",
    "avg_pool2d",
    "cat",
    "ceil",
    "channel_shuffle",
    "copy",
    "cumsum",
    "diagonal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "gather",
    "hardsigmoid",
    "late",
    "log",
    "log1p",
    "max_pool2d",
    "maximum",
    "minimum",
    "overlap_add",
    "pad",
    "relu",
    "relu6",
    "round",
    "sigmoid",
    "sign",
    "softplus",
    "softsign",
    "sqrt",
    "sum",
    "tanh",
    "trunc",
    "where",
    "windows",
];

/// Operations that are linear in each of two operands.
const BILINEAR: [&str; 3] = ["conv2d", "conv2d_backward_data", "matmul"];

impl Interval {
    /// `centre - radius` to `centre + radius`.
    fn around(centre: &Tensor, radius: &Tensor) -> Result<Interval> {
        Ok(Interval { lower: (centre - radius)?, upper: (centre + radius)? })
    }

    /// Centre and radius.
    pub(super) fn middle(&self) -> Result<(Tensor, Tensor)> {
        Ok((((&self.upper + &self.lower)? * 0.5)?, ((&self.upper - &self.lower)? * 0.5)?))
    }

    /// The sum with another.
    fn plus(&self, other: &Interval) -> Result<Interval> {
        Ok(Interval { lower: (&self.lower + &other.lower)?, upper: (&self.upper + &other.upper)? })
    }

    /// The product with a constant.
    fn times(&self, factor: &Tensor) -> Result<Interval> {
        let (centre, radius) = self.middle()?;
        Interval::around(&(centre * factor)?, &(radius * factor.abs()?)?)
    }

    /// The product with another: the extremes of the products of the ends.
    fn product(&self, other: &Interval) -> Result<Interval> {
        let [a, b] = [(&self.lower * &other.lower)?, (&self.lower * &other.upper)?];
        let [c, d] = [(&self.upper * &other.lower)?, (&self.upper * &other.upper)?];
        let lower = a.minimum(&b)?.minimum(&c.minimum(&d)?)?;
        Ok(Interval { lower, upper: a.maximum(&b)?.maximum(&c.maximum(&d)?)? })
    }

    fn minus(&self) -> Result<Interval> {
        Ok(Interval { lower: (-&self.upper)?, upper: (-&self.lower)? })
    }

    /// The distance from 0.
    fn size(&self) -> Result<Interval> {
        let lower = self.lower.maximum(&(-&self.upper)?)?.relu()?;
        Ok(Interval { lower, upper: self.upper.maximum(&(-&self.lower)?)? })
    }

    /// A function that grows with its input.
    fn by(&self, growing: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Interval> {
        Ok(Interval { lower: growing(&self.lower)?, upper: growing(&self.upper)? })
    }
}

/// The comparison of a value with a constant, as choices by it need it.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    /// The key of the value.
    of: (u64, usize),
    constant: Tensor,
    /// True if the value is above the constant, or else below.
    asks_above: bool,
    /// True if it holds for all values within their bounds, and where it does for some.
    always: Tensor,
    ever: Tensor,
}

/// An input of a call: a constant, or bounds, or a comparison of bounds.
#[derive(Clone)]
pub(super) enum Input {
    Constant(Tensor),
    Bounded(Interval),
    Compared(Comparison),
}

impl Input {
    fn end(&self, of: impl Fn(&Interval) -> &Tensor) -> &Tensor {
        match self {
            Input::Constant(value) | Input::Compared(Comparison { ever: value, .. }) => value,
            Input::Bounded(interval) => of(interval),
        }
    }
}

impl Comparison {
    fn new(call: &Call, x: &Interval, constant: &Tensor) -> Result<Comparison> {
        let asks_above = matches!(call.op().name(), "gt" | "ge");
        let of = |end: &Tensor| Ok(call.repeat(&[end, constant])?.swap_remove(0));
        let (lower, upper) = (of(&x.lower)?, of(&x.upper)?);
        let (always, ever) = if asks_above { (lower, upper) } else { (upper, lower) };
        Ok(Comparison { of: call.inputs[0].0.key(), constant: constant.clone(), asks_above, always, ever })
    }

    /// Bounds of a choice between two values. Each is bounded where it is chosen: there the compared value itself is at most, or
    /// at least, the constant.
    fn choose(&self, call: &Call, inputs: [&Input; 2]) -> Result<Interval> {
        let chosen = |place: usize| match inputs[place] {
            Input::Bounded(x) if call.inputs[place + 1].0.key() == self.of => match self.asks_above == (place == 0) {
                true => x.by(|end| end.maximum(&self.constant)),
                false => x.by(|end| end.minimum(&self.constant)),
            },
            input => Ok(Interval {
                lower: input.end(|interval| &interval.lower).clone(),
                upper: input.end(|interval| &interval.upper).clone(),
            }),
        };
        let (a, b) = (chosen(0)?, chosen(1)?);
        // The first of two that are equal, so that all of the gradient goes one way.
        let least = a.lower.le(&b.lower)?.where_(&a.lower, &b.lower)?;
        let most = a.upper.ge(&b.upper)?.where_(&a.upper, &b.upper)?;
        let of = |a: &Tensor, both: &Tensor, b: &Tensor| self.always.where_(a, &self.ever.where_(both, b)?);
        Ok(Interval { lower: of(&a.lower, &least, &b.lower)?, upper: of(&a.upper, &most, &b.upper)? })
    }
}

/// Bounds of the first output of a call.
pub(super) fn bounds(call: &Call, inputs: &[Input]) -> Result<Input> {
    use Input::{Bounded, Compared, Constant};
    let name = call.op().name();
    let growing = || {
        let ends = |of: fn(&Interval) -> &Tensor| inputs.iter().map(|input| input.end(of)).collect::<Vec<&Tensor>>();
        let lower = call.repeat(&ends(|interval| &interval.lower))?.swap_remove(0);
        let upper = call.repeat(&ends(|interval| &interval.upper))?.swap_remove(0);
        Ok(Interval { lower, upper })
    };
    let valley = |x: &Interval, minimum: f64| x.by_valley(minimum, |end| Ok(call.repeat(&[end])?.swap_remove(0)));
    let bounded = match (name, inputs) {
        ("gt" | "ge" | "lt" | "le", [Bounded(x), Constant(constant)]) => {
            return Comparison::new(call, x, constant).map(Compared);
        }
        ("where", [Compared(comparison), a, b]) => comparison.choose(call, [a, b]),
        (name, inputs) if inputs.iter().any(|input| matches!(input, Compared(_))) => {
            Err(refused(name, "takes a comparison with a value that depends on the images"))
        }
        // They show their first input, and stand for the others in gradients.
        ("checkpoint", [Bounded(x), ..]) => Ok(x.clone()),
        ("detach", [Bounded(x)]) => x.by(|end| Ok(end.detach())),
        ("where", [Bounded(_), ..]) => Err(refused(name, "chooses by a value that depends on the images")),
        ("gather", [_, Bounded(_)]) => Err(refused(name, "takes elements by numbers that depend on the images")),
        ("sub", [x, y]) => match (x, y) {
            (Bounded(x), Constant(y)) => x.by(|end| end - y),
            (Constant(x), Bounded(y)) => y.minus()?.by(|end| x + end),
            (Bounded(x), Bounded(y)) => x.plus(&y.minus()?),
            _ => Err(refused(name, "does not depend on the images")),
        },
        ("neg", [Bounded(x)]) => x.minus(),
        ("abs", [Bounded(x)]) => x.size(),
        ("square", [Bounded(x)]) => x.size()?.by(Tensor::square),
        ("mul", [Bounded(x), Constant(factor)] | [Constant(factor), Bounded(x)]) => x.times(factor),
        ("mul", [Bounded(x), Bounded(y)]) => x.product(y),
        ("div", [Bounded(x), Constant(divisor)]) => x.times(&divisor.reciprocal()?),
        // A line above 0, and one of another slope or a curve below: each grows, or falls with a negative factor.
        ("leaky_relu", [Bounded(x), Constant(slope)]) => {
            x.by(Tensor::relu)?.plus(&x.by(|end| end.minimum_scalar(0.0))?.times(slope)?)
        }
        ("elu", [Bounded(x), Constant(alpha)]) => {
            x.by(Tensor::relu)?.plus(&x.by(|end| end.minimum_scalar(0.0)?.expm1())?.times(alpha)?)
        }
        (name, [Bounded(x), Constant(weight)]) if BILINEAR.contains(&name) => {
            let (centre, radius) = x.middle()?;
            let of = |value: &Tensor, weight: &Tensor| Ok(call.repeat(&[value, weight])?.swap_remove(0));
            Interval::around(&of(&centre, weight)?, &of(&radius, &weight.abs()?)?)
        }
        (name, [Constant(weight), Bounded(x)]) if BILINEAR.contains(&name) => {
            let (centre, radius) = x.middle()?;
            let of = |weight: &Tensor, value: &Tensor| Ok(call.repeat(&[weight, value])?.swap_remove(0));
            Interval::around(&of(weight, &centre)?, &of(&weight.abs()?, &radius)?)
        }
        // (c ± r) (d ± s) lies round c d, within |c| s + r (|d| + s).
        (name, [Bounded(x), Bounded(y)]) if BILINEAR.contains(&name) => {
            let ((c, r), (d, s)) = (x.middle()?, y.middle()?);
            let of = |x: &Tensor, y: &Tensor| Ok::<_, Error>(call.repeat(&[x, y])?.swap_remove(0));
            Interval::around(&of(&c, &d)?, &(of(&c.abs()?, &s)? + of(&r, &(d.abs()? + &s)?)?)?)
        }
        ("softmax" | "log_softmax", [Bounded(x)]) => match call.op().class() {
            Class::Rows { dims: &[dim], .. } => x.softmax(dim, name == "log_softmax"),
            _ => Err(refused(name, "is not along one dimension")),
        },
        ("silu", [Bounded(x)]) => valley(x, SILU_MINIMUM),
        ("gelu", [Bounded(x)]) => valley(x, GELU_MINIMUM),
        ("mish", [Bounded(x)]) => valley(x, MISH_MINIMUM),
        ("hardswish", [Bounded(x)]) => valley(x, HARDSWISH_MINIMUM),
        (name, _) if GROWING.contains(&name) || matches!(call.op().class(), Class::View) => growing(),
        (name, _) => Err(refused(name, "is not one of those that bounds are known to pass")),
    };
    bounded.map(Bounded)
}

fn refused(name: &'static str, why: &str) -> Error {
    let known = "pass convolutions, products, sums, maxima, means, softmaxes, clamps and activations";
    Error::invalid(name, format!("the operation {why}; interval bounds {known}"))
}
