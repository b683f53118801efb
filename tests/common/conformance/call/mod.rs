//! A case's call by PyTorch's names, as a call by wgrad's: a table of operations for each kind of them.

/// Operations on images, by the names of `torchvision.transforms.v2.functional`; `of_images` runs each.
macro_rules! transforms {
    ($($name:literal ($($tensor:literal),*) [$($attribute:literal),*] $run:expr;)*) => {
        pub const OPERATIONS: &[Operation] = &[$(
            Operation {
                names: &[concat!("transforms.", $name)],
                tensors: &["inpt", $($tensor),*],
                attributes: &[$($attribute),*],
                run: |call| of_images(call, $run),
            },
        )*];
    };
}

mod colours;
mod conv;
mod create;
mod detection;
mod geometry;
mod index;
mod linear;
mod losses;
mod normalization;
mod pointwise;
mod pool;
mod reduce;
mod resample;
mod sequence;
mod shape;

use super::Refusal;
use serde_json::{Map, Value};
use wgrad::{Device, Tensor};

type Results = Result<Vec<Tensor>, Refusal>;

/// Operations that take the same tensors and attributes, by PyTorch's names, and the function that calls them.
pub struct Operation {
    pub names: &'static [&'static str],
    pub tensors: &'static [&'static str],
    pub attributes: &'static [&'static str],
    pub run: fn(&Call) -> Results,
}

/// True if an operation is pointwise.
pub(super) fn is_pointwise(op: &str) -> bool {
    pointwise::OPERATIONS.iter().any(|operation| operation.names.contains(&op))
}

pub(super) const TABLES: &[&[Operation]] = &[
    pointwise::OPERATIONS,
    reduce::OPERATIONS,
    resample::OPERATIONS,
    linear::OPERATIONS,
    conv::OPERATIONS,
    detection::OPERATIONS,
    create::OPERATIONS,
    pool::OPERATIONS,
    normalization::OPERATIONS,
    shape::OPERATIONS,
    index::OPERATIONS,
    losses::OPERATIONS,
    sequence::OPERATIONS,
];

/// Transforms of images, which have a separate table: they are not operations of tensors.
pub(super) const TRANSFORMS: &[&[Operation]] = &[colours::OPERATIONS, geometry::OPERATIONS];

/// A call: its operation, tensors and attributes.
pub struct Call<'a> {
    pub op: &'a str,
    pub inputs: &'a [(&'a str, Tensor)],
    pub attrs: &'a Map<String, Value>,
    pub device: &'a Device,
}

impl Call<'_> {
    fn optional(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|(arg, _)| *arg == name).map(|(_, tensor)| tensor)
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, Refusal> {
        self.optional(name).ok_or_else(|| Refusal::Argument(format!("{}: no {name} given", self.op)))
    }

    /// An attribute that is given and not null.
    fn attr(&self, name: &str) -> Option<&Value> {
        self.attrs.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str) -> Refusal {
        Refusal::Argument(format!("{}: {name} cannot be {}", self.op, self.attrs.get(name).unwrap_or(&Value::Null)))
    }

    /// A number; infinities and NaN are text, since JSON has none, and truth values are 0 and 1.
    fn number(&self, name: &str) -> Result<Option<f64>, Refusal> {
        let read = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            Value::Bool(truth) => Some(f64::from(*truth)),
            value => value.as_f64(),
        };
        self.attr(name).map(|value| read(value).ok_or_else(|| self.wrong(name))).transpose()
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        self.attr(name).map_or(Ok(default), |v| v.as_bool().ok_or_else(|| self.wrong(name)))
    }

    /// A whole number or a list of them.
    fn integers(&self, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        let list = |value: &Value| match value {
            Value::Array(values) => values.iter().map(Value::as_i64).collect(),
            value => value.as_i64().map(|v| vec![v]),
        };
        self.attr(name).map(|value| list(value).ok_or_else(|| self.wrong(name))).transpose()
    }

    /// A pair of sizes: one number means both.
    fn pair(&self, name: &str) -> Result<Option<[usize; 2]>, Refusal> {
        self.each(name)
    }

    /// A size for each of `D` dimensions: one number means all.
    fn each<const D: usize>(&self, name: &str) -> Result<Option<[usize; D]>, Refusal> {
        let Some(numbers) = self.integers(name)?.filter(|numbers| !numbers.is_empty()) else { return Ok(None) };
        let size = |v: &i64| usize::try_from(*v).map_err(|_| self.wrong(name));
        let sizes: Vec<usize> = numbers.iter().map(size).collect::<Result<_, _>>()?;
        match <[usize; D]>::try_from(&sizes[..]) {
            Ok(sizes) => Ok(Some(sizes)),
            Err(_) if sizes.len() == 1 => Ok(Some([sizes[0]; D])),
            Err(_) => Err(self.wrong(name)),
        }
    }

    /// A list of sizes.
    fn sizes(&self, name: &str) -> Result<Vec<usize>, Refusal> {
        let sizes = self.integers(name)?.ok_or_else(|| self.wrong(name))?;
        sizes.into_iter().map(|v| usize::try_from(v).map_err(|_| self.wrong(name))).collect()
    }

    /// All elements of a list of tensors, in order.
    fn list(&self, name: &str) -> Vec<&Tensor> {
        let is_element = |arg: &str| arg.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.inputs.iter().filter(|(arg, _)| is_element(arg)).map(|(_, tensor)| tensor).collect()
    }

    /// A whole number or a list of them, with signs; empty where not given.
    fn signed(&self, name: &str) -> Result<Vec<isize>, Refusal> {
        Ok(self.integers(name)?.unwrap_or_default().into_iter().map(|v| v as isize).collect())
    }

    /// A whole number that is not negative.
    fn size(&self, name: &str) -> Result<usize, Refusal> {
        self.attr(name).and_then(Value::as_u64).map(|v| v as usize).ok_or_else(|| self.wrong(name))
    }

    fn dims(&self) -> Result<Vec<isize>, Refusal> {
        Ok(self.integers("dim")?.unwrap_or_default().into_iter().map(|d| d as isize).collect())
    }

    /// The named dimensions of `x`; all if none is named.
    fn dims_of(&self, x: &Tensor) -> Result<Vec<isize>, Refusal> {
        let dims = self.dims()?;
        Ok(if dims.is_empty() { (0..x.rank() as isize).collect() } else { dims })
    }

    fn dim(&self) -> Result<Option<isize>, Refusal> {
        match self.dims()?[..] {
            [] => Ok(None),
            [dim] => Ok(Some(dim)),
            _ => Err(self.wrong("dim")),
        }
    }

    fn unsupported(&self) -> Refusal {
        Refusal::Unsupported(format!("operation {}", self.op))
    }
}
