//! Stochastic gradient descent.

use super::Optimizer;
use super::slots::{Slots, Update, at_least_zero};
use crate::error::{Error, Result};
use crate::graph::Parameter;
use crate::number::nearest;

/// What [`Sgd`] is set to; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    /// Learning rate.
    pub lr: f64,
    /// How much of the last direction is kept.
    pub momentum: f64,
    /// How much less of a new gradient goes into the direction.
    pub dampening: f64,
    /// Pulls the parameters to 0.
    pub weight_decay: f64,
    /// Looks one step ahead (Nesterov); needs a momentum and no dampening.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> SgdOptions {
        SgdOptions { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

/// Stochastic gradient descent with momentum, as PyTorch's `SGD`.
///
/// With gradient `g' = g + weight_decay p` and direction `b = momentum b + (1 - dampening) g'` (at the first step
/// `b = g'`), `p` becomes `p - lr b`; with `nesterov`, `p - lr (g' + momentum b)`; without momentum, `p - lr g'`.
pub struct Sgd {
    slots: Slots,
    options: SgdOptions,
}

impl Sgd {
    /// An optimizer for the trained ones of `parameters`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there are none, two have one name, or an option is out of its range.
    pub fn new(parameters: Vec<Parameter>, options: SgdOptions) -> Result<Sgd> {
        const OP: &str = "sgd";
        at_least_zero(OP, "lr", options.lr)?;
        at_least_zero(OP, "momentum", options.momentum)?;
        at_least_zero(OP, "weight_decay", options.weight_decay)?;
        if options.nesterov && (options.momentum == 0.0 || options.dampening != 0.0) {
            return Err(Error::invalid(OP, "nesterov needs a momentum and no dampening"));
        }
        let buffers: &[&str] = if options.momentum == 0.0 { &[] } else { &["momentum_buffer"] };
        Ok(Sgd { slots: Slots::new(OP, parameters, buffers)?, options })
    }
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }
    #[track_caller]
    fn step(&mut self) -> Result<()> {
        let SgdOptions { lr, momentum, dampening, weight_decay, nesterov } = self.options;
        self.slots.step(|Update { value, gradient, mut buffers, steps }| {
            let mut direction = gradient;
            if weight_decay != 0.0 {
                direction = direction.add(&value.mul_scalar(nearest(weight_decay))?)?;
            }
            if let [buffer] = &mut buffers[..] {
                // The first step takes the gradient whole; as a number, so that it needs no plan of its own.
                let share = if steps == 1 { 1.0 } else { 1.0 - dampening };
                *buffer = buffer.mul_scalar(nearest(momentum))?.add(&direction.mul_scalar(nearest(share))?)?;
                direction =
                    if nesterov { direction.add(&buffer.mul_scalar(nearest(momentum))?)? } else { buffer.clone() };
            }
            Ok((value.sub(&direction.mul_scalar(nearest(lr))?)?, buffers))
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
        self.slots.set_steps("sgd", steps)
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
