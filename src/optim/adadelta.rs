//! Adadelta.

use super::adam::SQUARE;
use super::algorithm::{Algorithm, MINUS, Number, Step};
use super::options::{hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Adadelta`]; the defaults are PyTorch's.
    AdadeltaOptions {
        /// Learning rate.
        lr: f64 = 1.0,
        /// Decay rate of both averages of squares.
        rho: f64 = 0.9,
        /// Keeps the denominator above 0.
        eps: f64 = 1e-6,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Adadelta (Zeiler, 2012).
///
/// With gradient `g' = g + weight_decay p`: `v = rho v + (1 - rho) g'^2`, `d = sqrt(u + eps) / sqrt(v + eps) g'`,
/// `u = rho u + (1 - rho) d^2`, and `p` becomes `p - lr d`.
pub type Adadelta = Engine<AdadeltaOptions>;

static DELTA: Rule = Rule::new("adadelta", "(sqrt({0} + {3}) / sqrt({1} + {3}) * {2})", |x, _| {
    (x[0] + x[3]).sqrt() / (x[1] + x[3]).sqrt() * x[2]
});

impl Algorithm for AdadeltaOptions {
    const NAME: &'static str = "adadelta";
    type Form = ();

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, eps, weight_decay; up_to_one: rho)
    }

    fn form(&self) {}

    hyper!(Lr => lr, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("square_avg", 0.0), ("acc_delta", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let AdadeltaOptions { lr, rho, eps, weight_decay, .. } = *self;
        [weight_decay, rho, 1.0 - rho, eps, lr].map(Number::from).to_vec()
    }

    fn update(_: (), step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [weight_decay, rho, share, eps, lr] = step.numbers()?;
        let [squares, deltas] = step.buffers()?;
        let gradient = step.decayed(weight_decay)?;
        let squares = SQUARE.of(&[squares, &gradient, rho, share], [])?;
        let delta = DELTA.of(&[deltas, &squares, &gradient, eps], [])?;
        let deltas = SQUARE.of(&[deltas, &delta, rho, share], [])?;
        Ok((MINUS.of(&[&step.value, lr, &delta], [])?, vec![squares, deltas]))
    }
}
