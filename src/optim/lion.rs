//! Lion.

use super::adam::MEAN;
use super::algorithm::{Algorithm, MINUS, Number, Step};
use super::options::{below_one, hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Lion`]; the defaults are the paper's.
    LionOptions {
        /// Learning rate.
        lr: f64 = 1e-4,
        /// Weights of the last mean in the direction, and in the next mean.
        betas: (f64, f64) = (0.9, 0.99),
        /// Pulls the parameters to 0, decoupled from the gradient.
        weight_decay: f64 = 0.0,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Lion (Chen et al., 2023), as timm has it: every element moves by the rate.
///
/// First `p = p - lr weight_decay p`, then `p = p - lr sign(m + (1 - beta1) (g - m))`, and `m` becomes
/// `m + (1 - beta2) (g - m)`.
pub type Lion = Engine<LionOptions>;

static VALUE: Rule =
    Rule::new("lion", "({0} - {2} * sign({1}))", |x, _| if x[1] == 0.0 { x[0] } else { x[0] - x[2] * x[1].signum() });

impl Algorithm for LionOptions {
    const NAME: &'static str = "lion";
    type Form = ();

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, weight_decay)?;
        below_one(Self::NAME, "beta1", self.betas.0)?;
        below_one(Self::NAME, "beta2", self.betas.1)
    }

    fn form(&self) {}

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("exp_avg", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let LionOptions { lr, betas, weight_decay, .. } = *self;
        [lr * weight_decay, 1.0 - betas.0, 1.0 - betas.1, lr].map(Number::from).to_vec()
    }

    fn update(_: (), step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [decay, now, later, lr] = step.numbers()?;
        let [mean] = step.buffers()?;
        let direction = MEAN.of(&[mean, &step.gradient, now], [])?;
        let value = MINUS.of(&[&step.value, decay, &step.value], [])?;
        Ok((VALUE.of(&[&value, &direction, lr], [])?, vec![MEAN.of(&[mean, &step.gradient, later], [])?]))
    }
}
