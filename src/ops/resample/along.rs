//! A sparse matrix along one dimension of a tensor: the building block of every interpolation, and its own gradient.

use super::taps::Taps;
use crate::device::{Adapter, LONGEST_LOOP};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::shared::partial_sums;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;
use std::sync::Arc;

const TEMPLATE: &str = wgsl!("resample/resample");

/// `output[o, m, i] = sum over the taps t of row m of weights[t] input[o, places[t], i]`.
///
/// The taps are inputs, and so data: they are repeated here for the gradient.
#[derive(Clone, Debug)]
struct Resample {
    taps: Arc<Taps>,
    dtype: DType,
}

impl Resample {
    /// Parts of each row that a kernel adds up separately, and taps of each.
    fn parts(&self) -> [usize; 2] {
        let longest = self.taps.ends.windows(2).map(|ends| ends[1].abs_diff(ends[0]) as usize).max();
        partial_sums::parts(longest.unwrap_or(0), 1, LONGEST_LOOP)
    }
}

impl Op for Resample {
    fn name(&self) -> &'static str {
        "resample"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.dtype, self.parts()), state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let shape = inputs[0].shape;
        Ok(vec![Layout::contiguous(Shape::new(&[shape[0], self.taps.rows(), shape[2]])?, self.dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (input, output, taps) = (&io.inputs[0], &io.outputs[0], io.inputs[2].shape.numel());
        let count = output.shape.numel();
        let (size, taken, inner) = (input.shape[1], output.shape[1], output.shape[2]);
        let [parts, span] = self.parts();
        let kernel = Kernel::new("resample", TEMPLATE)
            .alias("Element", input.dtype.wgsl())
            .bind("input", Operand::Input(0))
            .bind("ends", Operand::Input(1))
            .bind("places", Operand::Input(2))
            .bind("weights", Operand::Input(3))
            .values(&[count, size, taken.max(1), inner.max(1)])
            .words((0..4).map(Word::Offset))
            .values(&[parts, span])
            .grid(fold_groups(count * parts, 64))
            .work(2 * (count / taken.max(1)) * taps);
        Ok(partial_sums::in_parts(kernel, parts, count, output.dtype))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let shape = Shape::new(&[input.shape[0], self.taps.rows(), input.shape[2]])?;
        let output = HostTensor::from_fn(shape, self.dtype, |at| {
            self.taps.row(at[1]).map(|(place, weight)| f64::from(weight) * input.at(&[at[0], place, at[2]])).sum()
        });
        Ok(vec![output])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let dtype = context.input(0).dtype();
        let gradient = context.of(0, |g| Tensor::resample(&g, Arc::new(self.taps.transposed()), dtype))?;
        Ok(vec![gradient, None, None, None])
    }
}

impl Tensor {
    /// Rows made of taps, along the middle of three dimensions, in an element type.
    #[track_caller]
    pub(super) fn resample(&self, taps: Arc<Taps>, dtype: DType) -> Result<Tensor> {
        let device = self.device();
        let ends = Tensor::from_slice(device, &taps.ends, &[taps.ends.len()])?;
        let places = Tensor::from_slice(device, &taps.places, &[taps.places.len()])?;
        let weights = Tensor::from_slice(device, &taps.weights, &[taps.weights.len()])?;
        record_one(Resample { taps, dtype }, &[&self.contiguous()?, &ends, &places, &weights])
    }
}
