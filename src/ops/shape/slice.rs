//! Strided slices along a dimension, without a copy; the gradient, zeros around the slice, has a kernel.

use crate::device::Adapter;
use crate::dims::Dim;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::shape::view::View;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// Zeros, with the input's elements at the indices of a slice.
#[derive(Clone, Debug)]
struct SliceBackward {
    shape: Shape,
    dim: usize,
    step: usize,
    start: [u32; 1],
}

const SLICE_BACKWARD: &str = wgsl!("shape/slice_backward");

impl Op for SliceBackward {
    fn name(&self) -> &'static str {
        "slice_backward"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.shape, self.dim, self.step), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.start
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(self.shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (input, output) = (&io.inputs[0], &io.outputs[0]);
        let inner: usize = output.shape[self.dim + 1..].iter().product();
        let count = output.shape.numel();
        let outermost = self.dim == 0;
        let size = if outermost { 0 } else { output.shape[self.dim] };
        Ok(Kernel::new("slice_backward", SLICE_BACKWARD)
            .alias("Element", output.dtype.wgsl())
            .alias("Value", output.dtype.computed())
            .size("SIZE", size)
            .size("INNER", inner)
            .constant("STEP", format!("{}u", self.step))
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[count, input.shape[self.dim]])
            .words([Word::Scalar(0), Word::Offset(0)])
            .grid(fold_groups(count, 64))
            .work(count)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, start) = (&inputs[0], self.start[0] as usize);
        let length = input.shape[self.dim];
        let output = HostTensor::from_fn(self.shape, input.dtype, |at| {
            let mut from = at.to_vec();
            match at[self.dim].checked_sub(start) {
                Some(along) if along % self.step == 0 && along / self.step < length => {
                    from[self.dim] = along / self.step;
                    input.at(&from)
                }
                _ => 0.0,
            }
        });
        Ok(vec![output])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let length = context.input(0).shape()[self.dim];
        let slice = View::Slice { dim: self.dim, start: self.start[0] as usize, length, step: self.step };
        Ok(vec![context.of(0, |g| g.record_view(slice))?])
    }
}

/// The gradient of a slice of `shape`, `start`, `start + step`, .. along `dim`.
#[track_caller]
pub(in crate::ops) fn slice_backward(g: &Tensor, shape: Shape, [dim, start, step]: [usize; 3]) -> Result<Tensor> {
    record_one(SliceBackward { shape, dim, step, start: [nearest::<u32>(start)] }, &[&g.contiguous()?])
}

impl Tensor {
    /// Elements `start`, `start + step`, .. before `end` along `dim`; negative bounds count from the end, and bounds past it are
    /// clamped, as in Python.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::Invalid`] if `step` is 0.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0, 1, 2, 3, 4, 5], &[6])?;
    /// assert_eq!(x.slice(0, 1, -1, 2)?.to_vec::<i32>()?, [1, 3]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn slice(&self, dim: impl Dim, start: isize, end: isize, step: usize) -> Result<Tensor> {
        if self.rank() == 0 || step == 0 {
            let rule = format!("a slice needs a dimension and a step above 0 (shape {}, step {step})", self.shape());
            return Err(Error::invalid("slice", rule));
        }
        let dim = self.shape().dim("slice", dim)?;
        let size = self.shape()[dim];
        let bound = |at: isize| {
            nearest::<usize>((if at < 0 { at.saturating_add(size as isize) } else { at }).clamp(0, size as isize))
        };
        let (start, end) = (bound(start), bound(end));
        let length = end.saturating_sub(start).div_ceil(step);
        if length == size && step == 1 {
            return Ok(self.clone());
        }
        // A single element needs no step, which may be too large.
        let step = if length > 1 { step } else { 1 };
        self.record_view(View::Slice { dim, start, length, step })
    }

    /// `length` elements from `start` along `dim`.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::Invalid`] if the range passes the end.
    #[track_caller]
    pub fn narrow(&self, dim: impl Dim, start: usize, length: usize) -> Result<Tensor> {
        let at = self.shape().dim("narrow", dim)?;
        let size = self.shape().get(at).copied().unwrap_or(0);
        if start.checked_add(length).is_none_or(|end| end > size) {
            let rule = format!("{length} from {start} on passes the end of dimension {at}, which has size {size}");
            return Err(Error::invalid("narrow", rule));
        }
        self.slice(dim, start as isize, (start + length) as isize, 1)
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    vec![
        Case::new("slice", &[&[7, 5]], |x| Ok(vec![x[0].slice(0, 1, -1, 2)?])),
        Case::new("slice", &[&[3, 11]], |x| Ok(vec![x[0].t()?.slice(0, 2, 9, 3)?])),
        Case::new("slice", &[&[2, 3, 5]], |x| Ok(vec![x[0].narrow(2, 1, 3)?])),
        Case::new("slice", &[&[2, 0, 5]], |x| Ok(vec![x[0].narrow(2, 1, 3)?])),
    ]
}
