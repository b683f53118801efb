//! RMSprop.

use super::adam::{MEAN, SQUARE};
use super::algorithm::{Algorithm, MINUS, Number, Step};
use super::options::{hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`RmsProp`]; the defaults are PyTorch's.
    RmsPropOptions {
        /// Learning rate.
        lr: f64 = 1e-2,
        /// Decay rate of the averages.
        alpha: f64 = 0.99,
        /// Keeps the denominator above 0.
        eps: f64 = 1e-8,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// The share of the last direction that is kept.
        momentum: f64 = 0.0,
        /// Divides by the standard deviation instead of the root of the mean square.
        centered: bool = false,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// RMSprop (Tieleman and Hinton, 2012), centred as by Graves (2013).
///
/// With gradient `g' = g + weight_decay p`: `v = alpha v + (1 - alpha) g'^2` and `d = sqrt(v) + eps`; where `centered`,
/// `a = a + (1 - alpha) (g' - a)` and `d = sqrt(v - a^2) + eps`. Without a momentum `p` becomes `p - lr g' / d`; with one,
/// `b = momentum b + g' / d`, and `p` becomes `p - lr b`.
pub type RmsProp = Engine<RmsPropOptions>;

/// The formula of an RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    has_momentum: bool,
    centered: bool,
}

static SPREAD: Rule = Rule::new("rmsprop_spread", "max({0} - {1} * {1}, F(0.0))", |x, _| (x[0] - x[1] * x[1]).max(0.0));

static DIRECTION: Rule =
    Rule::new("rmsprop_direction", "({0} / (sqrt({1}) + {2}))", |x, _| x[0] / (x[1].sqrt() + x[2]));

static BUFFER: Rule = Rule::new("rmsprop_buffer", "({0} * {2} + {1})", |x, _| x[0] * x[2] + x[1]);

impl Algorithm for RmsPropOptions {
    const NAME: &'static str = "rmsprop";
    type Form = Form;

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, eps, momentum, weight_decay, alpha)
    }

    fn form(&self) -> Form {
        Form { has_momentum: self.momentum != 0.0, centered: self.centered }
    }

    hyper!(Lr => lr, Momentum => momentum, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        let mut buffers = vec![("square_avg", 0.0)];
        buffers.extend(self.centered.then_some(("grad_avg", 0.0)));
        buffers.extend(self.form().has_momentum.then_some(("momentum_buffer", 0.0)));
        buffers
    }

    fn numbers(&self) -> Vec<Number> {
        let RmsPropOptions { lr, alpha, eps, weight_decay, momentum, .. } = *self;
        [weight_decay, alpha, 1.0 - alpha, eps, momentum, lr].map(Number::from).to_vec()
    }

    fn update(form: Form, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [weight_decay, alpha, share, eps, momentum, lr] = step.numbers()?;
        let gradient = step.decayed(weight_decay)?;
        let mut buffers = vec![SQUARE.of(&[&step.buffers[0], &gradient, alpha, share], [])?];
        let mut square = buffers[0].clone();
        if form.centered {
            let mean = MEAN.of(&[&step.buffers[1], &gradient, share], [])?;
            square = SPREAD.of(&[&square, &mean], [])?;
            buffers.push(mean);
        }
        let mut direction = DIRECTION.of(&[&gradient, &square, eps], [])?;
        if form.has_momentum {
            direction = BUFFER.of(&[&step.buffers[buffers.len()], &direction, momentum], [])?;
            buffers.push(direction.clone());
        }
        Ok((MINUS.of(&[&step.value, lr, &direction], [])?, buffers))
    }
}
