//! Correlation along a dimension, with separate weights for each image.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::shape::pad::PadMode;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const OP: &str = "correlate1d";

const TEMPLATE: &str = wgsl!("resample/correlate1d");

/// `output[n, o, l, i] = sum over k of weights[n, k] input[n, o, l + k, i]`, of contiguous inputs `[N, O, L, I]` and `[N, K]`.
#[derive(Debug)]
struct Correlate1d;

impl Op for Correlate1d {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (input, weights) = (&inputs[0], &inputs[1]);
        let taps = weights.shape[1];
        if input.shape[0] != weights.shape[0] || taps == 0 || input.shape[2] + 1 < taps {
            let rule = format!("weights {} do not fit into {}, [N, outer, length, inner]", weights.shape, input.shape);
            return Err(Error::invalid(OP, rule));
        }
        let length = input.shape[2] + 1 - taps;
        let shape = Shape::new(&[input.shape[0], input.shape[1], length, input.shape[3]])?;
        Ok(vec![Layout::contiguous(shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (shape, taps) = (io.outputs[0].shape, io.inputs[1].shape[1]);
        let count = shape.numel();
        Ok(Kernel::new(OP, TEMPLATE)
            .constant("TAPS", taps)
            .bind("input", Operand::Input(0))
            .bind("weights", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .loads("load_input", Operand::Input(0), count * taps)
            .loads("load_weights", Operand::Input(1), count * taps)
            .values(&[count, shape[1], shape[2], shape[3]])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(2 * count * taps)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, weights) = (&inputs[0], &inputs[1]);
        let taps = weights.shape[1];
        let sizes = [input.shape[0], input.shape[1], input.shape[2] + 1 - taps, input.shape[3]];
        let sum = |at: &[usize]| {
            let term = |k: usize| weights.at(&[at[0], k]) * input.at(&[at[0], at[1], at[2] + k, at[3]]);
            (0..taps).map(term).sum()
        };
        Ok(vec![HostTensor::from_fn(Shape::new(&sizes)?, DType::F32, sum)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (input, weights) = (context.input(0), context.input(1));
        let (taps, length) = (weights.shape()[1], input.shape()[2] + 1 - weights.shape()[1]);
        let of_input = context.of(0, |g| {
            let reach = nearest::<isize>(taps - 1);
            let padded = g.pad(&[0, 0, reach, reach], PadMode::Constant(0.0))?.contiguous()?;
            record_one(Correlate1d, &[&padded, &weights.flip([1])?.contiguous()?])
        })?;
        let of_weights = context.of(1, |g| {
            let tap = |k: usize| input.narrow(2, k, length)?.mul(&g)?.sum([1, 2, 3]);
            let sums = (0..taps).map(tap).collect::<Result<Vec<_>>>()?;
            Tensor::stack(&sums.iter().collect::<Vec<_>>(), 1)
        })?;
        Ok(vec![of_input, of_weights])
    }
}

impl Tensor {
    /// These images `[N, C, H, W]` correlated along dimension 2 or 3 with weights `[N, K]`, or `[1, K]` for all: without padding,
    /// so that dimension loses `K - 1` elements.
    #[track_caller]
    pub(crate) fn correlate1d(&self, weights: &Tensor, dim: usize) -> Result<Tensor> {
        let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| self.shape()[dim]);
        let taps = weights.shape()[1];
        let weights = weights.expand_to(Shape::new(&[count, taps])?, OP)?.contiguous()?;
        let sizes = if dim == 2 { [count, channels, height, width] } else { [count, channels * height, width, 1] };
        let rows = self.contiguous()?.reshape_to(Shape::new(&sizes)?)?;
        let correlated = record_one(Correlate1d, &[&rows, &weights])?;
        let mut shape = [count, channels, height, width];
        shape[dim] = (shape[dim] + 1).saturating_sub(taps);
        correlated.reshape_to(Shape::new(&shape)?)
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], weights: &[usize], dim: usize| {
        Case::new(OP, &[shape, weights], move |x| Ok(vec![x[0].correlate1d(&x[1], dim)?])).with("dim", dim)
    };
    vec![
        case(&[2, 3, 5, 7], &[2, 3], 3),
        case(&[2, 3, 5, 7], &[2, 5], 2),
        case(&[3, 1, 4, 4], &[1, 1], 2),
        case(&[2, 2, 3, 6], &[1, 4], 3),
        case(&[0, 2, 3, 6], &[1, 3], 3),
        Case::new(OP, &[&[2, 3, 6, 5], &[2, 3]], |x| {
            Ok(vec![x[0].transpose(2, 3)?.mul_scalar(2.0)?.correlate1d(&x[1], 2)?])
        }),
    ]
}
