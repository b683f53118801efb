//! Pointwise operations: rows of one table, written into kernels by the planner, alone or fused.
//!
//! A [`Row`] is the whole definition of one: the WGSL expression, the same in double precision, the gradient in tensor
//! operations, and the points where the gradient jumps.

mod activation;
mod arithmetic;
mod blend;
mod bytes;
mod compare;
mod create;
mod division;
pub(super) mod dropout;
mod elementary;
mod noise;
mod pattern;
mod piecewise;
mod probability;
mod promote;
mod random;
pub(super) mod rule;
pub(super) mod table;

pub(crate) use create::Full;
pub use division::RoundingMode;
pub(in crate::ops) use pattern::{Side, mask};
pub(in crate::ops) use promote::joint_dtype;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Few, Op, Tensor, Vjp, hash_structure, record_shared};
use crate::host_tensor::HostTensor;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::shader::Formula;
use crate::shape::Layout;
use std::fmt;
use std::hash::Hasher;
use std::sync::OnceLock;

/// The element types a row takes. Operands of several types are promoted to one first (see `promote`), except for `Float`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// f32 and f16, all operands of one type.
    Float,
    /// Everything; integers and truth values become f32.
    Floated,
    /// Floats and integers.
    Number,
    /// Floats and integers; truth values are not even promoted.
    NeverTruth,
    /// Floats and signed integers.
    Signed,
    /// Everything; truth values become integers.
    Counted,
    /// Everything.
    Any,
    /// Truth values.
    Truth,
    /// A truth value first, then two of any one type.
    Choice,
}

/// The element type of a row's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Makes {
    /// The type of its last operand.
    Same,
    /// This type.
    Type(DType),
}

/// The gradients of a row's operands.
pub(crate) type Gradient = fn(&Vjp) -> Result<Vec<Option<Tensor>>>;

/// One pointwise operation.
pub(crate) struct Row {
    pub formula: Formula,
    /// Number of operands.
    pub arity: usize,
    pub accepts: Accepts,
    pub makes: Makes,
    /// The operation in double precision.
    pub reference: fn(&[f64]) -> f64,
    /// `None` if there is no gradient.
    pub gradient: Option<Gradient>,
    /// Each operand's range in the tests.
    pub domain: &'static [(f64, f64)],
    /// Points where the gradient jumps.
    pub kinks: &'static [f64],
    /// True if there is a second derivative to test.
    pub smooth: bool,
    /// The row that replaces it over integers, if there is one.
    pub over_integers: Option<&'static Row>,
    /// The row that replaces it over truth values, if there is one.
    pub over_truth: Option<&'static Row>,
    /// True if the gradient jumps where operands are equal, so that its cases keep them apart.
    pub jumps_at_ties: bool,
    /// The operation that every call of it records.
    call: OnceLock<Pointwise>,
}

impl Row {
    /// A differentiable row over floats.
    pub(crate) const fn float(
        name: &'static str,
        arity: usize,
        wgsl: &'static str,
        reference: fn(&[f64]) -> f64,
        gradient: Gradient,
    ) -> Row {
        Row {
            formula: Formula::new(name, wgsl),
            arity,
            accepts: Accepts::Float,
            makes: Makes::Same,
            reference,
            gradient: Some(gradient),
            domain: &[(-2.0, 2.0), (-2.0, 2.0), (-2.0, 2.0)],
            kinks: &[],
            smooth: true,
            over_integers: None,
            over_truth: None,
            jumps_at_ties: false,
            call: OnceLock::new(),
        }
    }

    /// A row without a gradient.
    pub(crate) const fn plain(
        name: &'static str,
        arity: usize,
        wgsl: &'static str,
        accepts: Accepts,
        makes: Makes,
        reference: fn(&[f64]) -> f64,
    ) -> Row {
        Row {
            formula: Formula::new(name, wgsl),
            arity,
            accepts,
            makes,
            reference,
            gradient: None,
            domain: &[(-2.0, 2.0), (-2.0, 2.0), (-2.0, 2.0)],
            kinks: &[],
            smooth: false,
            over_integers: None,
            over_truth: None,
            jumps_at_ties: false,
            call: OnceLock::new(),
        }
    }

    pub(crate) const fn floated(mut self) -> Row {
        self.accepts = Accepts::Floated;
        self
    }
    pub(crate) const fn over_integers(mut self, row: &'static Row) -> Row {
        self.over_integers = Some(row);
        self
    }
    pub(crate) const fn over_truth(mut self, row: &'static Row) -> Row {
        self.over_truth = Some(row);
        self
    }
    pub(crate) const fn numbers(mut self) -> Row {
        self.accepts = Accepts::Number;
        self
    }
    pub(crate) const fn never_truth(mut self) -> Row {
        self.accepts = Accepts::NeverTruth;
        self
    }
    pub(crate) const fn jumps_at_ties(mut self) -> Row {
        self.jumps_at_ties = true;
        self
    }

    pub(crate) const fn counted(mut self) -> Row {
        self.accepts = Accepts::Counted;
        self
    }
    pub(crate) const fn signed(mut self) -> Row {
        self.accepts = Accepts::Signed;
        self
    }
    pub(crate) const fn anything(mut self) -> Row {
        self.accepts = Accepts::Any;
        self
    }
    pub(crate) const fn library(mut self, library: &'static [&'static str]) -> Row {
        self.formula.library = library;
        self
    }
    pub(crate) const fn domain(mut self, domain: &'static [(f64, f64)]) -> Row {
        self.domain = domain;
        self
    }
    pub(crate) const fn kinks(mut self, kinks: &'static [f64]) -> Row {
        self.kinks = kinks;
        self
    }
    /// The second derivative is zero or jumps.
    pub(crate) const fn first_order(mut self) -> Row {
        self.smooth = false;
        self
    }
}

impl Row {
    /// The operands of the computation: all but a condition.
    fn values<'a, T>(&self, operands: &'a [T]) -> &'a [T] {
        if self.accepts == Accepts::Choice { &operands[1..] } else { operands }
    }

    /// Checks that the row takes these types.
    fn check(&self, dtypes: &[DType]) -> Result<()> {
        let wrong = |expected, got| Err(Error::WrongDType { op: self.formula.name, expected, got });
        let dtype = dtypes[0];
        match self.accepts {
            Accepts::Float | Accepts::Floated if !dtype.is_float() => return wrong("floats", dtype),
            Accepts::Number | Accepts::NeverTruth | Accepts::Counted if dtype == DType::Bool => {
                return wrong("numbers", dtype);
            }
            Accepts::Signed if matches!(dtype, DType::Bool | DType::U32) => return wrong("signed numbers", dtype),
            Accepts::Truth if dtype != DType::Bool => return wrong("bool", dtype),
            _ => {}
        }
        match dtypes.iter().find(|&&other| other != dtype) {
            Some(&other) => wrong("operands of one type (see to_dtype)", other),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.formula.name)
    }
}

/// A call of a row.
struct Pointwise(&'static Row);

impl fmt::Debug for Pointwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.formula.name)
    }
}

impl Op for Pointwise {
    fn name(&self) -> &'static str {
        self.0.formula.name
    }
    fn structure(&self, state: &mut dyn Hasher) {
        // Names are unique in the table.
        hash_structure(&self.0.arity, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&self.0.formula)
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let values = self.0.values(inputs);
        self.0.check(&Few::of(values, |value| value.dtype))?;
        let dtype = values[0].dtype;
        if values.len() < inputs.len() && inputs[0].dtype != DType::Bool {
            return Err(Error::WrongDType { op: self.name(), expected: "a bool condition", got: inputs[0].dtype });
        }
        let makes = match self.0.makes {
            Makes::Same => dtype,
            Makes::Type(dtype) => dtype,
        };
        Ok(vec![Layout::contiguous(inputs[0].shape, makes)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let dtype = match self.0.makes {
            Makes::Same => inputs[inputs.len() - 1].dtype,
            Makes::Type(dtype) => dtype,
        };
        let mut operands = vec![0.0; inputs.len()];
        let values = (0..inputs[0].values.len())
            .map(|i| {
                for (operand, input) in operands.iter_mut().zip(inputs) {
                    *operand = input.values[i];
                }
                dtype.quantise((self.0.reference)(&operands))
            })
            .collect();
        Ok(vec![HostTensor::new(inputs[0].shape, dtype, values)])
    }
    fn differentiable(&self) -> bool {
        self.0.gradient.is_some()
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        match self.0.gradient {
            Some(gradient) => gradient(context),
            None => Err(Error::NotDifferentiable { op: self.name() }),
        }
    }
}

/// Records a row over operands, after promoting them to one type and broadcasting them to one shape.
#[track_caller]
pub(crate) fn apply(row: &'static Row, operands: &[&Tensor]) -> Result<Tensor> {
    let op = row.formula.name;
    if let Some(cast) = autocast::enter(op)? {
        return apply(row, &cast.all(operands)?.iter().collect::<Vec<_>>());
    }
    // Mostly they agree already.
    let (shape, dtype) = (operands[0].shape(), operands[0].dtype());
    if dtype.is_float() && operands[1..].iter().all(|other| other.dtype() == dtype && other.shape() == shape) {
        return record_row(row, operands);
    }
    let (row, operands) = promote::promote(row, operands)?;
    let mut shape = *operands[0].shape();
    for operand in &operands[1..] {
        shape = shape.broadcast(operand.shape(), op)?;
    }
    let expanded: Vec<Tensor> = operands.iter().map(|o| o.expand_to(shape, op)).collect::<Result<_>>()?;
    record_row(row, &expanded.iter().collect::<Vec<_>>())
}

/// Records a row over operands of one type and one shape.
#[track_caller]
fn record_row(row: &'static Row, operands: &[&Tensor]) -> Result<Tensor> {
    record_shared(row.call.get_or_init(|| Pointwise(row)), operands)
}

/// The whole table.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        elementary::ROWS,
        arithmetic::ROWS,
        division::ROWS,
        blend::ROWS,
        compare::ROWS,
        activation::ROWS,
        piecewise::ROWS,
        probability::ROWS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every row by itself, over an odd size, broadcast, and through a view.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows() {
        let shapes: [&[&[usize]]; 3] =
            [&[&[37], &[37], &[37]], &[&[3, 5], &[3, 1], &[5]], &[&[2, 1, 4], &[3, 1], &[2, 3, 1]]];
        for (variant, shapes) in shapes.iter().enumerate() {
            if row.arity == 1 && variant == 1 {
                continue;
            }
            let transposed = variant == 2;
            let mut case = Case::new(row.formula.name, &shapes[..row.arity], move |x| {
                let views: Vec<Tensor> = x
                    .iter()
                    .map(
                        |x| if transposed { x.transpose(0, -1)?.contiguous()?.transpose(0, -1) } else { Ok(x.clone()) },
                    )
                    .collect::<Result<_>>()?;
                Ok(vec![apply(row, &views.iter().collect::<Vec<_>>())?])
            });
            for operand in 0..row.arity {
                let (low, high) = row.domain[operand];
                case = case.domain(operand, low, high);
                case.inputs[operand].kinks = row.kinks;
                if row.accepts == Accepts::Truth || (row.accepts == Accepts::Choice && operand == 0) {
                    case = case.truth(operand);
                }
            }
            if row.jumps_at_ties {
                // Two ladders whose rungs are at least 0.03 apart.
                case = case.distinct().domain(1, -1.97, 2.03);
            }
            if row.gradient.is_none() {
                case = case.no_gradient();
            } else if !row.smooth {
                case = case.first_order();
            }
            cases.push(case);
        }
    }
    cases.extend(arithmetic::cases());
    cases.extend(division::cases());
    cases.extend(blend::cases());
    cases.extend(bytes::cases());
    cases.extend(create::cases());
    cases.extend(pattern::cases());
    cases.extend(random::cases());
    cases.extend(noise::cases());
    cases.extend(piecewise::cases());
    cases.extend(promote::cases());
    cases
}
