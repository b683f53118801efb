//! Tensors side by side in one of one dimension: what an optimizer changes in one launch.

use crate::error::{Error, Result};
use crate::graph::{Class, Op, Segment, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// Elements of which each segment's start is a multiple: a part of a buffer may begin there, in f16 too.
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
    fn class(&self) -> Class {
        Class::Pack
    }
    fn starts(&self) -> &[usize] {
        &self.starts
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

/// Where tensors of these shapes begin in a pack, and how many elements that has.
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

/// Tensors of one type side by side, as [`segments`] says. What lies between them may be anything.
#[track_caller]
pub(crate) fn pack(tensors: &[Tensor], segments: &[Segment], numel: usize) -> Result<Tensor> {
    let tensors: Vec<Tensor> = tensors.iter().map(Tensor::contiguous).collect::<Result<_>>()?;
    let starts = segments.iter().map(|segment| segment.start).collect();
    record_one(Pack { starts, numel }, &tensors.iter().collect::<Vec<_>>())
}
