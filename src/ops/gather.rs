//! Picking elements by index, and its gradient, which adds them back.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const GATHER: &str = include_str!("../../shaders/gather.wgsl");
const OP: &str = "gather";

const SCATTER_ADD: &str = include_str!("../../shaders/scatter_add.wgsl");

/// `output[o, j, i] = input[o, index[o, j, i], i]`.
#[derive(Clone, Debug, Hash)]
struct Gather {
    /// What the caller called, for the error.
    asked: &'static str,
}

/// `output[o, d, i] = sum over j with index[o, j, i] = d of input[o, j, i]`, `d` below `size`.
#[derive(Clone, Debug, Hash)]
struct ScatterAdd {
    size: usize,
}

/// The constants both kernels share: sizes of the indexed dimension, of the index, and of what is within.
fn sized(kernel: Kernel, size: usize, index: &Layout) -> Kernel {
    kernel
        .constant("SIZE", format!("{size}u"))
        .constant("TAKEN", format!("{}u", index.shape[1]))
        .constant("INNER", format!("{}u", index.shape[2]))
        .bind("input", Operand::Input(0))
        .bind("index", Operand::Input(1))
        .bind("output", Operand::Output(0))
}

fn position(index: &HostTensor, at: usize, size: usize, op: &'static str) -> Result<usize> {
    let value = index.values[at];
    if value < 0.0 || value >= size as f64 {
        return Err(Error::IndexOutOfRange { op, index: value as i64, size });
    }
    Ok(value as usize)
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[1].shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (input, index) = (&io.inputs[0], &io.inputs[1]);
        let (size, count) = (input.shape[1], index.shape.numel());
        let mut kernel = sized(Kernel::new("gather", GATHER), size, index)
            .alias("Element", input.dtype.wgsl())
            .values(&[count])
            .words([Word::Fault(self.asked, size), Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count);
        if !input.dtype.is_float() {
            kernel = kernel.hook("invalid", "return Element(0);");
        }
        Ok(kernel.into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let (size, taken, inner) = (input.shape[1], index.shape[1], index.shape[2]);
        let mut values = Vec::with_capacity(index.values.len());
        for at in 0..index.values.len() {
            let from = position(index, at, size, self.asked)?;
            values.push(input.values[(at / (taken * inner) * size + from) * inner + at % inner]);
        }
        Ok(vec![HostTensor::new(index.shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let size = context.input(0).shape()[1];
        let gradient = context.of(0, |g| record_one(ScatterAdd { size }, &[&g.contiguous()?, context.input(1)]))?;
        Ok(vec![gradient, None])
    }
}

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let shape = inputs[1].shape;
        Ok(vec![Layout::contiguous(Shape::new(&[shape[0], self.size, shape[2]])?, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let index = &io.inputs[1];
        let count = io.outputs[0].shape.numel();
        let dtype = io.inputs[0].dtype;
        Ok(sized(Kernel::new("scatter_add", SCATTER_ADD), self.size, index)
            .alias("Element", dtype.wgsl())
            .alias("Accumulator", if dtype.is_float() { "f32" } else { dtype.wgsl() })
            .values(&[count])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count * index.shape[1])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let (outer, taken, inner) = (index.shape[0], index.shape[1], index.shape[2]);
        let mut values = vec![0.0; outer * self.size * inner];
        for at in 0..index.values.len() {
            let to = position(index, at, self.size, "scatter_add")?;
            values[(at / (taken * inner) * self.size + to) * inner + at % inner] += input.values[at];
        }
        Ok(vec![HostTensor::new(Shape::new(&[outer, self.size, inner])?, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let gradient =
            context.of(0, |g| record_one(Gather { asked: "scatter_add" }, &[&g.contiguous()?, context.input(1)]))?;
        Ok(vec![gradient, None])
    }
}

impl Tensor {
    /// Elements picked along `dim`: for `dim = 1`, `output[i, j, k] = self[i, index[i, j, k], k]`.
    ///
    /// `index` is i32 and has as many dimensions; in the others it may be smaller. Gradients of an element picked
    /// several times add up, in a fixed order.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the shapes don't fit, [`Error::WrongDType`], [`Error::DimOutOfRange`]. An index out
    /// of range makes its element NaN and is [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let index = Tensor::from_slice(&device, &[1, 0], &[2, 1])?;
    /// assert_eq!(x.gather(1, &index)?.to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn gather(&self, dim: isize, index: &Tensor) -> Result<Tensor> {
        self.gather_as(OP, dim, index)
    }

    /// [`gather`](Tensor::gather) on behalf of another operation, which errors name.
    #[track_caller]
    pub(crate) fn gather_as(&self, asked: &'static str, dim: isize, index: &Tensor) -> Result<Tensor> {
        if index.dtype() != DType::I32 {
            return Err(Error::WrongDType { op: asked, expected: "an i32 index", got: index.dtype() });
        }
        let dim = self.shape().dim(asked, dim)?;
        // A scalar counts as one element of one dimension.
        if self.rank().min(index.rank()) == 0 && self.rank().max(index.rank()) <= 1 {
            let picked = self.reshape(&[-1])?.gather_as(asked, 0, &index.reshape(&[-1])?)?;
            return picked.reshape_to(*index.shape());
        }
        let fits =
            self.rank() == index.rank() && (0..self.rank()).all(|d| d == dim || index.shape()[d] <= self.shape()[d]);
        if !fits && index.numel() == 0 {
            return Tensor::full(self.device(), index.shape(), 0.0f32)?.to_dtype(self.dtype());
        }
        if !fits {
            let rule = format!(
                "index {} must have as many dimensions as the input {} and be no larger, except along dimension {dim}",
                index.shape(),
                self.shape()
            );
            return Err(Error::invalid(asked, rule));
        }
        // An empty index picks nothing, whatever the other sizes.
        let shape = *index.shape();
        let mut source = self.clone();
        for d in (0..self.rank()).filter(|&d| d != dim) {
            source = source.narrow(d as isize, 0, shape[d])?;
        }
        let three = |t: &Tensor| -> Result<Tensor> {
            let sizes = t.shape();
            let outer: usize = sizes[..dim].iter().product();
            let inner: usize = sizes[dim + 1..].iter().product();
            t.contiguous()?.reshape_to(Shape::new(&[outer, sizes[dim], inner])?)
        };
        record_one(Gather { asked }, &[&three(&source)?, &three(index)?])?.reshape_to(shape)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let gather = |dim, shape: &[usize], index: &[usize], size: i32| {
        Case::new("gather", &[shape, index], move |x| Ok(vec![x[0].gather(dim, &x[1])?]))
            .integers(1, 0, size - 1)
            .tolerance(64.0)
    };
    vec![
        gather(0, &[7], &[12], 7),
        gather(1, &[5, 4], &[5, 9], 4),
        gather(0, &[5, 4], &[3, 2], 5),
        gather(1, &[3, 4, 5], &[3, 6, 5], 4),
        gather(-1, &[3, 4, 5], &[2, 4, 1], 5),
        gather(0, &[4, 1], &[0, 1], 4),
        Case::new("gather", &[&[4, 6], &[4, 3]], |x| Ok(vec![x[0].to_dtype(DType::F16)?.gather(1, &x[1])?]))
            .integers(1, 0, 5)
            .half(),
        Case::new("gather", &[&[4, 6], &[6, 3]], |x| Ok(vec![x[0].t()?.gather(1, &x[1])?])).integers(1, 0, 3),
    ]
}
