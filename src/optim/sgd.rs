//! Stochastic gradient descent.

use super::algorithm::{Algorithm, MINUS, Number, PLUS, Step};
use super::options::{at_least_zero, hyper, options, ranges};
use super::{Engine, Hyper};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Rule;

options! {
    /// Options of [`Sgd`]; the defaults are PyTorch's.
    SgdOptions {
        /// Learning rate.
        lr: f64 = 1e-3,
        /// The share of the last direction that is kept.
        momentum: f64 = 0.0,
        /// The share of a new gradient that is left out of the direction.
        dampening: f64 = 0.0,
        /// Pulls the parameters to 0.
        weight_decay: f64 = 0.0,
        /// Looks one step ahead (Nesterov); needs a momentum and no dampening.
        nesterov: bool = false,
        /// Follows the gradient upwards.
        maximize: bool = false,
    }
}

/// Stochastic gradient descent with momentum, as PyTorch's `SGD`.
///
/// With gradient `g' = g + weight_decay p` and direction `b = momentum b + (1 - dampening) g'` (at the first step
/// `b = g'`), `p` becomes `p - lr b`; with `nesterov`, `p - lr (g' + momentum b)`; without momentum, `p - lr g'`.
///
/// ```
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let mut sgd = Sgd::new(vec![x.clone()], SgdOptions::default().lr(0.25))?;
/// x.value().square()?.backward()?;
/// sgd.step()?;
/// sgd.zero_grad();
/// assert_eq!(x.value().item::<f32>()?, 2.0); // 4 - 0.25 * 8
/// # Ok::<(), wgrad::Error>(())
/// ```
pub type Sgd = Engine<SgdOptions>;

/// The formula of an SGD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    pub(super) has_momentum: bool,
    pub(super) nesterov: bool,
}

/// The weight of the gradient in the direction: 1 at the first step.
static SHARE: Rule =
    Rule::new(
        "sgd_share",
        "select(F(1.0) - {1}, F(1.0), {0} < F(1.5))",
        |x, _| {
            if x[0] < 1.5 { 1.0 } else { 1.0 - x[1] }
        },
    );

static DIRECTION: Rule = Rule::new("sgd_direction", "({0} * {2} + {1} * {3})", |x, _| x[0] * x[2] + x[1] * x[3]);

/// Refuses options of the direction that are out of their ranges or contradict each other.
pub(super) fn check_direction(op: &'static str, momentum: f64, dampening: f64, nesterov: bool) -> Result<()> {
    at_least_zero(op, "momentum", momentum)?;
    if !dampening.is_finite() {
        return Err(Error::invalid(op, format!("dampening is {dampening}; it must be finite")));
    }
    if nesterov && (momentum == 0.0 || dampening != 0.0) {
        return Err(Error::invalid(op, "nesterov needs a momentum and no dampening"));
    }
    Ok(())
}

/// The weight of a gradient in the direction, a number of a step.
pub(super) fn share(dampening: f64) -> Number {
    Number::OfStep(&SHARE, vec![dampening])
}

/// A step along the direction, after the gradient, with decays and ratios included, has moved it.
pub(super) fn moved(
    form: Form,
    step: &Step,
    gradient: &Tensor,
    [lr, momentum, share]: [&Tensor; 3],
) -> Result<(Tensor, Vec<Tensor>)> {
    if !form.has_momentum {
        return Ok((MINUS.of(&[&step.value, lr, gradient], [])?, Vec::new()));
    }
    let [last] = step.buffers()?;
    let direction = DIRECTION.of(&[last, gradient, momentum, share], [])?;
    let way = if form.nesterov { PLUS.of(&[gradient, momentum, &direction], [])? } else { direction.clone() };
    Ok((MINUS.of(&[&step.value, lr, &way], [])?, vec![direction]))
}

impl Algorithm for SgdOptions {
    const NAME: &'static str = "sgd";
    type Form = Form;

    fn check(&self) -> Result<()> {
        ranges!(self; at_least_zero: lr, weight_decay)?;
        check_direction(Self::NAME, self.momentum, self.dampening, self.nesterov)
    }

    fn form(&self) -> Form {
        Form { has_momentum: self.momentum != 0.0, nesterov: self.nesterov }
    }

    hyper!(Lr => lr, Momentum => momentum, WeightDecay => weight_decay; maximize);

    fn buffers(&self) -> Vec<(&'static str, f64)> {
        if self.form().has_momentum { vec![("momentum_buffer", 0.0)] } else { Vec::new() }
    }

    fn numbers(&self) -> Vec<Number> {
        vec![self.lr.into(), self.weight_decay.into(), self.momentum.into(), share(self.dampening)]
    }

    fn update(form: Form, step: Step) -> Result<(Tensor, Vec<Tensor>)> {
        let [lr, weight_decay, momentum, share] = step.numbers()?;
        moved(form, &step, &step.decayed(weight_decay)?, [lr, momentum, share])
    }
}
