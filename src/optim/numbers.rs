//! The numbers of a step, for each element of a pack: the same everywhere, or by groups.

use super::algorithm::Number;
use super::bundle::Bundle;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::table;

/// Tensors of `bundle`'s shape with the numbers of each group's members; `of_group` tells what those are.
///
/// A number that all groups share is a constant; of the others each block looks up its group's. One that has differed once
/// stays such: schedules bring rates together and apart, and that should make no other plan.
#[track_caller]
pub(super) fn numbers(bundle: &mut Bundle, steps: u64, of_group: impl Fn(usize) -> Vec<Number>) -> Result<Vec<Tensor>> {
    let known = |number| match number {
        Number::Known(number) => number,
        Number::OfStep(rule, numbers) => {
            let elements: Vec<f64> = [steps as f64].into_iter().chain(numbers).collect();
            rule.exact(&elements, &[])
        }
    };
    let groups: Vec<Vec<f64>> =
        bundle.groups.iter().map(|&group| of_group(group).into_iter().map(known).collect()).collect();
    let count = groups[0].len();
    bundle.varied.resize(count, false);
    for number in 0..count {
        bundle.varied[number] |= groups.iter().any(|group| group[number] != groups[0][number]);
    }
    let like = bundle.parameters.value();
    let number = |number: usize| match &bundle.group_of {
        Some(group_of) if bundle.varied[number] => {
            let of_groups: Vec<f64> = groups.iter().map(|group| group[number]).collect();
            table(&of_groups, group_of)
        }
        _ => Tensor::full(like.device(), like.shape(), nearest::<f32>(groups[0][number])),
    };
    (0..count).map(number).collect()
}
