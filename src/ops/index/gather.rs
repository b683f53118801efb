//! Picking elements by index, and its gradient, which adds them back.

use super::reduce::ScatterReduce;
use super::{Geometry, check_index, three};
use crate::device::Adapter;
use crate::dims::Dim;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::pointwise::{Accepts, Makes, Row, apply};
use crate::shader::{Fault, Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("index/gather");

/// `output[o, j, i] = input[o, index[o, j, i], i]`; an index of one dimension is `index[j]`.
#[derive(Clone, Debug, Hash)]
pub(super) struct Gather {
    /// The meaning of a bad index.
    pub fault: Fault,
}

/// The remainder of a division of integers, with the divisor's sign.
static WRAP: Row =
    Row::plain("wrap", 2, "({0} % {1} + select(I(0), {1}, ({0} % {1}) < I(0)))", Accepts::Signed, Makes::Same, |x| {
        x[0].rem_euclid(x[1])
    });

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (input, taken) = (&inputs[0], Geometry::taken(&inputs[1].shape));
        let shape = Shape::new(&[input.shape[0], taken, input.shape[2]])?;
        Ok(vec![Layout::contiguous(shape, input.dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let input = &io.inputs[0];
        let g = Geometry::new(&io.outputs[0].shape, input.shape[1], &io.inputs[1].shape);
        let count = io.outputs[0].shape.numel();
        let mut kernel = Kernel::new("gather", TEMPLATE)
            .alias("Element", input.dtype.wgsl())
            .alias("Value", input.dtype.computed())
            .constant("SHARED", g.shared)
            .bind("input", Operand::Input(0))
            .bind("index", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .bind("fault", Operand::BadIndex)
            .values(&[count])
            .words([Word::Fault(self.fault)])
            .values(&[g.size, g.taken, g.inner])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(count);
        if !input.dtype.is_float() {
            kernel = kernel.hook("invalid", "return Value(0);");
        }
        Ok(kernel.into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let shape = Shape::new(&[input.shape[0], Geometry::taken(&index.shape), input.shape[2]])?;
        let g = Geometry::new(&shape, input.shape[1], &index.shape);
        let mut values = Vec::with_capacity(shape.numel());
        for source in 0..shape.numel() {
            values.push(input.values[g.destination(index, source, self.fault)?]);
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let op = ScatterReduce::sum(context.input(0).shape()[1], self.fault.op());
        Ok(vec![context.of(0, |g| record_one(op, &[&g.contiguous()?, context.input(1)]))?, None])
    }
}

impl Tensor {
    /// Elements picked along `dim`: for `dim = 1`, `output[i, j, k] = self[i, index[i, j, k], k]`.
    ///
    /// `index` is i32 and has as many dimensions; in the others it may be smaller. Gradients of an element picked
    /// several times add up, in a fixed order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes don't fit, [`Error::WrongDType`], [`Error::DimOutOfRange`]. An index out
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
    pub fn gather(&self, dim: impl Dim, index: &Tensor) -> Result<Tensor> {
        self.gather_as("gather", dim, index)
    }

    /// [`gather`](Tensor::gather) for another operation, which errors name; a bad index is reported as `fault`.
    #[track_caller]
    pub(crate) fn gather_as(&self, fault: impl Into<Fault>, dim: impl Dim, index: &Tensor) -> Result<Tensor> {
        let fault = fault.into();
        let asked = fault.op();
        check_index(asked, index)?;
        let dim = self.shape().dim(asked, dim)?;
        // A scalar counts as one element of one dimension.
        if self.rank().min(index.rank()) == 0 && self.rank().max(index.rank()) <= 1 {
            let picked = self.reshape(&[-1])?.gather_as(fault, 0, &index.reshape(&[-1])?)?;
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
        let source = self.cut_to(&shape, Some(dim))?;
        record_one(Gather { fault }, &[&three(&source, dim)?, &three(index, dim)?])?.reshape_to(shape)
    }

    /// The first elements along every dimension, as many as `shape` has; all of them along `except`.
    #[track_caller]
    pub(super) fn cut_to(&self, shape: &Shape, except: Option<usize>) -> Result<Tensor> {
        let mut cut = self.clone();
        for d in (0..self.rank()).filter(|&d| Some(d) != except) {
            cut = cut.narrow(d, 0, shape[d])?;
        }
        Ok(cut)
    }

    /// Slices picked along `dim`: for `dim = 1`, `output[i, j, k] = self[i, index[j], k]`, so that `[.., n, ..]` becomes
    /// `[.., K, ..]`.
    ///
    /// `index` is i32, of shape `[K]` or a scalar, which counts as one element. Gradients of a slice picked several
    /// times add up, in a fixed order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the index has more dimensions, or is not one element for an input that is a scalar;
    /// [`Error::WrongDType`], [`Error::DimOutOfRange`]. An index out of range makes its slice NaN and is
    /// [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let index = Tensor::from_slice(&device, &[1, 1, 0], &[3])?;
    /// assert_eq!(x.index_select(0, &index)?.to_vec::<f32>()?, [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn index_select(&self, dim: impl Dim, index: &Tensor) -> Result<Tensor> {
        self.select_as("index_select", dim, index)
    }

    /// [`index_select`](Tensor::index_select) for another operation, which errors name.
    #[track_caller]
    pub(super) fn select_as(&self, asked: &'static str, dim: impl Dim, index: &Tensor) -> Result<Tensor> {
        check_index(asked, index)?;
        let dim = self.shape().dim(asked, dim)?;
        if index.rank() > 1 {
            return Err(Error::invalid(asked, format!("index {} must have one dimension or none", index.shape())));
        }
        let index = index.contiguous()?.reshape(&[-1])?;
        if self.rank() == 0 {
            if index.numel() != 1 {
                let rule = format!("index {} must be one element, as the input is a scalar", index.shape());
                return Err(Error::invalid(asked, rule));
            }
            return self.reshape(&[1])?.select_as(asked, 0, &index)?.reshape_to(*self.shape());
        }
        let mut sizes = self.shape().to_vec();
        sizes[dim] = index.numel();
        let shape = Shape::new(&sizes)?;
        record_one(Gather { fault: asked.into() }, &[&three(self, dim)?, &index])?.reshape_to(shape)
    }

    /// Elements picked along `dim`, as [`gather`](Tensor::gather) does, where the other dimensions of the two tensors
    /// broadcast. Without `dim` both count as flat.
    ///
    /// As in PyTorch, indices along a dimension wrap around at its ends: -1 is the last element, `n` the first. Flat
    /// ones don't.
    ///
    /// It accepts the indices that `argmax` and `argsort` return with the dimension kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the numbers of dimensions differ or are 0, and if the dimension is empty;
    /// [`Error::Broadcast`]; as [`gather`](Tensor::gather).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[10.0f32, 30.0, 20.0, 60.0, 40.0, 50.0], &[2, 3])?;
    /// let best = x.argmax_keepdim(1)?;
    /// assert_eq!(x.take_along_dim(&best, Some(1))?.to_vec::<f32>()?, [30.0, 60.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn take_along_dim(&self, indices: &Tensor, dim: Option<isize>) -> Result<Tensor> {
        const OP: &str = "take_along_dim";
        check_index(OP, indices)?;
        let Some(dim) = dim else {
            return self.reshape(&[-1])?.gather_as(OP, 0, &indices.reshape(&[-1])?);
        };
        if self.rank() != indices.rank() || self.rank() == 0 {
            let rule =
                format!("{} and indices {} must have as many dimensions, at least one", self.shape(), indices.shape());
            return Err(Error::invalid(OP, rule));
        }
        let at = self.shape().dim(OP, dim)?;
        let size = self.shape()[at];
        if size == 0 && indices.numel() > 0 {
            let rule = format!("nothing to pick from: {} is empty along dimension {at}", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        // If the size exceeds i32, only negative numbers could wrap, and they are out of range then.
        let wrapped = match i32::try_from(size) {
            Ok(size) if size > 0 => apply(&WRAP, &[indices, &Tensor::full(indices.device(), &[], size)?])?,
            _ => indices.clone(),
        };
        // The shape to which both broadcast, with a given size along the dimension.
        let joint = |size: usize| -> Result<Shape> {
            let with = |tensor: &Tensor| {
                let mut sizes = tensor.shape().to_vec();
                sizes[at] = size;
                Shape::new(&sizes)
            };
            with(self)?.broadcast(&with(indices)?, OP)
        };
        let source = self.expand_to(joint(size)?, OP)?;
        source.gather_as(OP, dim, &wrapped.expand_to(joint(indices.shape()[at])?, OP)?)
    }
}
