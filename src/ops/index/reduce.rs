//! Adding or multiplying elements together by index, in a fixed order.
//!
//! Short rows of indices are scanned by each element of the output. Otherwise the sources are sorted by destination, and each
//! element adds up its sources, in order: the work grows with the number of elements and its logarithm, and needs no float
//! atomics, whose order is not defined.

use super::Geometry;
use super::gather::Gather;
use super::sort::{Sorted, sort, temporary};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const PLAIN: &str = wgsl!("index/scatter_reduce");
const KEYS: &str = wgsl!("index/sort_keys");
const PARTIALS: &str = wgsl!("index/segment_partials");
const REDUCE: &str = wgsl!("index/segment_reduce");

/// Sources whose sum an element of the output reads instead, if all of them belong to it; the kernels use the same number.
const CHUNK: usize = 1024;

/// Rows up to this length are scanned by every element, and so are longer ones while that takes few steps in total.
const SHORT_ROW: usize = 8;
const FEW_STEPS: usize = 1 << 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Sum,
    Product,
}

/// `output[o, d, i] = sum over j with index[o, j, i] = d of input[o, j, i]`, `d` below `size`, or the product; an index
/// of one dimension is `index[j]`.
#[derive(Clone, Debug, Hash)]
pub(super) struct ScatterReduce {
    pub size: usize,
    pub kind: Kind,
    /// The operation that the caller called, for errors.
    pub asked: &'static str,
}

impl ScatterReduce {
    pub fn sum(size: usize, asked: &'static str) -> ScatterReduce {
        ScatterReduce { size, kind: Kind::Sum, asked }
    }

    /// Adds everything that all kernels which combine elements share.
    fn combining(&self, kernel: Kernel, dtype: DType) -> Kernel {
        let kernel = kernel
            .alias("Element", dtype.wgsl())
            .alias("Accumulator", dtype.computed())
            .bind("input", Operand::Input(0));
        match self.kind {
            Kind::Sum => kernel,
            Kind::Product => kernel.constant("START", 1).hook("combine", "return a * b;"),
        }
    }

    fn plain(&self, g: &Geometry, dtype: DType) -> Kernels {
        let count = g.outer * g.size * g.inner;
        self.combining(Kernel::new("scatter_reduce", PLAIN), dtype)
            .constant("SHARED", g.shared)
            .bind("index", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .bind("fault", Operand::BadIndex)
            .values(&[count])
            .words([Word::Fault(self.asked.into())])
            .values(&[g.size, g.taken, g.inner])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count * g.taken)
            .into()
    }

    fn sorted(&self, g: &Geometry, dtype: DType) -> Kernels {
        let mut kernels = Kernels::default();
        // Rows with indices of their own become one row with separate destinations.
        let (sources, places) =
            if g.shared { (g.taken, g.size) } else { (g.outer * g.taken * g.inner, g.outer * g.size * g.inner) };
        let keys = temporary(&mut kernels, sources);
        let kernel = Kernel::new("sort_keys", KEYS)
            .constant("SHARED", g.shared)
            .bind("index", Operand::Input(1))
            .bind("keys", keys)
            .bind("fault", Operand::BadIndex)
            .values(&[sources])
            .words([Word::Fault(self.asked.into())])
            .values(&[g.size, g.taken, g.inner, places])
            .words([Word::Offset(1)])
            .grid(fold_groups(sources, 64))
            .work(sources);
        kernels.kernels.push(kernel);
        let Sorted { keys, order, bounds } = sort(&mut kernels, keys, sources, places);
        let (inner, columns) = if g.shared { (g.inner, g.outer * g.inner) } else { (1, 1) };
        let mut partials = None;
        if sources >= CHUNK {
            let count = sources / CHUNK * columns;
            let to = temporary(&mut kernels, count);
            let kernel = self
                .combining(Kernel::new("segment_partials", PARTIALS), dtype)
                .bind("keys", keys)
                .bind("order", order)
                .bind("partials", to)
                .values(&[count, columns, sources, inner])
                .words([Word::Offset(0)])
                .grid(fold_groups(count, 64))
                .work(sources * columns);
            kernels.kernels.push(kernel);
            partials = Some(to);
        }
        let count = places * columns;
        let mut kernel = self
            .combining(Kernel::new("segment_reduce", REDUCE), dtype)
            .bind("order", order)
            .bind("bounds", bounds)
            .bind("output", Operand::Output(0))
            .values(&[count, places, sources, inner, columns])
            .words([Word::Offset(0)])
            .grid(fold_groups(count, 64))
            .work(sources * columns + count);
        if let Some(partials) = partials {
            kernel = kernel.bind("partials", partials).hook("chunk_total", "return partials[place];");
            kernel.declarations =
                "@group(0) @binding(5) var<storage, read> partials: array<Accumulator>;\n".to_string();
        }
        kernels.kernels.push(kernel);
        kernels
    }
}

impl Op for ScatterReduce {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sum => "scatter_add",
            Kind::Product => "scatter",
        }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        let shape = Shape::new(&[input.shape[0], self.size, input.shape[2]])?;
        Ok(vec![Layout::contiguous(shape, input.dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let dtype = io.inputs[0].dtype;
        let g = Geometry::new(&io.inputs[0].shape, self.size, &io.inputs[1].shape);
        let steps = io.outputs[0].shape.numel().saturating_mul(g.taken);
        Ok(if g.taken <= SHORT_ROW || steps <= FEW_STEPS { self.plain(&g, dtype) } else { self.sorted(&g, dtype) })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let shape = Shape::new(&[input.shape[0], self.size, input.shape[2]])?;
        let g = Geometry::new(&input.shape, self.size, &index.shape);
        let mut values = vec![if self.kind == Kind::Sum { 0.0 } else { 1.0 }; shape.numel()];
        for (source, &value) in input.values.iter().enumerate() {
            let to = &mut values[g.destination(index, source, self.asked.into())?];
            *to = input.dtype.quantise(if self.kind == Kind::Sum { *to + value } else { *to * value });
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        if self.kind == Kind::Product {
            return Err(Error::NotDifferentiable { op: self.name() });
        }
        let op = Gather { fault: self.asked.into() };
        Ok(vec![context.of(0, |g| record_one(op, &[&g.contiguous()?, context.input(1)]))?, None])
    }
}
