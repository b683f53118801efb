//! softmax and log_softmax along one dimension.

use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::shader::{Combine, RowFormula};
use crate::shape::Layout;
use std::hash::Hasher;

/// Row length above which a row is reduced by kernels that split it: here one team works on it.
const LONGEST_ROW: usize = 1 << 20;

/// A row of -inf only subtracts -inf from itself, and gives NaN, as in PyTorch.
const REDUCTIONS: &[(Combine, &str)] = &[(Combine::Largest, "{0}"), (Combine::Exponentials, "{0}")];

static SOFTMAX: RowFormula = RowFormula { reductions: REDUCTIONS, result: "(exp({0} - {r0}) / {r1})", whole: true };
static LOG_SOFTMAX: RowFormula = RowFormula { reductions: REDUCTIONS, result: "({0} - {r0} - log({r1}))", whole: true };

/// Softmax over one dimension.
#[derive(Clone, Debug, Hash)]
struct Softmax {
    dim: [usize; 1],
    log: bool,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        if !input.dtype.is_float() {
            return Err(Error::WrongDType { op: self.name(), expected: "floats", got: input.dtype });
        }
        Ok(vec![Layout::contiguous(input.shape, input.dtype)])
    }
    fn class(&self) -> Class<'_> {
        Class::Rows { formula: if self.log { &LOG_SOFTMAX } else { &SOFTMAX }, dims: &self.dim }
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let around = input.shape.around(self.dim[0])?;
        let (outer, size, inner) = (around[0], around[1], around[2]);
        let mut values = vec![0.0; input.values.len()];
        for o in 0..outer {
            for i in 0..inner {
                let at = |d: usize| (o * size + d) * inner + i;
                let row = || (0..size).map(|d| input.values[at(d)]);
                let largest =
                    row().fold(f64::NEG_INFINITY, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) });
                let sum: f64 = row().map(|x| (x - largest).exp()).sum();
                for d in 0..size {
                    let shifted = input.values[at(d)] - largest;
                    values[at(d)] = if self.log { shifted - sum.ln() } else { shifted.exp() / sum };
                }
            }
        }
        Ok(vec![HostTensor::new(input.shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let y = context.output(0);
        let gradient = context.of(0, |g| {
            // In f32, so that f16 is rounded once.
            let (g, y) = (g.to_dtype(DType::F32)?, y.to_dtype(DType::F32)?);
            let of_input = if self.log {
                // g - softmax(x) sum(g)
                &g - y.exp()? * g.sum_keepdim(self.dim)?
            } else {
                // y (g - sum(g y))
                (&g - (&g * &y)?.sum_keepdim(self.dim)?) * &y
            };
            of_input?.to_dtype(context.input(0).dtype())
        })?;
        Ok(vec![gradient])
    }
}

impl Tensor {
    /// `e^x[d] / sum over d of e^x[d]` along `dim`, without overflow.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1000.0f32, 1000.0], &[1, 2])?;
    /// assert_eq!(x.softmax(-1)?.to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn softmax(&self, dim: impl Dim) -> Result<Tensor> {
        self.softmax_along("softmax", dim, false)
    }

    /// `x[d] - log(sum over d of e^x[d])` along `dim`: the logarithm of [`softmax`](Tensor::softmax), accurate even if that
    /// underflows.
    ///
    /// # Errors
    /// As `softmax`.
    #[track_caller]
    pub fn log_softmax(&self, dim: impl Dim) -> Result<Tensor> {
        self.softmax_along("log_softmax", dim, true)
    }

    /// `e^-x[d] / sum over d of e^-x[d]` along `dim`: [`softmax`](Tensor::softmax) of `-x`.
    ///
    /// # Errors
    /// As `softmax`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1000.0f32, 1000.0, 9000.0], &[3])?;
    /// assert_eq!(x.softmin(0)?.to_vec::<f32>()?, [0.5, 0.5, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn softmin(&self, dim: impl Dim) -> Result<Tensor> {
        const OP: &str = "softmin";
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        (-self)?.softmax_along(OP, dim, false)
    }

    #[track_caller]
    fn softmax_along(&self, op: &'static str, dim: impl Dim, log: bool) -> Result<Tensor> {
        if let Some(cast) = autocast::enter(op)? {
            return cast.of(self)?.softmax_along(op, dim, log);
        }
        let at = self.shape().dim(op, dim)?;
        if self.rank() == 0 {
            return self.reshape(&[1])?.softmax_along(op, 0, log)?.reshape(&[]);
        }
        if self.shape()[at] > LONGEST_ROW && self.dtype().is_float() {
            // The result does not depend on the number that is subtracted, so no gradient flows through it.
            let x = self.to_dtype(DType::F32)?;
            let shifted = (&x - x.detach().amax_keepdim(dim)?)?;
            let powers = shifted.exp()?;
            let sum = powers.sum_keepdim(dim)?;
            let y = if log { &shifted - sum.log()? } else { &powers / &sum }?;
            return y.to_dtype(self.dtype());
        }
        record_one(Softmax { dim: [at], log }, &[&self.contiguous()?])
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, dim) in [
        (&[7][..], 0),
        (&[], 0),
        (&[5, 10], 1),
        (&[5, 10], 0),
        (&[3, 1, 4], 1),
        (&[2, 3, 4, 5], 1),
        (&[2, 70], -1),
        (&[0, 4], 1),
    ] {
        cases.push(Case::new("softmax", &[shape], move |x| Ok(vec![x[0].softmax(dim)?])).with("dim", dim));
        cases.push(Case::new("log_softmax", &[shape], move |x| Ok(vec![x[0].log_softmax(dim)?])).with("dim", dim));
    }
    for (shape, dim) in [(&[5, 10][..], 1), (&[2, 3, 4], -2), (&[0, 4], 1)] {
        cases.push(Case::new("softmin", &[shape], move |x| Ok(vec![x[0].softmin(dim)?])).with("dim", dim));
    }
    cases.push(Case::new("softmax", &[&[6, 3]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.softmax(1)?])).half());
    cases.push(Case::new("softmax", &[&[6, 3]], |x| Ok(vec![x[0].t()?.softmax(1)?])));
    cases.push(Case::new("log_softmax", &[&[1_050_000]], |x| Ok(vec![x[0].log_softmax(0)?])).no_differences());
    cases.push(Case::new("softmax", &[&[2, 20_000]], |x| Ok(vec![x[0].softmax(1)?])).no_differences());
    cases
}
