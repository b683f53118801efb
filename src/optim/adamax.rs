//! Adamax.

use super::adam::{self, MEAN, STEP_SIZE, logarithm};
use super::algorithm::{Algorithm, Number, Step};
use super::options::{hyper, options};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Adamax`]; the defaults are PyTorch's.
    AdamaxOptions {
        /// Learning rate.
        lr: f64 = 2e-3,
        /// Decay rates of the mean and of the maximum.
        betas: (f64, f64) = (0.9, 0.999),
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Adamax, Adam by the infinity norm (Kingma and Ba, 2015).
///
/// With gradient `g' = g + weight_decay p`: `m = m + (1 - beta1) (g' - m)`, `u = max(beta2 u, |g'| + eps)`, and `p` becomes
/// `p - lr / (1 - beta1^t) m / u`.
pub type Adamax = Engine<AdamaxOptions>;

static LARGEST: Rule =
    Rule::new("adamax_largest", "max({0} * {2}, abs({1}) + {3})", |x, _| (x[0] * x[2]).max(x[1].abs() + x[3]));

static VALUE: Rule = Rule::new("adamax", "({0} - {3} * {1} / {2})", |x, _| x[0] - x[3] * x[1] / x[2]);

impl Algorithm for AdamaxOptions {
    const NAME: &'static str = "adamax";
    type Form = ();

    fn check(&self) -> Result<()> {
        adam::check(Self::NAME, self.lr, self.eps, self.weight_decay, self.betas)
    }

    fn form(&self) {}

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("exp_avg", 0.0), ("exp_inf", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let AdamaxOptions { lr, betas: (beta1, beta2), eps, weight_decay, .. } = *self;
        let step_size = Number::OfStep(&STEP_SIZE, vec![lr, logarithm(beta1)]);
        vec![weight_decay.into(), (1.0 - beta1).into(), beta2.into(), eps.into(), step_size]
    }

    fn update(_: (), step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [weight_decay, share, beta2, eps, step_size] = step.numbers()?;
        let [mean, largest] = step.buffers()?;
        let gradient = step.decayed(weight_decay)?;
        let mean = MEAN.of(&[mean, &gradient, share], [])?;
        let largest = LARGEST.of(&[largest, &gradient, beta2, eps], [])?;
        Ok((VALUE.of(&[&step.value, &mean, &largest, step_size], [])?, vec![mean, largest]))
    }
}
