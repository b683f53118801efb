//! Running sums and products along one dimension.

mod product;

use crate::device::Adapter;
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("scan/scan");

/// Elements per invocation. Longer chunks mean fewer levels, shorter ones more invocations.
const CHUNK: usize = 128;

/// This many rows keep an adapter busy without being split, unless they are longer than [`LONGEST_WHOLE`].
const ENOUGH_ROWS: usize = 4096;
const LONGEST_WHOLE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Product,
}

/// Scans the middle dimension of contiguous `[outer, length, inner]`, from its start or from its end.
#[derive(Clone, Debug, Hash)]
struct Scan {
    kind: Kind,
    reverse: bool,
}

/// A scan of one level: its buffers and the shape.
struct Level {
    kind: Kind,
    input: Operand,
    output: Operand,
    /// Element, accumulator and result.
    types: [&'static str; 3],
    rows: usize,
    length: usize,
    inner: usize,
    reverse: bool,
    offset: Word,
}

impl Level {
    fn chunk(&self) -> usize {
        let short = self.length <= CHUNK || (self.length <= LONGEST_WHOLE && self.rows >= ENOUGH_ROWS);
        if short { self.length.max(1) } else { CHUNK }
    }

    fn kernel(&self, before: Option<Operand>, to: Operand, totals: bool) -> Kernel {
        let chunks = self.length.div_ceil(self.chunk());
        let count = self.rows * chunks;
        Kernel::new("scan", TEMPLATE)
            .constant("KIND", format!("{}u", self.kind as u32))
            .constant("TOTALS", totals)
            .alias("Element", self.types[0])
            .alias("Accumulator", self.types[1])
            .alias("Result", if totals { self.types[1] } else { self.types[2] })
            .bind("input", self.input)
            .bind("before", before.unwrap_or(self.input))
            .bind("output", to)
            .values(&[count, self.length, self.inner, self.chunk(), chunks])
            .values(&[usize::from(self.reverse), usize::from(before.is_some())])
            .words([self.offset])
            .grid(fold_groups(count, 64))
            .work(self.rows * self.length)
    }

    /// Appends this level's kernels, and those of the levels above it.
    fn append(&self, kernels: &mut Kernels) {
        let chunks = self.length.div_ceil(self.chunk());
        let mut before = None;
        if chunks > 1 {
            let mut temporary = || {
                kernels.temporaries.push(4 * self.rows * chunks);
                Operand::Temporary(kernels.temporaries.len() - 1)
            };
            let (totals, scanned) = (temporary(), temporary());
            kernels.kernels.push(self.kernel(None, totals, true));
            let accumulator = self.types[1];
            let above = Level {
                input: totals,
                output: scanned,
                types: [accumulator; 3],
                length: chunks,
                reverse: false,
                offset: Word::Value(0),
                ..*self
            };
            above.append(kernels);
            before = Some(scanned);
        }
        kernels.kernels.push(self.kernel(before, self.output, false));
    }
}

impl Op for Scan {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sum => "cumsum",
            Kind::Product => "cumprod",
        }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let layout = &io.outputs[0];
        let element = layout.dtype.wgsl();
        let mut kernels = Kernels::default();
        let level = Level {
            kind: self.kind,
            input: Operand::Input(0),
            output: Operand::Output(0),
            types: [element, if layout.dtype.is_float() { "f32" } else { element }, element],
            rows: layout.shape[0] * layout.shape[2],
            length: layout.shape[1],
            inner: layout.shape[2],
            reverse: self.reverse,
            offset: Word::Offset(0),
        };
        level.append(&mut kernels);
        Ok(kernels)
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let (outer, length, inner) = (input.shape[0], input.shape[1], input.shape[2]);
        let mut values = input.values.clone();
        for row in 0..outer * inner {
            let at = |j: usize| {
                let j = if self.reverse { length - 1 - j } else { j };
                (row / inner * length + j) * inner + row % inner
            };
            for j in 1..length {
                let (before, this) = (values[at(j - 1)], values[at(j)]);
                values[at(j)] = match self.kind {
                    Kind::Sum => before + this,
                    Kind::Product => before * this,
                };
            }
        }
        Ok(vec![HostTensor::new(input.shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let gradient = context.of(0, |g| match self.kind {
            Kind::Sum => record_one(Scan { kind: Kind::Sum, reverse: !self.reverse }, &[&g.contiguous()?]),
            Kind::Product => product::gradient(context.input(0), context.output(0), &g, self.reverse),
        })?;
        Ok(vec![gradient])
    }
}

impl Tensor {
    /// The running sum along `dim`: `output[.., j, ..] = sum over k <= j of self[.., k, ..]`.
    ///
    /// f16 is summed in f32; integers keep their type; truth values are counted, in i32. Partial sums are combined in a fixed
    /// order, the same for every run.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`](crate::Error::DimOutOfRange).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.cumsum(1)?.to_vec::<f32>()?, [1.0, 3.0, 3.0, 7.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn cumsum(&self, dim: impl Dim) -> Result<Tensor> {
        self.scan(Kind::Sum, "cumsum", dim)
    }

    /// The running product along `dim`: `output[.., j, ..] = product over k <= j of self[.., k, ..]`.
    ///
    /// Types as in [`cumsum`](Tensor::cumsum). Gradients are right even if elements are 0.
    ///
    /// # Errors
    /// As `cumsum`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.cumprod(1)?.to_vec::<f32>()?, [1.0, 2.0, 3.0, 12.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn cumprod(&self, dim: impl Dim) -> Result<Tensor> {
        self.scan(Kind::Product, "cumprod", dim)
    }

    #[track_caller]
    fn scan(&self, kind: Kind, op: &'static str, dim: impl Dim) -> Result<Tensor> {
        if let Some(cast) = autocast::enter(op)? {
            return cast.of(self)?.scan(kind, op, dim);
        }
        let dim = self.shape().dim(op, dim)?;
        let x = if self.dtype() == DType::Bool { self.to_dtype(DType::I32)? } else { self.clone() };
        let rows = x.contiguous()?.reshape_to(self.shape().around(dim)?)?;
        record_one(Scan { kind, reverse: false }, &[&rows])?.reshape_to(*self.shape())
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, dim) in
        [(&[7][..], 0), (&[], 0), (&[3, 5], 0), (&[2, 3, 5], 1), (&[2, 3, 5], -1), (&[3, 0], 1), (&[0, 3], 1)]
    {
        cases.push(Case::new("cumsum", &[shape], move |x| Ok(vec![x[0].cumsum(dim)?])).with("dim", dim));
        let positive = Case::new("cumprod", &[shape], move |x| Ok(vec![x[0].cumprod(dim)?]));
        cases.push(positive.with("dim", dim).domain(0, 0.5, 1.8));
    }
    // Longer than one chunk, longer than one level, with adjacent rows, from a view, of integers and of 16-bit floats.
    cases.push(Case::new("cumsum", &[&[2, 300]], |x| Ok(vec![x[0].cumsum(1)?])));
    cases.push(Case::new("cumsum", &[&[17_000]], |x| Ok(vec![x[0].cumsum(0)?])).first_order());
    cases.push(Case::new("cumsum", &[&[150, 3]], |x| Ok(vec![x[0].cumsum(0)?])).first_order());
    cases.push(Case::new("cumprod", &[&[2, 300]], |x| Ok(vec![x[0].cumprod(1)?])).domain(0, 0.9, 1.1));
    cases.push(Case::new("cumsum", &[&[4, 5]], |x| Ok(vec![x[0].t()?.cumsum(1)?, x[0].narrow(0, 1, 2)?.cumsum(0)?])));
    cases.push(Case::new("cumsum", &[&[4, 5]], |x| Ok(vec![x[0].cumsum(1)?])).integers(0, -9, 9).no_gradient());
    cases.push(Case::new("cumprod", &[&[4, 5]], |x| Ok(vec![x[0].cumprod(0)?])).integers(0, -3, 3).no_gradient());
    cases.push(Case::new("cumsum", &[&[4, 5]], |x| Ok(vec![x[0].cumsum(1)?])).truth(0).no_gradient());
    cases.push(Case::new("cumsum", &[&[2, 200]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.cumsum(1)?])).half());
    cases.extend(product::cases());
    cases
}
