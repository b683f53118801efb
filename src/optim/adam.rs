//! Adam, AdamW and AMSGrad.

use super::algorithm::{Algorithm, Number, Step};
use super::options::{at_least_zero, below_one, hyper, options};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Adam`]; the defaults are PyTorch's.
    AdamOptions {
        /// Learning rate.
        lr: f64 = 1e-3,
        /// Decay rates of the two moments.
        betas: (f64, f64) = (0.9, 0.999),
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// Divides by the largest second moment so far (AMSGrad).
        amsgrad: bool = false,
        /// Decays the parameters themselves (AdamW) instead of adding to the gradient.
        decoupled_weight_decay: bool = false,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

options! {
    /// Options of [`AdamW`]; the defaults are PyTorch's.
    AdamWOptions {
        /// Learning rate.
        lr: f64 = 1e-3,
        /// Decay rates of the two moments.
        betas: (f64, f64) = (0.9, 0.999),
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 1e-2,
        /// Divides by the largest second moment so far (AMSGrad).
        amsgrad: bool = false,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Adam (Kingma and Ba, 2015).
///
/// At step `t`, with gradient `g' = g + weight_decay p`: `m = m + (1 - beta1) (g' - m)`,
/// `v = beta2 v + (1 - beta2) g'^2`, and `p` becomes
/// `p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`. With `amsgrad` (Reddi et al., 2018) the largest `v`
/// so far replaces `v`; with `decoupled_weight_decay` it is [`AdamW`].
pub type Adam = Engine<AdamOptions>;

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019): first `p = p - lr weight_decay p`, then a step of
/// [`Adam`] by the gradient alone.
pub type AdamW = Engine<AdamWOptions>;

/// The formula of an Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    amsgrad: bool,
    decoupled: bool,
}

pub(super) static MEAN: Rule = Rule::new("adam_mean", "({0} + ({1} - {0}) * {2})", |x, _| x[0] + (x[1] - x[0]) * x[2]);

pub(super) static SQUARE: Rule =
    Rule::new("adam_square", "({0} * {2} + {1} * {1} * {3})", |x, _| x[0] * x[2] + x[1] * x[1] * x[3]);

pub(super) static VALUE: Rule = Rule::new("adam", "({0} - {1} * {3} / (sqrt({2}) / {4} + {5}))", |x, _| {
    x[0] - x[1] * x[3] / (x[2].sqrt() / x[4] + x[5])
});

/// `lr / (1 - beta^t)`, from the logarithm of beta.
pub(super) static STEP_SIZE: Rule =
    Rule::new("adam_step_size", "({1} / -exponential_minus1({0} * {2}))", |x, _| x[1] / -(x[0] * x[2]).exp_m1())
        .library(&[wgsl!("lib/exponential_minus1")]);

/// `sqrt(1 - beta^t)`, from the logarithm of beta.
pub(super) static CORRECTION: Rule =
    Rule::new("adam_correction", "sqrt(-exponential_minus1({0} * {1}))", |x, _| (-(x[0] * x[1]).exp_m1()).sqrt())
        .library(&[wgsl!("lib/exponential_minus1")]);

/// The logarithm of a decay rate, made finite, as arithmetic with infinities is not the same everywhere.
pub(super) fn logarithm(beta: f64) -> f64 {
    beta.max(1e-30).ln()
}

/// Refuses options of Adam and its variants that are out of their ranges.
pub(super) fn check(op: &'static str, lr: f64, eps: f64, weight_decay: f64, betas: (f64, f64)) -> Result<()> {
    at_least_zero(op, "lr", lr)?;
    at_least_zero(op, "eps", eps)?;
    at_least_zero(op, "weight_decay", weight_decay)?;
    below_one(op, "beta1", betas.0)?;
    below_one(op, "beta2", betas.1)
}

/// The numbers of a decay, decoupled or not, and of [`moments`].
pub(super) fn numbers(lr: f64, weight_decay: f64, decoupled: bool, (beta1, beta2): (f64, f64)) -> Vec<Number> {
    let decay = if decoupled { lr * weight_decay } else { weight_decay };
    [decay, 1.0 - beta1, beta2, 1.0 - beta2].map(Number::from).to_vec()
}

/// The two moments, moved by a gradient.
pub(super) fn moments(
    [mean, square]: [&Tensor; 2],
    gradient: &Tensor,
    [new_mean, beta2, new_square]: [&Tensor; 3],
) -> Result<[Tensor; 2]> {
    let mean = MEAN.of(&[mean, gradient, new_mean], [])?;
    Ok([mean, SQUARE.of(&[square, gradient, beta2, new_square], [])?])
}

impl Algorithm for AdamOptions {
    const NAME: &'static str = "adam";
    type Form = Form;

    fn check(&self) -> Result<()> {
        check(Self::NAME, self.lr, self.eps, self.weight_decay, self.betas)
    }

    fn form(&self) -> Form {
        Form { amsgrad: self.amsgrad, decoupled: self.decoupled_weight_decay }
    }

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        let mut buffers = vec![("exp_avg", 0.0), ("exp_avg_sq", 0.0)];
        buffers.extend(self.amsgrad.then_some(("max_exp_avg_sq", 0.0)));
        buffers
    }

    fn numbers(&self) -> Vec<Number> {
        let AdamOptions { lr, betas: (beta1, beta2), eps, weight_decay, .. } = *self;
        let mut numbers = numbers(lr, weight_decay, self.decoupled_weight_decay, self.betas);
        numbers.extend([
            Number::OfStep(&STEP_SIZE, vec![lr, logarithm(beta1)]),
            Number::OfStep(&CORRECTION, vec![logarithm(beta2)]),
            eps.into(),
        ]);
        numbers
    }

    fn update(form: Form, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [decay, new_mean, beta2, new_square, step_size, correction, eps] = step.numbers()?;
        let (value, gradient) = step.with_decay(form.decoupled, decay)?;
        let [mean, square] = moments([&step.buffers[0], &step.buffers[1]], &gradient, [new_mean, beta2, new_square])?;
        let mut buffers = vec![mean.clone(), square.clone()];
        if form.amsgrad {
            buffers.push(step.buffers[2].maximum(&square)?);
        }
        let divisor = &buffers[buffers.len() - 1];
        let value = VALUE.of(&[&value, &mean, divisor, step_size, correction, eps], [])?;
        Ok((value, buffers))
    }
}

impl AdamWOptions {
    fn adam(&self) -> AdamOptions {
        let AdamWOptions { lr, betas, eps, weight_decay, amsgrad, maximize } = *self;
        AdamOptions { lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay: true, maximize }
    }
}

impl Algorithm for AdamWOptions {
    const NAME: &'static str = "adamw";
    type Form = Form;

    fn check(&self) -> Result<()> {
        self.adam().check()
    }

    fn form(&self) -> Form {
        self.adam().form()
    }

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        self.adam().buffers()
    }

    fn numbers(&self) -> Vec<Number> {
        self.adam().numbers()
    }

    fn update(form: Form, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        AdamOptions::update(form, step)
    }
}
