//! LAMB.

use super::adam::{self, CORRECTION, SQUARE, STEP_SIZE, logarithm};
use super::algorithm::{Algorithm, MINUS, Number, PLUS, Step};
use super::options::{hyper, options};
use super::{Engine, Hyper};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Lamb`]; the defaults are timm's.
    LambOptions {
        /// Learning rate.
        lr: f64 = 1e-3,
        /// Corrects the moments for starting at 0.
        bias_correction: bool = true,
        /// Decay rates of the two moments.
        betas: (f64, f64) = (0.9, 0.999),
        /// Keeps the denominator above 0.
        eps: f64 = 1e-6,
        /// Pulls the parameters to 0; groups without it are not adapted.
        weight_decay: f64 = 0.01,
        /// Adds only `1 - beta1` of a gradient to the mean, not all of it.
        grad_averaging: bool = true,
        /// The largest norm of all gradients together; [`clip_grad_norm`](Engine::clip_grad_norm) replaces it.
        max_grad_norm: Option<f64> = Some(1.0),
        /// Limits the ratio to 1 (LAMBC).
        trust_clip: bool = false,
        /// Adapts groups without a weight decay too.
        always_adapt: bool = false,
        /// Decays the parameters themselves, as AdamW does, instead of adding to the direction.
        decoupled_decay: bool = false,
    }
}

/// LAMB (You et al., 2020), as timm has it: Adam's direction, scaled by norms for each parameter.
///
/// With all gradients limited to the norm `max_grad_norm`: `m = beta1 m + (1 - beta1) g` (`+ g` without `grad_averaging`),
/// `v = beta2 v + (1 - beta2) g^2`, `u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay p`, and `p`
/// becomes `p - lr r u` with `r = |p| / |u|`, or 1 where a norm is 0. All norms of a pack take four launches.
pub type Lamb = Engine<LambOptions>;

/// The formula of a LAMB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    trust_clip: bool,
    decoupled: bool,
}

static MEAN: Rule = Rule::new("lamb_mean", "({0} * {2} + {1} * {3})", |x, _| x[0] * x[2] + x[1] * x[3]);

/// From the mean, the square, the factor of the first, the divisor of the second, and eps.
static DIRECTION: Rule = Rule::new("lamb_direction", "({0} * {2} / (sqrt({1}) / {3} + {4}))", |x, _| {
    x[0] * x[2] / (x[1].sqrt() / x[3] + x[4])
});

static RATIO: Rule =
    Rule::new("lamb_ratio", "select(F(1.0), {0} / {1}, ({0} > F(0.0)) & ({1} > F(0.0)) & ({2} > F(0.0)))", |x, _| {
        if x[0] > 0.0 && x[1] > 0.0 && x[2] > 0.0 { x[0] / x[1] } else { 1.0 }
    });

static LIMITED: Rule = Rule::new("lamb_limited", "min({0}, F(1.0))", |x, _| x[0].min(1.0));

impl Algorithm for LambOptions {
    const NAME: &'static str = "lamb";
    type Form = Form;

    fn check(&self) -> Result<()> {
        adam::check(Self::NAME, self.lr, self.eps, self.weight_decay, self.betas)?;
        match self.max_grad_norm {
            Some(most) if !(most > 0.0 && most.is_finite()) => {
                Err(Error::invalid(Self::NAME, format!("max_grad_norm is {most}; it must be finite and above 0")))
            }
            _ => Ok(()),
        }
    }

    fn form(&self) -> Form {
        Form { trust_clip: self.trust_clip, decoupled: self.decoupled_decay }
    }

    fn max_grad_norm(&self) -> Option<f64> {
        self.max_grad_norm
    }

    hyper!(Lr => lr, Momentum => betas.0, WeightDecay => weight_decay);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        vec![("exp_avg", 0.0), ("exp_avg_sq", 0.0)]
    }

    fn numbers(&self) -> Vec<Number> {
        let LambOptions { lr, betas: (beta1, beta2), eps, weight_decay, always_adapt, .. } = *self;
        let decay = if self.decoupled_decay { lr * weight_decay } else { weight_decay };
        let share = if self.grad_averaging { 1.0 - beta1 } else { 1.0 };
        let adapts = f64::from(u8::from(weight_decay != 0.0 || always_adapt));
        // Without a correction, the factors are those of infinitely many steps.
        let [of_beta1, of_beta2] =
            [beta1, beta2].map(|beta| if self.bias_correction { beta } else { 0.0 }).map(logarithm);
        vec![
            decay.into(),
            beta1.into(),
            share.into(),
            beta2.into(),
            (1.0 - beta2).into(),
            Number::OfStep(&STEP_SIZE, vec![1.0, of_beta1]),
            Number::OfStep(&CORRECTION, vec![of_beta2]),
            eps.into(),
            adapts.into(),
            lr.into(),
        ]
    }

    fn update(form: Form, mut step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [decay, beta1, share, beta2, new_square, factor, correction, eps, adapts, lr] =
            step.numbers()?.map(Tensor::clone);
        let [mean, square] = step.buffers()?;
        let mean = MEAN.of(&[mean, &step.gradient, &beta1, &share], [])?;
        let square = SQUARE.of(&[square, &step.gradient, &beta2, &new_square], [])?;
        let direction = DIRECTION.of(&[&mean, &square, &factor, &correction, &eps], [])?;
        let (value, direction) = match form.decoupled {
            true => (MINUS.of(&[&step.value, &decay, &step.value], [])?, direction),
            false => (step.value.clone(), PLUS.of(&[&direction, &decay, &step.value], [])?),
        };
        let mut ratio = RATIO.of(&[&step.norms(&value)?, &step.norms(&direction)?, &adapts], [])?;
        if form.trust_clip {
            ratio = LIMITED.of(&[&ratio], [])?;
        }
        let value = MINUS.of(&[&value, &lr, &direction.mul(&ratio)?], [])?;
        Ok((value, vec![mean, square]))
    }
}
