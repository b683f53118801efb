//! Tensors side by side in one of one dimension, so that an optimizer updates them, or autocast casts them, in one launch.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Segment, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// Each segment starts at a multiple of this many elements: a part of a buffer may begin there, in f16 too.
pub(crate) const PACK_ALIGNMENT: usize = 128;

#[derive(Clone, Debug, Hash)]
struct Pack {
    starts: Vec<usize>,
    numel: usize,
}

impl Op for Pack {
    fn name(&self) -> &'static str {
        "pack"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Pack { starts: &self.starts }
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let dtype = inputs[0].dtype;
        if let Some(other) = inputs.iter().find(|input| input.dtype != dtype) {
            return Err(Error::WrongDType { op: "pack", expected: "tensors of one type", got: other.dtype });
        }
        Ok(vec![Layout::contiguous(Shape::new(&[self.numel])?, dtype)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let mut values = vec![0.0; self.numel];
        for (&start, input) in self.starts.iter().zip(inputs) {
            values[start..start + input.values.len()].copy_from_slice(&input.values);
        }
        Ok(vec![HostTensor::new(Shape::new(&[self.numel])?, inputs[0].dtype, values)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// The start of each of these shapes in a pack, and the number of elements in the pack.
pub(crate) fn segments(shapes: impl Iterator<Item = Shape>) -> (Vec<Segment>, usize) {
    let mut start = 0;
    let segments = shapes
        .map(|shape| {
            let segment = Segment { start, shape };
            start += shape.numel().next_multiple_of(PACK_ALIGNMENT);
            segment
        })
        .collect();
    (segments, start)
}

/// Shows a part of a cast pack: the cast of its second input, a parameter that only the gradient reads.
#[derive(Debug, Hash)]
struct CastPart {
    offset: usize,
}

impl CastPart {
    fn layout(&self, shape: Shape, dtype: DType) -> Layout {
        Layout::strided(shape, Layout::contiguous(shape, dtype).strides(), self.offset, dtype)
    }
}

impl Op for CastPart {
    fn name(&self) -> &'static str {
        "cast_part"
    }
    /// The layout says everything.
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![self.layout(inputs[1].shape, inputs[0].dtype)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![inputs[0].view(&self.layout(inputs[1].shape, inputs[0].dtype))])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, context.of(1, |dy| dy.to_dtype(context.input(1).dtype()))?])
    }
}

/// The cast of a parameter that lies in a pack, as a part of that pack's cast.
#[track_caller]
pub(crate) fn cast_part(whole: &Tensor, parameter: &Tensor) -> Result<Tensor> {
    record_one(CastPart { offset: parameter.layout().offset }, &[whole, parameter])
}

/// Tensors of one type side by side, as [`segments`] lays them out. The gaps between them have arbitrary values.
#[track_caller]
pub(crate) fn pack(tensors: &[Tensor], segments: &[Segment], numel: usize) -> Result<Tensor> {
    let tensors: Vec<Tensor> = tensors.iter().map(Tensor::contiguous).collect::<Result<_>>()?;
    let starts = segments.iter().map(|segment| segment.start).collect();
    record_one(Pack { starts, numel }, &tensors.iter().collect::<Vec<_>>())
}
