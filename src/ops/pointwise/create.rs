//! Constants: pointwise operations without operands.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Class, Op, hash_structure};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// The same number in every element.
#[derive(Clone, Debug)]
pub(crate) struct Full {
    shape: Shape,
    dtype: DType,
    /// In double precision, for the reference; kernels take its `word`.
    value: f64,
    word: [u32; 1],
}

impl Full {
    pub fn new(shape: Shape, value: f64, dtype: DType) -> Full {
        let word = match dtype {
            DType::F32 | DType::F16 => nearest::<f32>(value).to_bits(),
            DType::I32 => nearest::<i32>(value).cast_unsigned(),
            DType::U32 => nearest::<u32>(value),
            DType::Bool => u32::from(value != 0.0),
        };
        Full { shape, dtype, value, word: [word] }
    }
}

static FULL_FLOAT: Formula = constant("F(bitcast<f32>({s0}))");
static FULL_I32: Formula = constant("I(bitcast<i32>({s0}))");
static FULL_U32: Formula = constant("U({s0})");
static FULL_BOOL: Formula = constant("B({s0} != 0u)");

const fn constant(wgsl: &'static str) -> Formula {
    Formula::new("full", wgsl).constant()
}

impl Op for Full {
    fn name(&self) -> &'static str {
        "full"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&self.dtype, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Pointwise(match self.dtype {
            DType::F32 | DType::F16 => &FULL_FLOAT,
            DType::I32 => &FULL_I32,
            DType::U32 => &FULL_U32,
            DType::Bool => &FULL_BOOL,
        })
    }
    fn scalars(&self) -> &[u32] {
        &self.word
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(self.shape, self.dtype)])
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let value = self.dtype.quantise(self.value);
        Ok(vec![HostTensor::new(self.shape, self.dtype, vec![value; self.shape.numel()])])
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("full", &[&[3, 5]], |x| Ok(vec![x[0].add(&x[0].full_like(0.25)?)?])),
        Case::new("zeros_like", &[&[3, 5]], |x| Ok(vec![x[0].zeros_like()?])).truth(0).no_gradient(),
        Case::new("ones_like", &[&[0, 5]], |x| Ok(vec![x[0].ones_like()?])).integers(0, 0, 5).no_gradient(),
    ]
}
