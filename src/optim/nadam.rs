//! NAdam.

use super::adam::{self, CORRECTION, VALUE, logarithm};
use super::algorithm::{Algorithm, Number, Step};
use super::options::{hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`NAdam`]; the defaults are PyTorch's.
    NAdamOptions {
        /// Learning rate.
        lr: f64 = 2e-3,
        /// Decay rates of the two moments.
        betas: (f64, f64) = (0.9, 0.999),
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// Speed at which the momentum rises to beta1.
        momentum_decay: f64 = 4e-3,
        /// Decays the parameters themselves, as AdamW does, instead of adding to the gradient.
        decoupled_weight_decay: bool = false,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Adam with Nesterov's momentum (Dozat, 2016).
///
/// `m` and `v` are those of [`Adam`](super::Adam). With `mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)` and `M_t` the
/// product of `mu_1` to `mu_t`, `p` becomes
/// `p - lr ((1 - mu_t) / (1 - M_t) g' + mu_(t+1) / (1 - M_(t+1)) m) / (sqrt(v) / sqrt(1 - beta2^t) + eps)`.
/// The product is state, since a schedule may have changed `beta1` along the way.
pub type NAdam = Engine<NAdamOptions>;

static MOMENTUM: Rule = Rule::new("nadam_momentum", "({1} * (F(1.0) - F(0.5) * exp2({0} * {2})))", |x, _| {
    x[1] * (1.0 - 0.5 * (x[0] * x[2]).exp2())
});

static NEXT_MOMENTUM: Rule =
    Rule::new("nadam_next_momentum", "({1} * (F(1.0) - F(0.5) * exp2(({0} + F(1.0)) * {2})))", |x, _| {
        x[1] * (1.0 - 0.5 * ((x[0] + 1.0) * x[2]).exp2())
    });

/// The gradient's and the mean's parts of the direction.
static DIRECTION: Rule = Rule::new(
    "nadam_direction",
    "({0} * (F(1.0) - {3}) / (F(1.0) - {2}) + {1} * {4} / (F(1.0) - {2} * {4}))",
    |x, _| x[0] * (1.0 - x[3]) / (1.0 - x[2]) + x[1] * x[4] / (1.0 - x[2] * x[4]),
);

impl Algorithm for NAdamOptions {
    const NAME: &'static str = "nadam";
    /// True if the decay is decoupled.
    type Form = bool;

    fn check(&self) -> Result<()> {
        adam::check(Self::NAME, self.lr, self.eps, self.weight_decay, self.betas)?;
        ranges!(self; at_least_zero: momentum_decay)
    }

    fn form(&self) -> bool {
        self.decoupled_weight_decay
    }

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("exp_avg", 0.0), ("exp_avg_sq", 0.0), ("mu_product", 1.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let NAdamOptions { lr, betas: (beta1, beta2), eps, weight_decay, momentum_decay, .. } = *self;
        let momentum = vec![beta1, momentum_decay * 0.96f64.log2()];
        let mut numbers = adam::numbers(lr, weight_decay, self.decoupled_weight_decay, self.betas);
        numbers.extend([
            Number::OfStep(&MOMENTUM, momentum.clone()),
            Number::OfStep(&NEXT_MOMENTUM, momentum),
            Number::OfStep(&CORRECTION, vec![logarithm(beta2)]),
            eps.into(),
            lr.into(),
        ]);
        numbers
    }

    fn update(decoupled: bool, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [decay, new_mean, beta2, new_square, momentum, next_momentum, correction, eps, lr] = step.numbers()?;
        let [mean, square, product] = step.buffers()?;
        let (value, gradient) = step.with_decay(decoupled, decay)?;
        let product = product.mul(momentum)?;
        let [mean, square] = adam::moments([mean, square], &gradient, [new_mean, beta2, new_square])?;
        let direction = DIRECTION.of(&[&gradient, &mean, &product, momentum, next_momentum], [])?;
        let value = VALUE.of(&[&value, &direction, &square, lr, correction, eps], [])?;
        Ok((value, vec![mean, square, product]))
    }
}
