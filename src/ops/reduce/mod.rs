//! Sums, products, means, extremes and truth over any dimensions, and the positions of extremes.

mod arg;
pub(super) mod forms;
mod log_sum_exp;
mod logic;
pub(super) mod norm;
mod product;
pub(super) mod run_sums;
pub(super) mod softmax;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Combine, RowFormula};
use crate::shape::Layout;
use forms::reduction;
use std::hash::Hasher;

static SUM: RowFormula = alone(&[(Combine::Sum, "{0}")]);
static PRODUCT: RowFormula = alone(&[(Combine::Product, "{0}")]);
static LARGEST: RowFormula = alone(&[(Combine::Largest, "{0}")]);
static SMALLEST: RowFormula = alone(&[(Combine::Smallest, "{0}")]);

const fn alone(reductions: &'static [(Combine, &'static str)]) -> RowFormula {
    RowFormula { reductions, result: "{r0}", whole: false }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Max,
    Min,
    Product,
    /// The smallest truth value; true over nothing.
    All,
    /// The largest truth value; false over nothing.
    Any,
}

impl Kind {
    /// The result over no elements, if there is one.
    fn nothing(self) -> Option<u32> {
        match self {
            Kind::Sum | Kind::Any => Some(0),
            Kind::Product | Kind::All => Some(1),
            Kind::Max | Kind::Min => None,
        }
    }
}

/// Combines the elements along some dimensions, which are kept with size 1 if `keepdim`.
#[derive(Clone, Debug, Hash)]
struct Reduce {
    kind: Kind,
    dims: Vec<usize>,
    keepdim: bool,
}

fn kept_dims(rank: usize, reduced: &[usize]) -> Vec<usize> {
    (0..rank).filter(|d| !reduced.contains(d)).collect()
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sum => "sum",
            Kind::Max => "amax",
            Kind::Min => "amin",
            Kind::Product => "prod",
            Kind::All => "all",
            Kind::Any => "any",
        }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        if self.kind.nothing().is_none() && self.dims.iter().any(|&d| input.shape[d] == 0) {
            return Err(Error::invalid(self.name(), format!("nothing to choose from: {} is empty there", input.shape)));
        }
        Ok(vec![Layout::contiguous(input.shape.without(&self.dims, self.keepdim), input.dtype)])
    }
    fn class(&self) -> Class<'_> {
        let formula = match self.kind {
            Kind::Sum => &SUM,
            Kind::Max | Kind::Any => &LARGEST,
            Kind::Min | Kind::All => &SMALLEST,
            Kind::Product => &PRODUCT,
        };
        Class::Rows { formula, dims: &self.dims }
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let shape = input.shape.without(&self.dims, self.keepdim);
        let kind = self.kind;
        let start = match kind {
            Kind::Max => f64::NEG_INFINITY,
            Kind::Min => f64::INFINITY,
            _ => f64::from(kind.nothing().unwrap_or(0)),
        };
        let mut values = vec![start; shape.numel()];
        for_each_reduced(input, &self.dims, |output, _, value| {
            let total = &mut values[output];
            *total = match kind {
                Kind::Sum => *total + value,
                Kind::Product => *total * value,
                _ if total.is_nan() => *total,
                _ if value.is_nan() => value,
                Kind::Max | Kind::Any => total.max(value),
                Kind::Min | Kind::All => total.min(value),
            };
        });
        Ok(vec![HostTensor::new(shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let x = context.input(0);
        let broadcast = x.shape().without(&self.dims, true);
        let gradient = context.of(0, |g| {
            let g = g.reshape_to(broadcast)?;
            match self.kind {
                Kind::Sum => return g.expand_to(*x.shape(), "sum"),
                Kind::Product => return product::gradient(x, &g, &self.dims),
                _ => {}
            }
            // Elements that tie split the gradient.
            let taken = x.eq(&context.output(0).reshape_to(broadcast)?)?.to_dtype(x.dtype())?;
            &g / taken.sum_keepdim(&self.dims)? * &taken
        })?;
        Ok(vec![gradient])
    }
}

/// Calls `visit(output, element, value)` for each element: the index of its output and its position among that output's elements.
fn for_each_reduced(input: &HostTensor, dims: &[usize], mut visit: impl FnMut(usize, usize, f64)) {
    let kept = kept_dims(input.shape.len(), dims);
    let mut at = vec![0; input.shape.len()];
    for &value in &input.values {
        let index = |dims: &[usize]| dims.iter().fold(0, |index, &d| index * input.shape[d] + at[d]);
        visit(index(&kept), index(dims), value);
        for d in (0..at.len()).rev() {
            at[d] += 1;
            if at[d] < input.shape[d] {
                break;
            }
            at[d] = 0;
        }
    }
}

impl Tensor {
    #[track_caller]
    fn reduce(&self, kind: Kind, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        // Truth values are counted in integers.
        if self.dtype() == DType::Bool && matches!(kind, Kind::Sum | Kind::Product) {
            return self.to_dtype(DType::I32)?.reduce(kind, dims, keepdim);
        }
        if dims.is_empty() {
            return self.copy();
        }
        record_one(Reduce { kind, dims: dims.to_vec(), keepdim }, &[self])
    }

    #[track_caller]
    pub(in crate::ops) fn sum_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Kind::Sum, dims, keepdim)
    }

    #[track_caller]
    fn mean_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: "mean", expected: "floats", got: self.dtype() });
        }
        if self.dtype() == DType::F16 {
            return self.to_dtype(DType::F32)?.mean_over(dims, keepdim)?.to_dtype(DType::F16);
        }
        let count: usize = dims.iter().map(|&d| self.shape()[d]).product();
        self.reduce(Kind::Sum, dims, keepdim)? / count as f64
    }

    #[track_caller]
    pub(in crate::ops) fn amax_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Kind::Max, dims, keepdim)
    }

    #[track_caller]
    pub(in crate::ops) fn amin_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.reduce(Kind::Min, dims, keepdim)
    }
}

reduction! {
    /// The sum over `dims`: `output = sum over e of input[.., e, ..]`.
    ///
    /// f16 is summed in f32; integers keep their type; truth values are counted, in i32.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::DimRepeated`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.sum(0)?.to_vec::<f32>()?, [4.0, 6.0]);
    /// assert_eq!(x.sum_keepdim(-1)?.shape()[..], [2, 1]);
    /// assert_eq!(x.sum_all()?.item::<f32>()?, 10.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    sum(..), sum_keepdim, sum_all => sum_over
}

reduction! {
    /// The mean over `dims`; NaN over nothing. The sum of f16 stays in f32.
    ///
    /// # Errors
    /// As [`sum`](Tensor::sum); [`Error::WrongDType`] for types other than floats.
    mean(..), mean_keepdim, mean_all => mean_over
}

reduction! {
    /// The largest element over `dims`. NaN wins. Elements that tie split the gradient.
    ///
    /// # Errors
    /// As [`sum`](Tensor::sum); [`Error::Invalid`] over an empty dimension.
    amax(..), amax_keepdim, amax_all => amax_over
}

reduction! {
    /// The smallest element over `dims`. NaN wins. Elements that tie split the gradient.
    ///
    /// # Errors
    /// As [`amax`](Tensor::amax).
    amin(..), amin_keepdim, amin_all => amin_over
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dims, keepdim) in [(&[0, 1, 2][..], false), (&[0], false), (&[2], true), (&[0, 2], false), (&[1], true)] {
        let case = |op, run: fn(&Tensor, &[usize], bool) -> Result<Tensor>| {
            Case::new(op, &[&[5, 7, 11]], move |x| Ok(vec![run(&x[0], dims, keepdim)?]))
                .with("dims", dims)
                .with("keepdim", keepdim)
        };
        cases.push(case("sum", Tensor::sum_over));
        cases.push(case("mean", Tensor::mean_over));
        cases.push(case("amax", Tensor::amax_over).distinct().first_order());
        cases.push(case("amin", Tensor::amin_over).distinct().first_order());
    }
    cases.push(Case::new("sum", &[&[4, 3]], |x| Ok(vec![x[0].sum([0; 0])?])));
    // Longer than one loop, longer than one chunk, through a view, over no elements, of no elements.
    cases.push(Case::new("sum", &[&[3, 5003]], |x| Ok(vec![x[0].sum(1)?])).first_order());
    cases.push(Case::new("sum", &[&[1200, 2]], |x| Ok(vec![x[0].t()?.sum(-1)?])).first_order());
    cases.push(Case::new("sum", &[&[4, 0]], |x| Ok(vec![x[0].sum(1)?])));
    cases.push(Case::new("sum", &[&[2, 0, 3]], |x| Ok(vec![x[0].sum_keepdim([0, 1])?])));
    cases.push(Case::new("sum", &[&[0, 4]], |x| Ok(vec![x[0].sum(1)?])));
    cases.push(Case::new("sum", &[&[4, 1]], |x| Ok(vec![x[0].expand(&[4, 6])?.sum(1)?])));
    cases.push(Case::new("sum", &[&[9, 5]], |x| Ok(vec![x[0].sum_all()?])).integers(0, -9, 9).no_gradient());
    cases.push(Case::new("sum", &[&[9, 5]], |x| Ok(vec![x[0].sum(0)?])).truth(0).no_gradient());
    cases.push(Case::new("amin", &[&[9, 5]], |x| Ok(vec![x[0].amin(1)?])).truth(0).no_gradient());
    cases.push(Case::new("sum", &[&[6, 50]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.sum(1)?])).half());
    cases.push(Case::new("mean", &[&[6, 50]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.mean(1)?])).half());
    // The sum exceeds f16's largest number.
    let steep = |x: &[Tensor]| Ok(vec![x[0].to_dtype(DType::F16)?.mean_all()?]);
    cases.push(Case::new("mean", &[&[90]], steep).domain(0, 900.0, 1000.0).half());
    cases.push(Case::new("amax", &[&[6, 50]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.amax(0)?])).half());
    cases.extend([arg::cases(), logic::cases(), log_sum_exp::cases(), product::cases()].into_iter().flatten());
    cases
}
