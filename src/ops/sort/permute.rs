//! Moves elements back to their source: the gradient of a sort.

use crate::device::Adapter;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("sort/permute");

/// `output[o, index[o, j, i], i] = input[o, j, i]`, where each row of the index is a permutation; `back` undoes it.
#[derive(Clone, Debug, Hash)]
pub(super) struct Permute {
    pub back: bool,
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "sort_backward"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let output = &io.outputs[0];
        let count = output.shape.numel();
        Ok(Kernel::new("permute", TEMPLATE)
            .constant("BACK", self.back)
            .alias("Element", output.dtype.wgsl())
            .bind("input", Operand::Input(0))
            .bind("index", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .values(&[count, output.shape[1], output.shape[2]])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let (length, inner) = (input.shape[1], input.shape[2]);
        let mut values = vec![0.0; input.values.len()];
        for (at, &place) in index.values.iter().enumerate() {
            let other = (at / inner / length * length + nearest::<usize>(place)) * inner + at % inner;
            let (to, from) = if self.back { (at, other) } else { (other, at) };
            values[to] = input.values[from];
        }
        Ok(vec![HostTensor::new(input.shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let index = context.input(1);
        let gradient = context.of(0, |g| record_one(Permute { back: !self.back }, &[&g.contiguous()?, index]))?;
        Ok(vec![gradient, None])
    }
}
