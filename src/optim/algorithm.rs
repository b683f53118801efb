//! The interface of an optimizer's algorithm: options, state, and a formula over packs.

use super::Hyper;
use super::bundle::{Bundle, packed};
use super::numbers::numbers;
use crate::error::{Error, Result};
use crate::graph::{Pack, Segment, Tensor};
use crate::ops::PACK_ALIGNMENT;
use crate::ops::Rule;
use crate::shape::Shape;
use std::fmt::Debug;

/// The options of one kind of optimizer, and its formula.
pub trait Algorithm: Clone + Debug + Send + Sync + 'static {
    /// The optimizer's short name, in errors and checkpoints.
    const NAME: &'static str;

    /// The options that decide which formula is computed; all others are numbers in it. Parameters of groups with one form lie in
    /// one pack.
    type Form: Copy + Debug + PartialEq + Send + Sync;

    /// Refuses options out of their ranges.
    fn check(&self) -> Result<()>;

    /// Refuses parameters that it can't change.
    fn check_parameter(_name: &str, _shape: &Shape) -> Result<()> {
        Ok(())
    }

    fn form(&self) -> Self::Form;

    /// True if the gradient is followed upwards.
    fn maximize(&self) -> bool {
        false
    }

    /// The largest norm of all gradients together, if the options of the first group limit it.
    fn max_grad_norm(&self) -> Option<f64> {
        None
    }

    /// An option that schedules change, if the algorithm has it.
    fn hyper(&mut self, hyper: Hyper) -> Option<&mut f64>;

    /// The state of each parameter, and its initial value; the same number of buffers for all options of one form.
    fn buffers(&self) -> Vec<(&'static str, f64)>;

    /// The shape of a buffer of a parameter of this shape, or `None` if such a parameter has no such buffer. Parameters with the
    /// same number of buffers lie in one pack, so those must be the same buffers.
    fn buffer_shape(_buffer: &str, shape: &Shape) -> Option<Shape> {
        Some(*shape)
    }

    /// The numbers of a step; equally many for all options of one form.
    fn numbers(&self) -> Vec<Number>;

    /// New values and buffers of a pack.
    fn update(form: Self::Form, step: Step) -> Result<(Tensor, Vec<Tensor>)>;
}

/// A number in a step's formula.
#[derive(Clone, Debug)]
pub enum Number {
    Known(f64),
    /// A formula of the number of the step, counted from 1, and of these numbers. Its arguments are `{0}`, `{1}`, ..
    OfStep(&'static Rule, Vec<f64>),
}

impl From<f64> for Number {
    fn from(number: f64) -> Number {
        Number::Known(number)
    }
}

/// A step of parameters that lie side by side. All tensors are f32, `[blocks, 128]`; buffers with their own shapes have their own
/// number of blocks.
pub struct Step<'a> {
    pub value: Tensor,
    pub gradient: Tensor,
    pub buffers: Vec<Tensor>,
    /// The values of [`Algorithm::numbers`] for each element.
    pub numbers: Vec<Tensor>,
    /// The number of this step, from 1, if none was stopped.
    pub(super) steps: u64,
    /// [`Algorithm::numbers`] of the groups.
    pub(super) of_groups: Vec<Vec<Number>>,
    pub(super) bundle: &'a mut Bundle,
}

static SQUARE: Rule = Rule::new("norm_square", "({0} * {0})", |x, _| x[0] * x[0]);

/// `a + b c`.
pub static PLUS: Rule = Rule::new("plus", "({0} + {1} * {2})", |x, _| x[0] + x[1] * x[2]);

/// `a - b c`.
pub static MINUS: Rule = Rule::new("minus", "({0} - {1} * {2})", |x, _| x[0] - x[1] * x[2]);

impl Step<'_> {
    /// The numbers of the step; an error unless there are `N`.
    pub fn numbers<const N: usize>(&self) -> Result<[&Tensor; N]> {
        all(&self.numbers)
    }

    /// The buffers; an error unless there are `N`.
    pub fn buffers<const N: usize>(&self) -> Result<[&Tensor; N]> {
        all(&self.buffers)
    }

    /// The value, decayed if the decay is decoupled, and the gradient, with the decay added otherwise.
    pub fn with_decay(&self, decoupled: bool, decay: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok(match decoupled {
            true => (MINUS.of(&[&self.value, decay, &self.value], [])?, self.gradient.clone()),
            false => (self.value.clone(), self.decayed(decay)?),
        })
    }

    /// For each element the norm of its parameter in a tensor.
    pub fn norms(&mut self, elements: &Tensor) -> Result<Tensor> {
        self.bundle.runs()?.sum_by_parameter(&SQUARE.of(&[elements], [])?)?.sqrt()
    }

    /// For each element the mean square of its parameter in a tensor.
    pub fn mean_squares(&mut self, elements: &Tensor) -> Result<Tensor> {
        self.bundle.runs()?.mean_by_parameter(&SQUARE.of(&[elements], [])?)
    }

    /// Splits a tensor into the parameters' parts.
    pub fn parts(&self, elements: &Tensor) -> Result<Vec<Tensor>> {
        parts(&self.bundle.parameters, elements)
    }

    /// Joins one part for each parameter.
    pub fn packed(&self, parts: &[Tensor]) -> Result<Tensor> {
        packed(&self.bundle.parameters, parts)
    }

    /// The values of [`Algorithm::numbers`] for each parameter, `[1, 1]`.
    pub fn part_numbers<const N: usize>(&mut self) -> Result<[Vec<Tensor>; N]> {
        // As few for each block as a table can hold.
        let numbers = numbers(self.bundle, self.steps, &self.of_groups, 4)?;
        let segments = self.bundle.parameters.segments();
        let first =
            |number: &Tensor, segment: &Segment| number.narrow(0, segment.start / PACK_ALIGNMENT, 1)?.narrow(1, 0, 1);
        let of_each = all::<N>(&numbers)?.map(|number| segments.iter().map(|segment| first(number, segment)).collect());
        let of_each: Vec<Vec<Tensor>> = of_each.into_iter().collect::<Result<_>>()?;
        Ok(std::array::from_fn(|number| of_each[number].clone()))
    }

    /// Splits a buffer into the parameters' parts.
    pub fn buffer_parts(&self, buffer: usize) -> Result<Vec<Tensor>> {
        parts(&self.bundle.buffers[buffer], &self.buffers[buffer])
    }

    /// Joins the parts of a buffer.
    pub fn packed_buffer(&self, buffer: usize, parts: &[Tensor]) -> Result<Tensor> {
        packed(&self.bundle.buffers[buffer], parts)
    }

    /// The gradient with the decay added: `g + decay p`.
    pub fn decayed(&self, decay: &Tensor) -> Result<Tensor> {
        PLUS.of(&[&self.gradient, decay, &self.value], [])
    }
}

/// The members' parts of a tensor that is laid out as a pack.
fn parts(like: &Pack, elements: &Tensor) -> Result<Vec<Tensor>> {
    let flat = elements.reshape(&[-1])?;
    let part = |&Segment { start, shape }: &Segment| flat.narrow(0, start, shape.numel())?.reshape_to(shape);
    like.segments().iter().map(part).collect()
}

/// Calls `formula` once for all parameters whose first parts are `[n, ..]` and agree in the sizes after `n`. It gets the parts
/// joined along the first dimension, and its results are split likewise: parts for each parameter.
#[track_caller]
pub fn by_sizes<const I: usize, const O: usize>(
    parts: &[[Tensor; I]],
    formula: impl Fn([&Tensor; I]) -> Result<[Tensor; O]>,
) -> Result<[Vec<Tensor>; O]> {
    let mut results: Vec<Vec<Tensor>> = vec![Vec::new(); parts.len()];
    let sizes = |at: usize| &parts[at][0].shape()[1..];
    for first in 0..parts.len() {
        if !results[first].is_empty() {
            continue;
        }
        let alike: Vec<usize> = (first..parts.len()).filter(|&at| sizes(at) == sizes(first)).collect();
        let joined = |input: usize| Tensor::cat(&alike.iter().map(|&at| &parts[at][input]).collect::<Vec<_>>(), 0);
        let outputs = formula(all(&(0..I).map(joined).collect::<Result<Vec<_>>>()?)?)?;
        let mut start = 0;
        for at in alike {
            let count = parts[at][0].shape()[0];
            results[at] = outputs.iter().map(|output| output.narrow(0, start, count)).collect::<Result<_>>()?;
            start += count;
        }
    }
    Ok(std::array::from_fn(|output| results.iter().map(|of_part| of_part[output].clone()).collect()))
}

fn all<const N: usize>(tensors: &[Tensor]) -> Result<[&Tensor; N]> {
    let reason = || format!("{} numbers or buffers for {N}", tensors.len());
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    tensors.try_into().map_err(|_| Error::Internal { op: "step", reason: reason() })
}
