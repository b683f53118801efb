//! The positions of extremes.

use super::forms::reduction;
use super::{Kind, for_each_reduced, kept_dims};
use crate::device::Adapter;
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups, index_expr};
use crate::shape::Layout;
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("reduce/arg_reduce");

/// The position of the extreme along some dimensions, counted in row-major order over them.
#[derive(Clone, Debug, Hash)]
struct ArgReduce {
    kind: Kind,
    dims: Vec<usize>,
}

/// Elements that one invocation compares before the work is split.
const MOST_COMPARED: usize = 1024;

/// Invocations that keep an adapter busy; elements are split into chunks if there are fewer outputs than this.
const ENOUGH_INVOCATIONS: usize = 512;

/// Number of chunks into which each output's elements are split.
fn chunks(outputs: usize, length: usize) -> usize {
    let for_loops = length.div_ceil(MOST_COMPARED);
    let for_invocations = (ENOUGH_INVOCATIONS / outputs.max(1)).min(length / 32);
    for_loops.max(for_invocations).max(1)
}

impl Op for ArgReduce {
    fn name(&self) -> &'static str {
        if self.kind == Kind::Max { "argmax" } else { "argmin" }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn differentiable(&self) -> bool {
        false
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        if self.dims.iter().any(|&d| input.shape[d] == 0) {
            return Err(Error::invalid(self.name(), format!("nothing to choose from: {} is empty there", input.shape)));
        }
        Ok(vec![Layout::contiguous(input.shape.without(&self.dims, true), DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let input = &io.inputs[0];
        let outputs = io.outputs[0].shape.numel();
        let mut length: usize = self.dims.iter().map(|&d| input.shape[d]).product();
        let kept = kept_dims(input.shape.len(), &self.dims);
        let [row, element] = [("index", &kept), ("element", &self.dims)]
            .map(|(index, dims)| index_expr(index, &input.steps(dims.iter().copied()), index));
        let body = format!("return {row} + {element};");
        let mut kernels = Kernels::default();
        let mut candidates = None;
        loop {
            let chunks = chunks(outputs, length);
            let is_last = chunks == 1;
            let to = if is_last { Operand::Output(0) } else { Operand::Temporary(kernels.temporaries.len()) };
            let mut kernel = Kernel::new("arg_reduce", TEMPLATE)
                .constant("KIND", if self.kind == Kind::Max { "1u" } else { "2u" })
                .alias("Element", input.dtype.wgsl())
                .alias("Value", if input.dtype.is_float() { "f32" } else { input.dtype.wgsl() })
                .hook("place", body.clone())
                .bind("input", Operand::Input(0))
                .bind("output", to)
                .values(&[outputs, length, chunks])
                .words([Word::Offset(0)])
                .grid(fold_groups(outputs * chunks, 64))
                .work(outputs * length);
            if let Some(from) = candidates {
                kernel = kernel
                    .bind("candidates", from)
                    .hook("candidate", "return u32(candidates[index * params.length + element]);");
                kernel.declarations = "@group(0) @binding(3) var<storage, read> candidates: array<i32>;\n".to_string();
            }
            if !input.dtype.is_float() {
                kernel = kernel.hook("not_a_number", "return false;");
            }
            kernels.kernels.push(kernel);
            if is_last {
                return Ok(kernels);
            }
            kernels.temporaries.push(4 * outputs * chunks);
            length = chunks;
            candidates = Some(to);
        }
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let shape = input.shape.without(&self.dims, true);
        let mut best = vec![(f64::NAN, usize::MAX); shape.numel()];
        let largest = self.kind == Kind::Max;
        for_each_reduced(input, &self.dims, |output, element, value| {
            let (champion, position) = best[output];
            let beats = if largest { value > champion } else { value < champion };
            if position == usize::MAX || (!champion.is_nan() && (value.is_nan() || beats)) {
                best[output] = (value, element);
            }
        });
        let values = best.into_iter().map(|(_, position)| position as f64).collect();
        Ok(vec![HostTensor::new(shape, DType::I32, values)])
    }
}

impl Tensor {
    /// The largest element along `dim` and its position; the gradient goes to the first of several that tie. Over all
    /// dimensions, these are [`amax_all`](Tensor::amax_all) and [`argmax_all`](Tensor::argmax_all).
    ///
    /// # Errors
    /// As [`amax`](Tensor::amax).
    #[track_caller]
    pub fn max(&self, dim: impl Dim) -> Result<(Tensor, Tensor)> {
        self.extreme(Kind::Max, "max", dim, false)
    }

    /// [`max`](Tensor::max) that keeps the reduced dimension, with size 1.
    ///
    /// # Errors
    /// As `max`.
    #[track_caller]
    pub fn max_keepdim(&self, dim: impl Dim) -> Result<(Tensor, Tensor)> {
        self.extreme(Kind::Max, "max", dim, true)
    }

    /// The smallest element along `dim` and its position; the gradient goes to the first of several that tie. Over all
    /// dimensions, these are [`amin_all`](Tensor::amin_all) and [`argmin_all`](Tensor::argmin_all).
    ///
    /// # Errors
    /// As [`amax`](Tensor::amax).
    #[track_caller]
    pub fn min(&self, dim: impl Dim) -> Result<(Tensor, Tensor)> {
        self.extreme(Kind::Min, "min", dim, false)
    }

    /// [`min`](Tensor::min) that keeps the reduced dimension, with size 1.
    ///
    /// # Errors
    /// As `min`.
    #[track_caller]
    pub fn min_keepdim(&self, dim: impl Dim) -> Result<(Tensor, Tensor)> {
        self.extreme(Kind::Min, "min", dim, true)
    }

    #[track_caller]
    fn extreme(&self, kind: Kind, op: &'static str, dim: impl Dim, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let at = self.shape().dim(op, dim)?;
        if self.rank() == 0 {
            return Ok((self.copy()?, Tensor::full(self.device(), &[], 0i32)?));
        }
        let positions = record_one(ArgReduce { kind, dims: vec![at] }, &[self])?;
        let values = self.gather(at, &positions)?;
        let kept = self.shape().without(&[at], keepdim);
        Ok((values.reshape_to(kept)?, positions.reshape_to(kept)?))
    }

    #[track_caller]
    fn argmax_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.arg_reduce(Kind::Max, "argmax", dims, keepdim)
    }

    #[track_caller]
    fn argmin_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.arg_reduce(Kind::Min, "argmin", dims, keepdim)
    }

    #[track_caller]
    fn arg_reduce(&self, kind: Kind, op: &'static str, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        if self.dtype() == DType::Bool {
            return Err(Error::WrongDType { op, expected: "numbers", got: self.dtype() });
        }
        let kept = self.shape().without(dims, keepdim);
        if dims.is_empty() {
            return Tensor::full(self.device(), self.shape(), 0i32);
        }
        record_one(ArgReduce { kind, dims: dims.to_vec() }, &[self])?.reshape_to(kept)
    }
}

reduction! {
    /// The position of the largest element over `dims`, counted in row-major order over these; the first of several
    /// that tie. i32; no gradient.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::DimRepeated`]; [`Error::Invalid`] over an empty dimension;
    /// [`Error::WrongDType`] for bool.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 5.0, 3.0, 2.0], &[2, 2])?;
    /// assert_eq!(x.argmax(1)?.to_vec::<i32>()?, [1, 0]);
    /// assert_eq!(x.argmax_all()?.item::<i32>()?, 1);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    argmax(..), argmax_keepdim, argmax_all => argmax_over
}

reduction! {
    /// The position of the smallest element; as [`argmax`](Tensor::argmax).
    ///
    /// # Errors
    /// As `argmax`.
    argmin(..), argmin_keepdim, argmin_all => argmin_over
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dims in [&[0, 1, 2][..], &[0], &[1], &[-1], &[2, 0]] {
        let largest = move |x: &[Tensor]| Ok(vec![x[0].argmax(dims)?]);
        let smallest = move |x: &[Tensor]| Ok(vec![x[0].transpose(0, 2)?.argmin_keepdim(dims)?]);
        cases.push(Case::new("argmax", &[&[5, 7, 3]], largest).with("dims", dims).distinct().no_gradient());
        cases.push(Case::new("argmin", &[&[5, 7, 3]], smallest).with("dims", dims).distinct().no_gradient());
    }
    cases.push(Case::new("argmax", &[&[2, 5003]], |x| Ok(vec![x[0].argmax(1)?])).distinct().no_gradient());
    // Results for several workgroups.
    cases.push(Case::new("argmax", &[&[263, 3]], |x| Ok(vec![x[0].argmax(1)?])).distinct().no_gradient());
    for dim in [0, 1] {
        let max = Case::new("max", &[&[5, 7]], move |x| x[0].max(dim).map(|(v, i)| vec![v, i]));
        let min = Case::new("min", &[&[5, 7]], move |x| x[0].min_keepdim(dim).map(|(v, i)| vec![v, i]));
        cases.extend([max, min].map(|case| case.with("dim", dim).distinct().first_order()));
    }
    let integers = |x: &[Tensor]| Ok(vec![x[0].argmax(1)?, x[0].argmin_keepdim(..)?]);
    cases.push(Case::new("argmax", &[&[5, 7]], integers).integers(0, -4, 4).no_gradient());
    let truth = |x: &[Tensor]| x[0].max(0).map(|(v, i)| vec![v, i]);
    cases.push(Case::new("max", &[&[5, 7]], truth).truth(0).no_gradient());
    cases
}
