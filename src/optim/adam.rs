//! Adam and AdamW.

use super::Optimizer;
use super::slots::{Slots, Update, at_least_zero, below_one};
use crate::error::Result;
use crate::graph::Parameter;
use crate::number::nearest;
use crate::ops::rule::Rule;

/// What [`Adam`] is set to; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// Learning rate.
    pub lr: f64,
    /// Decay rates of the two moments.
    pub betas: (f64, f64),
    /// Keeps the denominator above 0.
    pub eps: f64,
    /// Pulls the parameters to 0.
    pub weight_decay: f64,
    /// Decays the parameters themselves (AdamW) instead of adding to the gradient.
    pub decoupled: bool,
}

impl Default for AdamOptions {
    fn default() -> AdamOptions {
        AdamOptions { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, decoupled: false }
    }
}

impl AdamOptions {
    /// AdamW's defaults: a decoupled weight decay of 0.01.
    pub fn adamw() -> AdamOptions {
        AdamOptions { weight_decay: 0.01, decoupled: true, ..AdamOptions::default() }
    }
}

static MEAN: Rule =
    Rule::new("adam_mean", "({0} + ({1} - {0}) * bitcast<f32>({s0}))", |x, n| x[0] + (x[1] - x[0]) * n[0]);

static SQUARE: Rule =
    Rule::new("adam_square", "({0} * bitcast<f32>({s0}) + {1} * {1} * bitcast<f32>({s1}))", |x, n| {
        x[0] * n[0] + x[1] * x[1] * n[1]
    });

static VALUE: Rule = Rule::new(
    "adam",
    "({0} - {1} * bitcast<f32>({s0}) / (sqrt({2}) / bitcast<f32>({s1}) + bitcast<f32>({s2})))",
    |x, n| x[0] - x[1] * n[0] / (x[2].sqrt() / n[1] + n[2]),
);

/// Adam (Kingma and Ba, 2015), and AdamW (Loshchilov and Hutter, 2019) where the decay is decoupled.
///
/// At step `t`, with gradient `g' = g + weight_decay p` (`g` where decoupled, and first `p = p - lr weight_decay p`):
/// `m = m + (1 - beta1) (g' - m)`, `v = beta2 v + (1 - beta2) g'^2`, and `p` becomes
/// `p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`.
pub struct Adam {
    slots: Slots,
    options: AdamOptions,
}

impl Adam {
    /// An optimizer for the trained ones of `parameters`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where there are none, two have one name, or an option is out of
    /// its range.
    pub fn new(parameters: Vec<Parameter>, options: AdamOptions) -> Result<Adam> {
        const OP: &str = "adam";
        at_least_zero(OP, "lr", options.lr)?;
        at_least_zero(OP, "eps", options.eps)?;
        at_least_zero(OP, "weight_decay", options.weight_decay)?;
        below_one(OP, "beta1", options.betas.0)?;
        below_one(OP, "beta2", options.betas.1)?;
        Ok(Adam { slots: Slots::new(OP, parameters, &["exp_avg", "exp_avg_sq"])?, options })
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        if self.options.decoupled { "adamw" } else { "adam" }
    }
    #[track_caller]
    fn step(&mut self) -> Result<()> {
        let AdamOptions { lr, betas: (beta1, beta2), eps, weight_decay, decoupled } = self.options;
        self.slots.step(|Update { mut value, mut gradient, buffers, steps }| {
            if decoupled {
                value = value.mul_scalar(nearest(1.0 - lr * weight_decay))?;
            } else if weight_decay != 0.0 {
                gradient = gradient.add(&value.mul_scalar(nearest(weight_decay))?)?;
            }
            let (mean, square) = (&buffers[0], &buffers[1]);
            let mean = MEAN.of(&[mean, &gradient], [1.0 - beta1])?;
            let square = SQUARE.of(&[square, &gradient], [beta2, 1.0 - beta2])?;
            // In double precision on the host: 1 - beta2^t loses digits while t is small.
            let step_size = lr / (1.0 - beta1.powf(steps as f64));
            let correction = (1.0 - beta2.powf(steps as f64)).sqrt();
            let value = VALUE.of(&[&value, &mean, &square], [step_size, correction, eps])?;
            Ok((value, vec![mean, square]))
        })
    }
    fn zero_grad(&self) {
        self.slots.zero_grad();
    }
    fn parameters(&self) -> Vec<Parameter> {
        self.slots.parameters()
    }
    fn buffers(&self) -> Vec<Parameter> {
        self.slots.buffers()
    }
    fn steps(&self) -> Vec<u64> {
        self.slots.steps()
    }
    fn set_steps(&mut self, steps: &[u64]) -> Result<()> {
        self.slots.set_steps("adam", steps)
    }
    fn lr(&self) -> f64 {
        self.options.lr
    }
    fn set_lr(&mut self, lr: f64) -> Result<()> {
        at_least_zero("set_lr", "lr", lr)?;
        self.options.lr = lr;
        Ok(())
    }
}
