//! Pointwise formulas of tensors and numbers, without gradients.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Tensor, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shader::Formula;
use crate::shape::Layout;
use std::fmt;
use std::hash::Hasher;

/// A formula over tensors of one size and type, and numbers: one recorded call instead of one for each arithmetic operation and
/// each number.
#[derive(Debug)]
pub struct Rule {
    name: &'static str,
    formula: Formula,
    /// The type of the result, if it is not that of the tensors.
    dtype: Option<DType>,
    /// The formula in double precision, from an element of each tensor and the numbers.
    reference: fn(&[f64], &[f64]) -> f64,
}

impl Rule {
    /// `wgsl` refers to elements as `{0}`, `{1}`, .. and to numbers as `bitcast<f32>({s0})`, ..
    pub const fn new(name: &'static str, wgsl: &'static str, reference: fn(&[f64], &[f64]) -> f64) -> Rule {
        Rule { name, formula: Formula::new(name, wgsl), dtype: None, reference }
    }

    /// A rule whose formula calls functions from these texts.
    pub const fn library(mut self, library: &'static [&'static str]) -> Rule {
        self.formula.library = library;
        self
    }

    /// The formula in double precision.
    pub fn exact(&self, elements: &[f64], numbers: &[f64]) -> f64 {
        (self.reference)(elements, numbers)
    }

    /// A rule whose result has this type.
    pub const fn to(mut self, dtype: DType) -> Rule {
        self.dtype = Some(dtype);
        self
    }

    /// Records the formula of these tensors and numbers. The numbers are data: others need no new plan.
    #[track_caller]
    pub fn of<const N: usize>(&'static self, tensors: &[&Tensor], numbers: [f64; N]) -> Result<Tensor> {
        record_one(Call { rule: self, numbers: numbers.map(|number| nearest::<f32>(number).to_bits()) }, tensors)
    }
}

struct Call<const N: usize> {
    rule: &'static Rule,
    numbers: [u32; N],
}

impl<const N: usize> fmt::Debug for Call<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.name)
    }
}

impl<const N: usize> Op for Call<N> {
    fn name(&self) -> &'static str {
        self.rule.name
    }
    /// Rules differ in their names.
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&self.rule.formula)
    }
    fn scalars(&self) -> &[u32] {
        &self.numbers
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let Layout { shape, dtype, .. } = inputs[0];
        match inputs.iter().find(|input| input.dtype != dtype) {
            Some(other) => {
                Err(Error::WrongDType { op: self.name(), expected: "tensors of one type", got: other.dtype })
            }
            None => Ok(vec![Layout::contiguous(shape, self.rule.dtype.unwrap_or(dtype))]),
        }
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let numbers = self.numbers.map(|word| f64::from(f32::from_bits(word)));
        let shape = inputs[0].shape;
        let dtype = self.rule.dtype.unwrap_or(inputs[0].dtype);
        let value = |at: usize| {
            let elements: Vec<f64> = inputs.iter().map(|input| input.values[at]).collect();
            dtype.quantise((self.rule.reference)(&elements, &numbers))
        };
        Ok(vec![HostTensor::new(shape, dtype, (0..shape.numel()).map(value).collect())])
    }
    fn differentiable(&self) -> bool {
        false
    }
}
