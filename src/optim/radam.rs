//! RAdam.

use super::adam::{self, STEP_SIZE, logarithm};
use super::algorithm::{Algorithm, Number, Step};
use super::options::{hyper, options};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`RAdam`]; the defaults are PyTorch's.
    RAdamOptions {
        /// Learning rate.
        lr: f64 = 1e-3,
        /// Decay rates of the two moments.
        betas: (f64, f64) = (0.9, 0.999),
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// Decays the parameters themselves, as AdamW does, instead of adding to the gradient.
        decoupled_weight_decay: bool = false,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Rectified Adam (Liu et al., 2020).
///
/// `m` and `v` are those of [`Adam`](super::Adam), and `rho_t = rho - 2 t beta2^t / (1 - beta2^t)` with
/// `rho = 2 / (1 - beta2) - 1` is the number of squares that `v` averages. Up to 5 of them, `p` becomes
/// `p - lr / (1 - beta1^t) m`; from then on `p - lr / (1 - beta1^t) m r sqrt(1 - beta2^t) / (sqrt(v) + eps)`, where
/// `r^2 = (rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t)`.
pub type RAdam = Engine<RAdamOptions>;

/// `r sqrt(1 - beta2^t)`, or 0 up to 5 squares; from the logarithm of beta2, `rho`, and the difference of `rho` to its value by
/// the logarithm.
///
/// The device takes `rho_t` from a series of `x = -t ln(beta2)` if the difference would lose digits.
static RECTIFIED: Rule = Rule::new("radam_rectified", "rectified({0}, {1}, {2}, {3})", |x, _| {
    let [step, logarithm, rho] = [x[0], x[1], x[2]];
    let rest = -(step * logarithm).exp_m1();
    let squares = rho - 2.0 * step * (1.0 - rest) / rest;
    if squares > 5.0 {
        ((squares - 4.0) * (squares - 2.0) * rho / ((rho - 4.0) * (rho - 2.0) * squares) * rest).sqrt()
    } else {
        0.0
    }
})
.library(&[
    wgsl!("lib/exponential_minus1"),
    "fn rectified(step: F, logarithm: F, rho: F, difference: F) -> F {
    let x = -step * logarithm;
    let rest = -exponential_minus1(-x);
    let near = difference + step * (F(1.0) - x * (F(0.16666667) - x * x * (F(2.7777778e-3) - x * x * F(6.6137566e-5))));
    let far = rho - F(2.0) * step * (F(1.0) - rest) / rest;
    let squares = select(far, near, x < F(0.5));
    let root = sqrt(max((squares - F(4.0)) * (squares - F(2.0)) * rho / ((rho - F(4.0)) * (rho - F(2.0)) * squares) * rest, F(0.0)));
    return select(F(0.0), root, squares > F(5.0));
}
",
]);

static VALUE: Rule =
    Rule::new("radam", "({0} - {3} * {1} * select(F(1.0), {4} / (sqrt({2}) + {5}), {4} > F(0.0)))", |x, _| {
        x[0] - x[3] * x[1] * if x[4] > 0.0 { x[4] / (x[2].sqrt() + x[5]) } else { 1.0 }
    });

impl Algorithm for RAdamOptions {
    const NAME: &'static str = "radam";
    /// True if the decay is decoupled.
    type Form = bool;

    fn check(&self) -> Result<()> {
        adam::check(Self::NAME, self.lr, self.eps, self.weight_decay, self.betas)
    }

    fn form(&self) -> bool {
        self.decoupled_weight_decay
    }

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("exp_avg", 0.0), ("exp_avg_sq", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let RAdamOptions { lr, betas: (beta1, beta2), eps, weight_decay, .. } = *self;
        let (rho, of_beta2) = (2.0 / (1.0 - beta2) - 1.0, logarithm(beta2));
        let mut numbers = adam::numbers(lr, weight_decay, self.decoupled_weight_decay, self.betas);
        numbers.extend([
            Number::OfStep(&STEP_SIZE, vec![lr, logarithm(beta1)]),
            Number::OfStep(&RECTIFIED, vec![of_beta2, rho, rho + 2.0 / of_beta2]),
            eps.into(),
        ]);
        numbers
    }

    fn update(decoupled: bool, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [decay, new_mean, beta2, new_square, step_size, rectified, eps] = step.numbers()?;
        let (value, gradient) = step.with_decay(decoupled, decay)?;
        let [mean, square] = adam::moments(step.buffers()?, &gradient, [new_mean, beta2, new_square])?;
        let value = VALUE.of(&[&value, &mean, &square, step_size, rectified, eps], [])?;
        Ok((value, vec![mean, square]))
    }
}
