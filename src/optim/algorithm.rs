//! The part of an optimizer that is its own: options, state, and a formula over packs.

use super::Hyper;
use super::bundle::Bundle;
use crate::error::{Error, Result};
use crate::graph::{Segment, Tensor};
use crate::ops::rule::Rule;
use crate::shape::Shape;
use std::fmt::Debug;

/// The options of one kind of optimizer, and the formula they belong to.
pub trait Algorithm: Clone + Debug + Send + Sync + 'static {
    /// The optimizer's short name, in errors and checkpoints.
    const NAME: &'static str;

    /// The part of the options that decides what is computed, where the rest are numbers it is computed with. Parameters
    /// of groups with one form lie in one pack.
    type Form: Copy + Debug + PartialEq + Send + Sync;

    /// Refuses options out of their ranges.
    fn check(&self) -> Result<()>;

    /// Refuses parameters that it can't change.
    fn check_parameter(_name: &str, _shape: &Shape) -> Result<()> {
        Ok(())
    }

    fn form(&self) -> Self::Form;

    /// True where the gradient is followed upwards.
    fn maximize(&self) -> bool {
        false
    }

    /// The largest norm of all gradients together, where the options of the first group limit it.
    fn max_grad_norm(&self) -> Option<f64> {
        None
    }

    /// An option that schedules change, where the algorithm has it.
    fn hyper(&mut self, hyper: Hyper) -> Option<&mut f64>;

    /// The state of each parameter, and the number it starts with; as many for all options of one form.
    fn buffers(&self) -> Vec<(&'static str, f64)>;

    /// The numbers of a step; as many for all options of one form.
    fn numbers(&self) -> Vec<Number>;

    /// New values and buffers of a pack.
    fn update(form: Self::Form, step: Step) -> Result<(Tensor, Vec<Tensor>)>;
}

/// A number that a step is computed with.
#[derive(Clone, Debug)]
pub enum Number {
    Known(f64),
    /// A formula of the number of the step, counted from 1, and of these. Its elements are `{0}`, `{1}`, ..
    OfStep(&'static Rule, Vec<f64>),
}

impl From<f64> for Number {
    fn from(number: f64) -> Number {
        Number::Known(number)
    }
}

/// A step of parameters that lie side by side. All tensors are f32 and of one shape, `[blocks, 128]`.
pub struct Step<'a> {
    pub value: Tensor,
    pub gradient: Tensor,
    pub buffers: Vec<Tensor>,
    /// For each element what [`Algorithm::numbers`] are.
    pub numbers: Vec<Tensor>,
    pub(super) bundle: &'a mut Bundle,
}

static SQUARE: Rule = Rule::new("norm_square", "({0} * {0})", |x, _| x[0] * x[0]);

/// `a + b c`.
pub static PLUS: Rule = Rule::new("plus", "({0} + {1} * {2})", |x, _| x[0] + x[1] * x[2]);

/// `a - b c`.
pub static MINUS: Rule = Rule::new("minus", "({0} - {1} * {2})", |x, _| x[0] - x[1] * x[2]);

impl Step<'_> {
    /// The numbers of the step, of which there must be so many.
    pub fn numbers<const N: usize>(&self) -> Result<[&Tensor; N]> {
        all(&self.numbers)
    }

    /// The buffers, of which there must be so many.
    pub fn buffers<const N: usize>(&self) -> Result<[&Tensor; N]> {
        all(&self.buffers)
    }

    /// The value, decayed where that is decoupled, and the gradient, with the decay on top where not.
    pub fn with_decay(&self, decoupled: bool, decay: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok(match decoupled {
            true => (MINUS.of(&[&self.value, decay, &self.value], [])?, self.gradient.clone()),
            false => (self.value.clone(), self.decayed(decay)?),
        })
    }

    /// For each element the norm of its parameter's part of a tensor.
    pub fn norms(&mut self, elements: &Tensor) -> Result<Tensor> {
        self.bundle.runs()?.by_parameter(&SQUARE.of(&[elements], [])?)?.sqrt()
    }

    /// The parameters' parts of a tensor.
    pub fn parts(&self, elements: &Tensor) -> Result<Vec<Tensor>> {
        let flat = elements.reshape(&[-1])?;
        let part = |&Segment { start, shape }: &Segment| flat.narrow(0, start, shape.numel())?.reshape_to(shape);
        self.bundle.parameters.segments().iter().map(part).collect()
    }

    /// Parts for each parameter side by side.
    pub fn packed(&self, parts: &[Tensor]) -> Result<Tensor> {
        self.bundle.gradient(parts)
    }

    /// The gradient with a decay on top: `g + decay p`.
    pub fn decayed(&self, decay: &Tensor) -> Result<Tensor> {
        PLUS.of(&[&self.gradient, decay, &self.value], [])
    }
}

fn all<const N: usize>(tensors: &[Tensor]) -> Result<[&Tensor; N]> {
    let reason = || format!("{} numbers or buffers for {N}", tensors.len());
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    tensors.try_into().map_err(|_| Error::Internal { op: "step", reason: reason() })
}
