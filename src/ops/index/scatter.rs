//! Placing elements by index.

use super::gather::Gather;
use super::reduce::{Kind, ScatterReduce};
use super::{Geometry, check_index, three};
use crate::device::Adapter;
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::autocast;
use crate::ops::shape::pad::PadMode;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const CLEAR: &str = wgsl!("index/scatter_clear");
const MARK: &str = wgsl!("index/scatter_mark");
const PICK: &str = wgsl!("index/scatter_pick");

/// Combines the elements that go to one destination with the element there, in [`Tensor::scatter_reduce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScatterReduction {
    /// Adds them up.
    Add,
    /// Multiplies them together.
    Multiply,
}

/// `output[o, index[o, j, i], i] = input[o, j, i]`, the last `j` winning, and 0 without a source; and the winning source: its
/// number in row-major order plus 1, or 0.
#[derive(Clone, Debug, Hash)]
struct Scatter {
    size: usize,
    /// The operation that the caller called, for errors.
    asked: &'static str,
}

/// The kernels that place the elements of input 0 in output 0 by the index, input 1, where the last of several for a place wins;
/// places without one get 0. Sizes are those of the output's middle dimension and of the input's last two. `winners` takes for
/// each place the number of its source plus 1, or 0.
pub(in crate::ops) fn last_wins(
    asked: &'static str,
    io: &Io,
    [size, taken, inner]: [usize; 3],
    winners: Operand,
) -> Vec<Kernel> {
    let input = &io.inputs[0];
    let (sources, places) = (input.shape.numel(), io.outputs[0].shape.numel());
    let clear = Kernel::new("scatter_clear", CLEAR)
        .bind("winners", winners)
        .values(&[places])
        .grid(fold_groups(places, 64))
        .work(places);
    let mark = Kernel::new("scatter_mark", MARK)
        .bind("index", Operand::Input(1))
        .bind("winners", winners)
        .bind("fault", Operand::BadIndex)
        .values(&[sources])
        .words([Word::Fault(asked.into())])
        .values(&[size, taken, inner])
        .words([Word::Offset(1)])
        .grid(fold_groups(sources, 64))
        .work(sources);
    let pick = Kernel::new("scatter_pick", PICK)
        .alias("Element", input.dtype.wgsl())
        .bind("input", Operand::Input(0))
        .bind("winners", winners)
        .bind("output", Operand::Output(0))
        .values(&[places])
        .words([Word::Offset(0)])
        .grid(fold_groups(places, 64))
        .work(places);
    vec![clear, mark, pick]
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        let shape = Shape::new(&[input.shape[0], self.size, input.shape[2]])?;
        Ok(vec![Layout::contiguous(shape, input.dtype), Layout::contiguous(shape, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let shape = io.inputs[0].shape;
        let kernels = last_wins(self.asked, io, [self.size, shape[1], shape[2]], Operand::Output(1));
        Ok(Kernels { kernels, ..Kernels::default() })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (input, index) = (&inputs[0], &inputs[1]);
        let shape = Shape::new(&[input.shape[0], self.size, input.shape[2]])?;
        let g = Geometry::new(&input.shape, self.size, &index.shape);
        let mut values = vec![0.0; shape.numel()];
        let mut winners = vec![0.0; shape.numel()];
        for (source, &value) in input.values.iter().enumerate() {
            let to = g.destination(index, source, self.asked.into())?;
            values[to] = value;
            winners[to] = (source + 1) as f64;
        }
        Ok(vec![HostTensor::new(shape, input.dtype, values), HostTensor::new(shape, DType::I32, winners)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let op = Gather { fault: self.asked.into() };
        Ok(vec![context.of(0, |g| record_one(op, &[&g.contiguous()?, context.input(1)]))?, None])
    }
}

/// A call of one of the methods, checked.
struct Call {
    asked: &'static str,
    dim: usize,
    /// The tensor that is written into; a scalar as one element of one dimension.
    onto: Tensor,
    /// The source, cut to the shape of the index.
    source: Tensor,
    index: Tensor,
}

impl Call {
    fn new(asked: &'static str, onto: &Tensor, dim: impl Dim, index: &Tensor, source: &Tensor) -> Result<Call> {
        check_index(asked, index)?;
        if source.dtype() != onto.dtype() {
            let expected = "a source of the input's type (see to_dtype)";
            return Err(Error::WrongDType { op: asked, expected, got: source.dtype() });
        }
        let dim = onto.shape().dim(asked, dim)?;
        let flat = |tensor: &Tensor| if tensor.rank() == 0 { tensor.reshape(&[1]) } else { Ok(tensor.clone()) };
        let (onto, index, source) = (flat(onto)?, flat(index)?, flat(source)?);
        if index.numel() > 0 {
            let (to, at, from) = (onto.shape(), index.shape(), source.shape());
            let fits = at.len() == to.len()
                && at.len() == from.len()
                && (0..at.len()).all(|d| at[d] <= from[d] && (d == dim || at[d] <= to[d]));
            if !fits {
                let rule = format!(
                    "index {at} must have as many dimensions as the source {from} and the input {to} and be no larger, \
                     except than the input along dimension {dim}"
                );
                return Err(Error::invalid(asked, rule));
            }
            if to[dim] == 0 {
                let rule = format!("index {at} has nowhere to point to: the input {to} is empty along dimension {dim}");
                return Err(Error::invalid(asked, rule));
            }
        }
        Ok(Call { asked, dim, onto, source, index })
    }

    /// Source and index in three dimensions.
    #[track_caller]
    fn operands(&self) -> Result<[Tensor; 2]> {
        let source = self.source.cut_to(self.index.shape(), None)?;
        Ok([three(&source, self.dim)?, three(&self.index, self.dim)?])
    }

    fn size(&self) -> usize {
        self.onto.shape()[self.dim]
    }

    /// The result for the sources in the shape of the input, which may be larger than the index.
    #[track_caller]
    fn spread(&self, placed: &Tensor, fill: f64) -> Result<Tensor> {
        let mut sizes = self.index.shape().to_vec();
        sizes[self.dim] = self.size();
        let placed = placed.reshape_to(Shape::new(&sizes)?)?;
        let after = (0..sizes.len()).rev().map(|d| (self.onto.shape()[d] - sizes[d]) as isize);
        let pads: Vec<isize> = after.flat_map(|after| [0, after]).collect();
        if pads.iter().all(|&pad| pad == 0) { Ok(placed) } else { placed.pad(&pads, PadMode::Constant(fill)) }
    }
}

impl Tensor {
    /// A copy with elements of `source` stored at indices along `dim`: for `dim = 1`,
    /// `output[i, index[i, j, k], k] = source[i, j, k]`. If several have the same index, the last in order (the largest `j`)
    /// wins, on every device.
    ///
    /// `index` is i32 and has the same number of dimensions; it may be smaller than `source`, and than the input in the other
    /// dimensions. No gradient reaches an element that is overwritten. As in PyTorch, an element of `source` gets the gradient at
    /// its index even if another one won.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes don't fit, [`Error::WrongDType`], [`Error::DimOutOfRange`]. An index out
    /// of range is [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[4])?;
    /// let index = Tensor::from_slice(&device, &[3, 1, 3], &[3])?;
    /// let source = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[3])?;
    /// assert_eq!(x.scatter(0, &index, &source)?.to_vec::<f32>()?, [0.0, 2.0, 0.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter(&self, dim: impl Dim, index: &Tensor, source: &Tensor) -> Result<Tensor> {
        let call = Call::new("scatter", self, dim, index, source)?;
        if index.numel() == 0 {
            return Ok(self.clone());
        }
        let [source, index] = call.operands()?;
        let op = Scatter { size: call.size(), asked: call.asked };
        let mut placed = record(op, &[&source, &index])?;
        let (winners, values) = (placed.swap_remove(1), placed.swap_remove(0));
        let is_hit = call.spread(&winners, 0.0)?.to_dtype(DType::Bool)?;
        is_hit.where_(&call.spread(&values, 0.0)?, &call.onto)?.reshape_to(*self.shape())
    }

    /// [`scatter`](Tensor::scatter) of one number, in this tensor's type.
    ///
    /// # Errors
    /// As `scatter`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let labels = Tensor::from_slice(&device, &[1, 2], &[2, 1])?;
    /// let one_hot = Tensor::zeros(&device, &[2, 3])?.scatter_value(1, &labels, 1.0)?;
    /// assert_eq!(one_hot.to_vec::<f32>()?, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter_value(&self, dim: impl Dim, index: &Tensor, value: f64) -> Result<Tensor> {
        self.scatter(dim, index, &self.number(value)?.expand_to(*index.shape(), "scatter")?)
    }

    /// A copy with elements of `source` added at indices along `dim`: for `dim = 1`,
    /// `output[i, index[i, j, k], k] += source[i, j, k]`, in a fixed order: the same bits every time.
    ///
    /// `index` is i32 and has the same number of dimensions; it may be smaller than `source`, and than the input in the other
    /// dimensions. Truth values are joined by "or".
    ///
    /// # Errors
    /// As [`scatter`](Tensor::scatter).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::ones(&device, &[3])?;
    /// let index = Tensor::from_slice(&device, &[2, 0, 2], &[3])?;
    /// let source = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[3])?;
    /// assert_eq!(x.scatter_add(0, &index, &source)?.to_vec::<f32>()?, [3.0, 1.0, 5.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter_add(&self, dim: impl Dim, index: &Tensor, source: &Tensor) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("scatter_add")? {
            let (onto, source) = cast.both(self, source)?;
            return onto.scatter_add(dim, index, &source);
        }
        self.reduce_onto("scatter_add", dim, index, source, Kind::Sum)
    }

    /// [`scatter`](Tensor::scatter) with its `reduce`: elements of `source` are added to the elements there, as by
    /// [`scatter_add`](Tensor::scatter_add), or multiplied with them. The product has no gradient.
    ///
    /// # Errors
    /// As [`scatter`](Tensor::scatter).
    ///
    /// ```
    /// # use wgrad::{Device, ScatterReduction, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3], &[3])?;
    /// let index = Tensor::from_slice(&device, &[2, 0, 2], &[3])?;
    /// let source = Tensor::from_slice(&device, &[5, 6, 7], &[3])?;
    /// let product = x.scatter_reduce(0, &index, &source, ScatterReduction::Multiply)?;
    /// assert_eq!(product.to_vec::<i32>()?, [6, 2, 105]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter_reduce(
        &self,
        dim: impl Dim,
        index: &Tensor,
        source: &Tensor,
        reduction: ScatterReduction,
    ) -> Result<Tensor> {
        let kind = match reduction {
            ScatterReduction::Add => Kind::Sum,
            ScatterReduction::Multiply => Kind::Product,
        };
        self.reduce_onto("scatter", dim, index, source, kind)
    }

    #[track_caller]
    fn reduce_onto(
        &self,
        asked: &'static str,
        dim: impl Dim,
        index: &Tensor,
        source: &Tensor,
        kind: Kind,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        if self.dtype() == DType::Bool && source.dtype() == DType::Bool {
            let [onto, source] = [self, source].map(|tensor| tensor.to_dtype(DType::I32));
            return onto?.reduce_onto(asked, dim, index, &source?, kind)?.to_dtype(DType::Bool);
        }
        let call = Call::new(asked, self, dim, index, source)?;
        if index.numel() == 0 {
            return Ok(self.clone());
        }
        let [source, index] = call.operands()?;
        let reduced = record_one(ScatterReduce { size: call.size(), kind, asked }, &[&source, &index])?;
        match kind {
            Kind::Sum => &call.onto + call.spread(&reduced, 0.0)?,
            Kind::Product => &call.onto * call.spread(&reduced, 1.0)?,
        }?
        .reshape_to(*self.shape())
    }

    /// A copy with slices of `source`, times `alpha`, added at indices along `dim`: for `dim = 1`,
    /// `output[i, index[j], k] += alpha source[i, j, k]`, in a fixed order. `index` is i32, of shape `[K]` or a scalar.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `source` does not have the shape of the input with `K` along `dim`, or the index has
    /// more dimensions; [`Error::WrongDType`], [`Error::DimOutOfRange`]. An index out of range is
    /// [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[3, 2])?;
    /// let index = Tensor::from_slice(&device, &[2, 2], &[2])?;
    /// let source = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.index_add(0, &index, &source, 1.0)?.to_vec::<f32>()?, [0.0, 0.0, 0.0, 0.0, 4.0, 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn index_add(&self, dim: impl Dim, index: &Tensor, source: &Tensor, alpha: f64) -> Result<Tensor> {
        const OP: &str = "index_add";
        let _line = ascribe_to_caller();
        check_index(OP, index)?;
        if source.dtype() != self.dtype() {
            let expected = "a source of the input's type (see to_dtype)";
            return Err(Error::WrongDType { op: OP, expected, got: source.dtype() });
        }
        if self.dtype() == DType::Bool {
            let [onto, source] = [self, source].map(|tensor| tensor.to_dtype(DType::I32));
            return onto?.index_add(dim, index, &source?, alpha)?.to_dtype(DType::Bool);
        }
        let dim = self.shape().dim(OP, dim)?;
        let flat = |tensor: &Tensor| if tensor.rank() == 0 { tensor.reshape(&[1]) } else { Ok(tensor.clone()) };
        let (onto, from) = (flat(self)?, flat(source)?);
        let mut expected = onto.shape().to_vec();
        expected[dim] = index.numel();
        if index.rank() > 1 || from.shape()[..] != expected[..] {
            let rule = format!(
                "index {} must have one dimension or none, and the source {} must have its size along dimension {dim} \
                 and the sizes of the input {} along the others",
                index.shape(),
                source.shape(),
                self.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if onto.shape()[dim] == 0 && index.numel() > 0 {
            let rule = format!("the index has nowhere to point to: {} is empty along dimension {dim}", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let index = index.contiguous()?.reshape(&[-1])?;
        let op = ScatterReduce::sum(onto.shape()[dim], OP);
        let added = record_one(op, &[&three(&from, dim)?, &index])?.reshape_to(*onto.shape())?;
        let added = if alpha == 1.0 { added } else { (&added * alpha)? };
        (&onto + &added)?.reshape_to(*self.shape())
    }
}
