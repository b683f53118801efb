//! Sums over runs of neighbouring elements, of any number and length: reductions by parameters that share a pack.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("reduce/run_sums");

#[derive(Debug)]
struct RunSums;

impl Op for RunSums {
    fn name(&self) -> &'static str {
        "run_sums"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (input, runs) = (&inputs[0], &inputs[1]);
        if !input.dtype.is_float() {
            return Err(Error::WrongDType { op: self.name(), expected: "floats", got: input.dtype });
        }
        if runs.dtype != DType::I32 || runs.shape.len() != 2 || runs.shape[1] != 2 {
            let rule =
                format!("runs are i32 [R, 2], a first element and a length each; got {} {}", runs.shape, runs.dtype);
            return Err(Error::invalid(self.name(), rule));
        }
        Ok(vec![Layout::contiguous(Shape::new(&[runs.shape[0]])?, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (runs, elements) = (io.inputs[1].shape[0], io.inputs[0].shape.numel());
        Ok(Kernel::new("run_sums", TEMPLATE)
            .alias("Element", io.inputs[0].dtype.wgsl())
            .bind("input", Operand::Input(0))
            .bind("runs", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .loads("load_input", Operand::Input(0), elements)
            .values(&[runs])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(runs, 1))
            .work(elements)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let sum = |run: &[f64; 2]| {
            let [first, length] = run.map(nearest::<usize>);
            inputs[0].values[first..first + length].iter().sum()
        };
        let sums: Vec<f64> = inputs[1].values.as_chunks().0.iter().map(sum).collect();
        Ok(vec![HostTensor::new(Shape::new(&[sums.len()])?, DType::F32, sums)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

impl Tensor {
    /// For each row `(first, length)` of i32 `runs` `[R, 2]` the sum of `length` elements from `first` on, in f32: `[R]`. Runs
    /// must lie within the tensor. Runs shorter than some thousand elements add up without loss of digits.
    #[track_caller]
    pub(crate) fn run_sums(&self, runs: &Tensor) -> Result<Tensor> {
        record_one(RunSums, &[&self.contiguous()?, &runs.contiguous()?])
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of_runs = |x: &[Tensor]| {
        let runs = [0, 1, 3, 64, 67, 65, 130, 0, 0, 1000, 999, 1, 1, 300];
        Ok(vec![x[0].run_sums(&Tensor::from_slice(x[0].device(), &runs, &[7, 2])?)?])
    };
    vec![
        Case::new("run_sums", &[&[1000]], of_runs).no_gradient(),
        Case::new("run_sums", &[&[40, 25]], move |x| of_runs(&[x[0].t()?])).no_gradient(),
        Case::new("run_sums", &[&[8, 125]], move |x| of_runs(&[x[0].mul(&x[0])?])).no_gradient(),
        Case::new("run_sums", &[&[1000]], move |x| of_runs(&[x[0].to_dtype(DType::F16)?])).half().no_gradient(),
    ]
}
