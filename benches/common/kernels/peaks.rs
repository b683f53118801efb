//! The adapter's measured peaks: multiply-adds in registers, and copying.

use crate::common::Outcome;
use crate::common::timing::{Effort, Work, time_of};
use std::hash::Hasher;
use wgrad::custom::{Adapter, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, apply, fold_groups};
use wgrad::{DType, Device, Result, Shape, Tensor};

/// Multiply-adds of one invocation, as the shader's constants have them.
const CHAINED: usize = 8 * 16 * 256;

/// The adapter's measured limits.
#[derive(Clone, Copy, Debug)]
pub struct Peaks {
    /// Billions of floating-point operations a second, two for a multiply-add.
    pub gflops: f64,
    /// Billions of bytes a second, read and written together.
    pub gbps: f64,
}

impl Peaks {
    /// Measures both.
    pub fn of(device: &Device, effort: Effort, is_quick: bool) -> Outcome<Peaks> {
        let is_cpu = device.adapter().is_none_or(|adapter| adapter.is_cpu);
        // Some milliseconds of work on an adapter of either kind, and more bytes than its caches hold.
        let (invocations, elements) = match (is_quick, is_cpu) {
            (true, _) => (64, 1 << 10),
            (false, true) => (1 << 13, 1 << 24),
            (false, false) => (1 << 20, 1 << 26),
        };
        let numbers = Tensor::from_slice(device, &[0.5f32, 0.25], &[2])?;
        let many = Tensor::ones(device, &[elements])?;
        // The result is held until it is submitted: a dropped value is not computed.
        let multiply = || {
            let _result = apply(MultiplyAdd { invocations }, &[&numbers])?;
            device.flush()
        };
        let copy = || {
            let _result = apply(Copy, &[&many])?;
            device.flush()
        };
        device.sync()?;
        let seconds = time_of(&mut [Work::on(device, multiply), Work::on(device, copy)], effort)?;
        Ok(Peaks {
            gflops: 2.0 * (CHAINED * invocations) as f64 / seconds[0] / 1e9,
            gbps: 8.0 * elements as f64 / seconds[1] / 1e9,
        })
    }
}

/// Chains of multiply-adds that never leave the registers.
#[derive(Debug)]
struct MultiplyAdd {
    invocations: usize,
}

impl Op for MultiplyAdd {
    fn name(&self) -> &'static str {
        "multiply_add"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        state.write_usize(self.invocations);
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(Shape::new(&[self.invocations])?, DType::F32)])
    }
    fn kernels(&self, _: &Io, _: &Adapter) -> Result<Kernels> {
        Ok(Kernel::new("multiply_add", include_str!("multiply_add.wgsl"))
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .grid(fold_groups(self.invocations, 64))
            .work(2 * CHAINED * self.invocations)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (factor, term) = (inputs[0].values[0], inputs[0].values[1]);
        let chain = |start: usize| (0..CHAINED / 8).fold(start as f64, |x, _| x * factor + term);
        let values = (0..self.invocations).map(|index| (0..8).map(|i| chain(index + i)).sum()).collect();
        Ok(vec![HostTensor::new(Shape::new(&[self.invocations])?, DType::F32, values)])
    }
}

/// Copies every element.
#[derive(Debug)]
struct Copy;

impl Op for Copy {
    fn name(&self) -> &'static str {
        "peak_copy"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let quads = io.outputs[0].shape.numel() / 4;
        Ok(Kernel::new("peak_copy", include_str!("copy.wgsl"))
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[quads, 0, 0, 0])
            .grid(fold_groups(quads, 64))
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![inputs[0].clone()])
    }
}
