//! Rprop.

use super::algorithm::{Algorithm, Number, Step};
use super::options::{at_least_zero, hyper, options};
use super::{Engine, Hyper};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Rprop`]; the defaults are PyTorch's.
    RpropOptions {
        /// The length of each element's first step; later ones have their own.
        lr: f64 = 1e-2,
        /// Factors of a length if the gradient has changed its sign, and if not.
        etas: (f64, f64) = (0.5, 1.2),
        /// The least and the largest length.
        step_sizes: (f64, f64) = (1e-6, 50.0),
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Resilient backpropagation (Riedmiller and Braun, 1993), for gradients of whole data sets.
///
/// Each element has a length `s`, which is `lr` at its first step. If its gradient keeps its sign, `s = etas.1 s`; if it changes
/// its sign, `s = etas.0 s` and the gradient counts as 0, now and in the next step; `s` stays within `step_sizes`. Then `p`
/// becomes `p - sign(g) s`.
pub type Rprop = Engine<RpropOptions>;

/// The first length, at the first step by the rate of that time, and nothing later.
static FIRST: Rule =
    Rule::new("rprop_first", "select(F(0.0), {1}, {0} < F(1.5))", |x, _| if x[0] < 1.5 { x[1] } else { 0.0 });

static LENGTH: Rule = Rule::new(
    "rprop_length",
    "clamp(({2} + {7}) * select(select(F(1.0), {4}, sign({0}) * sign({1}) > F(0.0)), {3}, sign({0}) * sign({1}) < F(0.0)), {5}, {6})",
    |x, _| {
        let agree = sign(x[0]) * sign(x[1]);
        let factor = if agree > 0.0 {
            x[4]
        } else if agree < 0.0 {
            x[3]
        } else {
            1.0
        };
        ((x[2] + x[7]) * factor).max(x[5]).min(x[6])
    },
);

static KEPT: Rule = Rule::new("rprop_gradient", "select({0}, F(0.0), sign({0}) * sign({1}) < F(0.0))", |x, _| {
    if sign(x[0]) * sign(x[1]) < 0.0 { 0.0 } else { x[0] }
});

static VALUE: Rule = Rule::new("rprop", "({0} - sign({1}) * {2})", |x, _| x[0] - sign(x[1]) * x[2]);

/// As in WGSL: the sign of 0 is 0.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

impl Algorithm for RpropOptions {
    const NAME: &'static str = "rprop";
    type Form = ();

    fn check(&self) -> Result<()> {
        let RpropOptions { lr, etas: (less, more), step_sizes: (least, most), .. } = *self;
        at_least_zero(Self::NAME, "lr", lr)?;
        at_least_zero(Self::NAME, "step_sizes.0", least)?;
        if !(0.0 < less && less < 1.0 && 1.0 < more && more.is_finite()) {
            let rule = format!("etas are {:?}; the first must be between 0 and 1, and the second above 1", self.etas);
            return Err(Error::invalid(Self::NAME, rule));
        }
        if !(least <= most && most.is_finite()) {
            let rule = format!("step_sizes are {:?}; the first must not be above the second", self.step_sizes);
            return Err(Error::invalid(Self::NAME, rule));
        }
        Ok(())
    }

    fn form(&self) {}

    hyper!(Lr => lr; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("prev", 0.0), ("step_size", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let RpropOptions { lr, etas, step_sizes, .. } = *self;
        let first = Number::OfStep(&FIRST, vec![lr]);
        [etas.0, etas.1, step_sizes.0, step_sizes.1].map(Number::from).into_iter().chain([first]).collect()
    }

    fn update(_: (), step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [less, more, least, most, first] = step.numbers()?;
        let [last, length] = step.buffers()?;
        let length = LENGTH.of(&[&step.gradient, last, length, less, more, least, most, first], [])?;
        let gradient = KEPT.of(&[&step.gradient, last], [])?;
        Ok((VALUE.of(&[&step.value, &gradient, &length], [])?, vec![gradient, length]))
    }
}
