//! The adjoint of a padding along one dimension.

use super::{Map, Mode};
use crate::device::Adapter;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const PAD_BACKWARD: &str = wgsl!("shape/pad_backward");

/// `output[n, i, k] = sum over o with source(o) = i of input[n, o, k]`.
#[derive(Clone, Debug)]
struct PadBackward {
    mode: Mode,
    size: usize,
    /// The number of elements put before, as i32.
    before: [u32; 1],
}

impl Op for PadBackward {
    fn name(&self) -> &'static str {
        "pad_backward"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.mode, self.size), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.before
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0].shape;
        Ok(vec![Layout::contiguous(Shape::new(&[input[0], self.size, input[2]])?, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (input, output) = (&io.inputs[0], &io.outputs[0]);
        let count = output.shape.numel();
        Ok(Kernel::new("pad_backward", PAD_BACKWARD)
            .alias("Element", output.dtype.wgsl())
            .constant("MODE", format!("{}u", self.mode as u32))
            .size("SIZE", self.size.max(1))
            .size("OUT", input.shape[1])
            .size("INNER", input.shape[2].max(1))
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[count])
            .words([Word::Offset(0), Word::Scalar(0)])
            .grid(fold_groups(count, 64))
            .work(input.shape.numel())
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let (padded, inner) = (input.shape[1], input.shape[2]);
        let shape = Shape::new(&[input.shape[0], self.size, inner])?;
        let mut values = vec![0.0; shape.numel()];
        for (at, value) in input.values.iter().enumerate() {
            let (row, o) = (at / (padded * inner), at / inner % padded);
            if let Some(i) = self.mode.source(o, self.before[0] as i32 as isize, self.size) {
                values[(row * self.size + i) * inner + at % inner] += value;
            }
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let out = context.input(0).shape()[1];
        let map = Map { mode: self.mode, out, before: self.before[0] as i32 as isize };
        Ok(vec![context.of(0, |g| g.remap("pad", 1, &[map], 0.0))?])
    }
}

impl Tensor {
    #[track_caller]
    pub(super) fn pad_backward(&self, mode: Mode, dim: usize, size: usize, before: isize) -> Result<Tensor> {
        let mut shape = self.shape().to_vec();
        let three = self.contiguous()?.reshape_to(self.shape().around(dim)?)?;
        shape[dim] = size;
        let op = PadBackward { mode, size, before: [nearest::<i32>(before).cast_unsigned()] };
        record_one(op, &[&three])?.reshape_to(Shape::new(&shape)?)
    }
}
