//! Numbers that are data of a call, looked up by index.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Tensor, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shader::Formula;
use crate::shape::Layout;
use std::hash::Hasher;

/// `output = numbers[index]`.
#[derive(Debug)]
struct Table {
    words: Vec<u32>,
}

static TABLE: Formula = Formula::new("table", "F(bitcast<f32>(word({words} + u32({first}))))");

impl Op for Table {
    fn name(&self) -> &'static str {
        "table"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&TABLE)
    }
    fn scalars(&self) -> &[u32] {
        &self.words
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        match inputs[0].dtype {
            DType::I32 => Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)]),
            got => Err(Error::WrongDType { op: "table", expected: "indices in i32", got }),
        }
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let number = |&index: &f64| f64::from(f32::from_bits(self.words[nearest::<usize>(index)]));
        Ok(vec![HostTensor::new(inputs[0].shape, DType::F32, inputs[0].values.iter().map(number).collect())])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// `numbers[index]` in f32. The numbers are data: others need no new plan. Indices must be in range, and equal within each
/// aligned group of four elements.
#[track_caller]
pub(crate) fn table(numbers: &[f64], index: &Tensor) -> Result<Tensor> {
    let words = numbers.iter().map(|&number| nearest::<f32>(number).to_bits()).collect();
    record_one(Table { words }, &[index])
}
