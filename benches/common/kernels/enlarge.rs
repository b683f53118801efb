//! Every operation at a size that keeps an adapter busy, made from the cases of its tests: a new operation has a benchmark with
//! its first case.

use super::workload::Workload;
use std::collections::HashSet;
use wgrad::ops::case::{Case, Input};
use wgrad::{DType, Device, Result, Tensor, no_grad};

/// Approximate number of elements to which inputs are enlarged; and the most that inputs and outputs may have.
const ELEMENTS: usize = 1 << 20;
const MOST: usize = 1 << 24;

/// Operations whose work or temporary values grow faster than their inputs, which record one kernel for each element of the
/// outermost dimension, or whose inputs hold indices that no longer fit.
const AS_THEY_ARE: &[&str] =
    &["ctc_loss", "gru", "max_unpool3d", "multilabel_margin_loss", "nms", "rnn_relu", "rnn_tanh"];

/// A workload for each operation that is not `done`, from the first of its cases that can be enlarged; from its first case if
/// none can, and in quick mode.
pub fn others(cases: Vec<Case>, done: &HashSet<&str>, is_quick: bool) -> Vec<Workload> {
    let device = Device::reference();
    let mut by_op: Vec<Vec<Case>> = Vec::new();
    for case in cases.into_iter().filter(|case| !done.contains(case.op) && !case.needs_f16) {
        match by_op.iter_mut().find(|cases| cases[0].op == case.op) {
            Some(cases) => cases.push(case),
            None => by_op.push(vec![case]),
        }
    }
    let is_empty = |case: &Case| case.inputs.iter().any(|input| input.shape.contains(&0));
    let workload = |mut cases: Vec<Case>| {
        cases.sort_by_key(is_empty);
        let may_grow = !is_quick && !AS_THEY_ARE.contains(&cases[0].op);
        let found = (0..cases.len()).filter(|_| may_grow).find_map(|i| Some((i, enlarged(&cases[i], &device)?)));
        let (chosen, inputs) = found.unwrap_or_else(|| (0, cases[0].inputs.clone()));
        Workload::of(cases.swap_remove(chosen), inputs)
    };
    by_op.into_iter().map(workload).collect()
}

/// Larger inputs that a case accepts, if there are any: all sizes are enlarged if all shapes are equal, otherwise the outermost.
fn enlarged(case: &Case, device: &Device) -> Option<Vec<Input>> {
    let first = &case.inputs.first()?.shape;
    let outermost = *first.first()?;
    let all_equal = case.inputs.iter().all(|input| input.shape == *first);
    let whole: Option<&[usize]> = match first.len() {
        1 => Some(&[ELEMENTS]),
        2 => Some(&[1024, 1024]),
        3 => Some(&[64, 128, 128]),
        4 => Some(&[16, 64, 32, 32]),
        5 => Some(&[4, 16, 16, 32, 32]),
        _ => None,
    };
    let equal = whole.filter(|_| all_equal).map(|shape| {
        case.inputs.iter().map(|input| Input { shape: shape.to_vec(), ..input.clone() }).collect::<Vec<_>>()
    });
    let factor = ELEMENTS / first.iter().product::<usize>().max(1);
    let longer = || {
        let lengthen = |input: &Input| {
            let mut longer = input.clone();
            longer.shape.iter_mut().take(1).filter(|size| **size == outermost).for_each(|size| *size *= factor);
            longer
        };
        case.inputs.iter().map(lengthen).collect::<Vec<_>>()
    };
    equal.into_iter().chain(std::iter::once_with(longer)).find(|inputs| accepts(case, inputs, device).unwrap_or(false))
}

/// True if a case can be recorded with these inputs and stays within the limit. Shapes are checked when a call is recorded, so
/// nothing is computed.
fn accepts(case: &Case, inputs: &[Input], device: &Device) -> Result<bool> {
    let leaf = |input: &Input| match input.dtype {
        DType::F32 | DType::F16 => Tensor::full(device, &input.shape, 0.5f32),
        DType::Bool => Tensor::full(device, &input.shape, true),
        _ => Tensor::full(device, &input.shape, 0i32),
    };
    let leaves: Vec<Tensor> = inputs.iter().map(leaf).collect::<Result<_>>()?;
    let outputs = no_grad(|| (case.run)(&leaves))?;
    Ok(leaves.iter().chain(&outputs).map(Tensor::numel).sum::<usize>() <= MOST)
}
