//! The numbers of a step for each element of a pack: the same everywhere, or by groups.

use super::algorithm::Number;
use super::bundle::Bundle;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::table;
use crate::shape::Shape;

/// The numbers of `groups`, those of the bundle, as `[blocks, of_block]`: each block has its group's, `of_block` times. That is a
/// multiple of 4, as [`table`] requires.
///
/// Numbers that follow from the step's number are computed in double precision while the host knows that number: only the device
/// knows it once a step may have been stopped there.
#[track_caller]
pub(super) fn numbers(bundle: &mut Bundle, steps: u64, groups: &[Vec<Number>], of_block: usize) -> Result<Vec<Tensor>> {
    let blocks = bundle.parameters.value().shape()[0];
    let shape = Shape::new(&[blocks, of_block])?;
    let on_device = match &bundle.stopped {
        Some(stopped) => {
            let steps = Tensor::full(stopped.device(), stopped.shape(), steps as f32)?.sub(stopped)?;
            Some(steps.expand_to(shape, "step")?)
        }
        None => None,
    };
    let mut spread = Spread { bundle, shape, count: 0 };
    let number = |number: usize| match (&groups[0][number], &on_device) {
        (&Number::OfStep(rule, ref numbers), Some(steps)) => {
            let mut elements = vec![steps.clone()];
            for at in 0..numbers.len() {
                elements.push(spread.number(groups.iter().map(|group| group[number].numbers()[at]).collect())?);
            }
            rule.of(&elements.iter().collect::<Vec<_>>(), [])
        }
        _ => spread.number(groups.iter().map(|group| group[number].known(steps)).collect()),
    };
    (0..groups[0].len()).map(number).collect()
}

impl Number {
    /// The number at a step.
    fn known(&self, steps: u64) -> f64 {
        match self {
            Number::Known(number) => *number,
            Number::OfStep(rule, numbers) => {
                let elements: Vec<f64> = [steps as f64].into_iter().chain(numbers.iter().copied()).collect();
                rule.exact(&elements, &[])
            }
        }
    }

    /// The arguments of its formula.
    fn numbers(&self) -> &[f64] {
        match self {
            Number::Known(number) => std::slice::from_ref(number),
            Number::OfStep(_, numbers) => numbers,
        }
    }
}

/// Numbers to be spread over elements.
struct Spread<'a> {
    bundle: &'a mut Bundle,
    /// Shape of the result.
    shape: Shape,
    /// Number of the numbers.
    count: usize,
}

impl Spread<'_> {
    /// A number that all groups share is a constant; any other is looked up by each block for its group. A number that has ever
    /// differed stays of the latter kind: schedules make rates equal and different again, and that should not need new plans.
    #[track_caller]
    fn number(&mut self, of_groups: Vec<f64>) -> Result<Tensor> {
        let Spread { bundle, shape, count } = self;
        if bundle.varied.len() <= *count {
            bundle.varied.push(false);
        }
        let varied = &mut bundle.varied[*count];
        *count += 1;
        *varied |= of_groups.iter().any(|&number| number != of_groups[0]);
        match &bundle.group_of {
            Some(group_of) if *varied => table(&of_groups, &group_of.narrow(1, 0, shape[1])?),
            _ => Tensor::full(bundle.parameters.value().device(), shape, nearest::<f32>(of_groups[0])),
        }
    }
}
