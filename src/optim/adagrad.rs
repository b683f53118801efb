//! Adagrad.

use super::algorithm::{Algorithm, Number, Step};
use super::options::{hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Adagrad`]; the defaults are PyTorch's.
    AdagradOptions {
        /// Learning rate.
        lr: f64 = 1e-2,
        /// Decay of the rate: at step `t` it is `lr / (1 + (t - 1) lr_decay)`.
        lr_decay: f64 = 0.0,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// The sum of squares that each element starts with.
        initial_accumulator_value: f64 = 0.0,
        /// Keeps the denominator above 0.
        eps: f64 = 1e-10,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Adagrad (Duchi et al., 2011).
///
/// With gradient `g' = g + weight_decay p`: `s = s + g'^2`, and `p` becomes
/// `p - lr / (1 + (t - 1) lr_decay) g' / (sqrt(s) + eps)`.
pub type Adagrad = Engine<AdagradOptions>;

static RATE: Rule =
    Rule::new("adagrad_rate", "({1} / (F(1.0) + ({0} - F(1.0)) * {2}))", |x, _| x[1] / (1.0 + (x[0] - 1.0) * x[2]));

static SUM: Rule = Rule::new("adagrad_sum", "({0} + {1} * {1})", |x, _| x[0] + x[1] * x[1]);

static VALUE: Rule =
    Rule::new("adagrad", "({0} - {3} * {1} / (sqrt({2}) + {4}))", |x, _| x[0] - x[3] * x[1] / (x[2].sqrt() + x[4]));

impl Algorithm for AdagradOptions {
    const NAME: &'static str = "adagrad";
    type Form = ();

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, lr_decay, weight_decay, initial_accumulator_value, eps)
    }

    fn form(&self) {}

    hyper!(Lr => lr, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("sum", self.initial_accumulator_value)]
    }

    fn numbers(&self) -> Vec<Number> {
        let rate = Number::OfStep(&RATE, vec![self.lr, self.lr_decay]);
        vec![self.weight_decay.into(), rate, self.eps.into()]
    }

    fn update(_: (), step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [weight_decay, rate, eps] = step.numbers()?;
        let [sum] = step.buffers()?;
        let gradient = step.decayed(weight_decay)?;
        let sum = SUM.of(&[sum, &gradient], [])?;
        Ok((VALUE.of(&[&step.value, &gradient, &sum, rate, eps], [])?, vec![sum]))
    }
}
