//! Other layouts of the same elements, without a copy: reshape, permute, expand; slices are in `slice`.
//!
//! Gradients: a reshape or permute back; the sum over expanded dimensions; zeros around a slice.

use crate::dims::{Dim, Dims};
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Tensor, Vjp, grad_enabled, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::shape::slice::slice_backward;
use crate::shape::{Layout, Shape};
use std::any::Any;
use std::hash::Hasher;

/// The change that a view makes to the layout.
#[derive(Clone, Debug, Hash)]
pub(in crate::ops) enum View {
    Reshape(Shape),
    Permute(Vec<usize>),
    Expand(Shape),
    Slice {
        dim: usize,
        start: usize,
        length: usize,
        step: usize,
    },
    /// Several of these in one: the resulting layout, counted from the input's first element.
    Strided(Layout),
}

impl Op for View {
    fn name(&self) -> &'static str {
        match self {
            View::Reshape(_) => "reshape",
            View::Permute(_) => "permute",
            View::Expand(_) => "expand",
            View::Slice { .. } => "slice",
            View::Strided(_) => "as_strided",
        }
    }
    /// The resulting layout says everything, and the planner compares it: the start of a slice is data.
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        let strides = input.strides();
        let output = match self {
            View::Reshape(shape) => input
                .reshape(*shape)
                .ok_or_else(|| Error::Internal { op: "reshape", reason: "these strides need a copy".to_string() })?,
            View::Permute(dims) => {
                let sizes: Vec<usize> = dims.iter().map(|&d| input.shape[d]).collect();
                let strides: Vec<usize> = dims.iter().map(|&d| strides[d]).collect();
                Layout::strided(Shape::new(&sizes)?, &strides, input.offset, input.dtype)
            }
            View::Expand(shape) => {
                let added = shape.len() - input.shape.len();
                let stride = |d: usize| match d.checked_sub(added) {
                    Some(old) if input.shape[old] == shape[d] => strides[old],
                    _ => 0,
                };
                let strides: Vec<usize> = (0..shape.len()).map(stride).collect();
                Layout::strided(*shape, &strides, input.offset, input.dtype)
            }
            View::Slice { dim, start, length, step } => {
                let (mut sizes, mut new) = (input.shape.to_vec(), strides.to_vec());
                sizes[*dim] = *length;
                new[*dim] *= step;
                Layout::strided(Shape::new(&sizes)?, &new, input.offset + start * strides[*dim], input.dtype)
            }
            View::Strided(layout) => {
                Layout::strided(layout.shape, layout.strides(), input.offset + layout.offset, layout.dtype)
            }
        };
        Ok(vec![output])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let layout = Layout::contiguous(inputs[0].shape, inputs[0].dtype);
        Ok(self.outputs(&[layout])?.iter().map(|output| inputs[0].view(output)).collect())
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let shape = *context.input(0).shape();
        let gradient = context.of(0, |g| match self {
            View::Reshape(_) => g.reshape_to(shape),
            View::Permute(dims) => {
                let mut back = vec![0; dims.len()];
                for (to, &from) in dims.iter().enumerate() {
                    back[from] = to as isize;
                }
                g.permute(&back)
            }
            View::Expand(_) => g.sum_to(shape),
            View::Slice { dim, start, step, .. } => slice_backward(&g, shape, [*dim, *start, *step]),
            // Recorded only if no gradient flows through it.
            View::Strided(_) => Err(Error::NotDifferentiable { op: self.name() }),
        })?;
        Ok(vec![gradient])
    }
}

impl Tensor {
    /// The same elements in row-major order as another shape; one size may be -1 and is computed.
    ///
    /// A view if the strides allow it, otherwise a copy.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the numbers of elements differ.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[2, 3, 4])?;
    /// assert_eq!(x.reshape(&[2, -1])?.shape()[..], [2, 12]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn reshape(&self, shape: &[isize]) -> Result<Tensor> {
        self.reshape_to(self.sizes_for("reshape", shape)?)
    }

    /// The same elements as another shape without a copy, as [`reshape`](Tensor::reshape) but never one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the numbers of elements differ, and if no strides show the elements like that.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[2, 3])?;
    /// assert_eq!(x.view(&[3, -1])?.shape()[..], [3, 2]);
    /// assert!(x.t()?.view(&[6]).is_err());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn view(&self, shape: &[isize]) -> Result<Tensor> {
        let shape = self.sizes_for("view", shape)?;
        if self.layout().reshape(shape).is_none() {
            let rule = format!(
                "{} with strides {:?} cannot show {shape} without a copy; see reshape",
                self.shape(),
                self.layout().strides()
            );
            return Err(Error::invalid("view", rule));
        }
        self.reshape_to(shape)
    }

    /// The requested shape, with its -1 computed.
    fn sizes_for(&self, op: &'static str, shape: &[isize]) -> Result<Shape> {
        let wrong = || Error::invalid(op, format!("{} does not fit {shape:?}", self.shape()));
        let sizes = shape.iter().filter(|&&s| s >= 0).map(|&s| nearest::<usize>(s));
        let known = sizes.clone().try_fold(1usize, usize::checked_mul).ok_or_else(wrong)?;
        let unknown = shape.iter().filter(|&&s| s < 0).count();
        if unknown > 1 || shape.iter().any(|&s| s < -1) {
            return Err(wrong());
        }
        if unknown == 1 && (known == 0 || !self.numel().is_multiple_of(known)) {
            return Err(wrong());
        }
        let sizes: Vec<usize> =
            shape.iter().map(|&s| if s < 0 { self.numel() / known } else { nearest::<usize>(s) }).collect();
        let shape = Shape::new(&sizes)?;
        if shape.numel() == self.numel() { Ok(shape) } else { Err(wrong()) }
    }

    /// Records a view; if no gradient flows through this view, one of its input, or just its input.
    #[track_caller]
    pub(in crate::ops) fn record_view(&self, view: View) -> Result<Tensor> {
        let Some(base) = self.view_base() else { return record_one(view, &[self]) };
        let layout = view.outputs(&[*self.layout()])?.swap_remove(0);
        if layout == *base.layout() {
            return Ok(base);
        }
        // A view without elements may begin anywhere.
        let offset = layout.offset.saturating_sub(base.layout().offset);
        let layout = Layout::strided(layout.shape, layout.strides(), offset, layout.dtype);
        record_one(View::Strided(layout), &[&base])
    }

    /// The tensor that this is a view of, if no gradient flows through it and a layout in it can be counted in its elements.
    fn view_base(&self) -> Option<Tensor> {
        if grad_enabled() && self.is_tracked() {
            return None;
        }
        let op: &dyn Any = &*self.node.op;
        op.downcast_ref::<View>()?;
        self.node.state.lock().inputs.first().filter(|base| base.layout().is_contiguous()).cloned()
    }

    #[track_caller]
    pub(crate) fn reshape_to(&self, shape: Shape) -> Result<Tensor> {
        if *self.shape() == shape {
            return Ok(self.clone());
        }
        match self.layout().reshape(shape) {
            Some(_) => self.record_view(View::Reshape(shape)),
            None => self.copy()?.record_view(View::Reshape(shape)),
        }
    }

    /// Dimensions in another order: dimension `d` of the result is dimension `dims[d]` of this tensor.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `dims` is not a permutation, [`Error::DimOutOfRange`], [`Error::DimRepeated`].
    #[track_caller]
    pub fn permute(&self, dims: impl Dims) -> Result<Tensor> {
        let dims = dims.numbers(self.rank());
        if dims.len() != self.rank() {
            return Err(Error::invalid(
                "permute",
                format!("{dims:?} does not order the dimensions of {}", self.shape()),
            ));
        }
        let mut order = Vec::with_capacity(dims.len());
        for dim in dims {
            let dim = self.shape().dim("permute", dim)?;
            if order.contains(&dim) {
                return Err(Error::DimRepeated { op: "permute", dim });
            }
            order.push(dim);
        }
        if order.iter().enumerate().all(|(i, &d)| i == d) {
            return Ok(self.clone());
        }
        self.record_view(View::Permute(order))
    }

    /// Two dimensions swapped.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`].
    #[track_caller]
    pub fn transpose(&self, first: impl Dim, second: impl Dim) -> Result<Tensor> {
        let (first, second) = (self.shape().dim("transpose", first)?, self.shape().dim("transpose", second)?);
        let mut order: Vec<usize> = (0..self.rank()).collect();
        if !order.is_empty() {
            order.swap(first, second);
        }
        self.permute(&order)
    }

    /// A matrix transposed; vectors and scalars are unchanged.
    ///
    /// # Errors
    /// [`Error::Invalid`] past two dimensions.
    #[track_caller]
    pub fn t(&self) -> Result<Tensor> {
        match self.rank() {
            0 | 1 => Ok(self.clone()),
            2 => self.permute([1, 0]),
            _ => Err(Error::invalid("t", format!("expected at most 2 dimensions, got {}", self.shape()))),
        }
    }

    /// Merges dimensions `start` to `end`, both included.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::Invalid`] if `end` is before `start`.
    #[track_caller]
    pub fn flatten(&self, start: impl Dim, end: impl Dim) -> Result<Tensor> {
        let (start, end) = (self.shape().dim("flatten", start)?, self.shape().dim("flatten", end)?);
        if end < start {
            return Err(Error::invalid("flatten", format!("end {end} is before start {start}")));
        }
        if self.rank() == 0 {
            return self.reshape(&[1]);
        }
        let mut sizes: Vec<usize> = self.shape()[..start].to_vec();
        sizes.push(self.shape()[start..=end].iter().product());
        sizes.extend(&self.shape()[end + 1..]);
        self.reshape_to(Shape::new(&sizes)?)
    }

    /// Removes those of `dims` that have size 1.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::DimRepeated`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[1, 3, 1])?;
    /// assert_eq!(x.squeeze(0)?.shape()[..], [3, 1]);
    /// assert_eq!(x.squeeze(..)?.shape()[..], [3]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn squeeze(&self, dims: impl Dims) -> Result<Tensor> {
        let dims = self.shape().dims("squeeze", dims)?;
        let single: Vec<usize> = dims.into_iter().filter(|&d| self.shape()[d] == 1).collect();
        self.reshape_to(self.shape().without(&single, false))
    }

    /// Splits dimension `dim` into the given sizes, whose product is its size; one may be -1 and is computed.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::TooManyDimensions`]; [`Error::Invalid`] without sizes and if they do not fit.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[2, 12])?;
    /// assert_eq!(x.unflatten(1, &[3, -1])?.shape()[..], [2, 3, 4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn unflatten(&self, dim: impl Dim, sizes: &[isize]) -> Result<Tensor> {
        const OP: &str = "unflatten";
        let at = self.shape().dim(OP, dim)?;
        let wrong =
            || Error::invalid(OP, format!("dimension {dim} of {} does not divide into {sizes:?}", self.shape()));
        let size = *self.shape().get(at).filter(|_| !sizes.is_empty()).ok_or_else(wrong)?;
        let known = sizes.iter().filter(|&&s| s >= 0).try_fold(1usize, |a, &s| a.checked_mul(nearest::<usize>(s)));
        let known = known.ok_or_else(wrong)?;
        let unknown = sizes.iter().filter(|&&s| s < 0).count();
        let fits = match unknown {
            0 => known == size,
            1 => known > 0 && size.is_multiple_of(known),
            _ => false,
        };
        if !fits || sizes.iter().any(|&s| s < -1) {
            return Err(wrong());
        }
        let parts: Vec<usize> = sizes.iter().map(|&s| if s < 0 { size / known } else { nearest::<usize>(s) }).collect();
        self.reshape_to(Shape::new(&[&self.shape()[..at], &parts, &self.shape()[at + 1..]].concat())?)
    }

    /// Inserts a dimension of size 1 before `dim`.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::TooManyDimensions`].
    #[track_caller]
    pub fn unsqueeze(&self, dim: impl Dim) -> Result<Tensor> {
        let (dim, rank) = (dim.number(), self.rank() as isize + 1);
        let at = if dim < 0 { dim + rank } else { dim };
        if !(0..rank).contains(&at) {
            return Err(Error::DimOutOfRange { op: "unsqueeze", dim, rank: self.rank() });
        }
        let mut sizes = self.shape().to_vec();
        sizes.insert(nearest::<usize>(at), 1);
        self.reshape_to(Shape::new(&sizes)?)
    }

    /// Dimensions of size 1 stretched to `shape`, without a copy; -1 keeps a size. New dimensions come first.
    ///
    /// # Errors
    /// [`Error::Broadcast`] if a size other than 1 would have to change.
    #[track_caller]
    pub fn expand(&self, shape: &[isize]) -> Result<Tensor> {
        if shape.len() < self.rank() {
            return Err(Error::invalid("expand", format!("{shape:?} has fewer dimensions than {}", self.shape())));
        }
        let added = shape.len() - self.rank();
        let mut sizes = Vec::with_capacity(shape.len());
        for (d, &size) in shape.iter().enumerate() {
            sizes.push(match (size, d.checked_sub(added)) {
                (-1, Some(old)) => self.shape()[old],
                (size, _) if size >= 0 => nearest::<usize>(size),
                _ => return Err(Error::invalid("expand", format!("{shape:?}: a new dimension needs a size"))),
            });
        }
        self.expand_to(Shape::new(&sizes)?, "expand")
    }

    #[track_caller]
    pub(crate) fn expand_to(&self, shape: Shape, op: &'static str) -> Result<Tensor> {
        if *self.shape() == shape {
            return Ok(self.clone());
        }
        let joint = self.shape().broadcast(&shape, op)?;
        if joint != shape {
            let rule = format!("{} does not expand to {shape}", self.shape());
            return Err(Error::invalid(op, rule));
        }
        self.record_view(View::Expand(shape))
    }

    /// Summed over the dimensions that were expanded to get from `shape` to this tensor's shape.
    #[track_caller]
    pub(crate) fn sum_to(&self, shape: Shape) -> Result<Tensor> {
        if *self.shape() == shape {
            return Ok(self.clone());
        }
        let added = self.rank() - shape.len();
        let stretched: Vec<usize> =
            (0..self.rank()).filter(|&d| d < added || (shape[d - added] == 1 && self.shape()[d] != 1)).collect();
        if stretched.is_empty() {
            return self.reshape_to(shape);
        }
        self.sum_over(&stretched, added == 0)?.reshape_to(shape)
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    vec![
        Case::new("reshape", &[&[2, 3, 4]], |x| Ok(vec![x[0].reshape(&[4, -1])?])),
        Case::new("reshape", &[&[3, 4]], |x| Ok(vec![x[0].t()?.reshape(&[2, 6])?])),
        Case::new("reshape", &[&[6, 1, 4]], |x| Ok(vec![x[0].transpose(0, 2)?.reshape(&[2, 2, 2, 3])?])),
        Case::new("view", &[&[2, 6]], |x| Ok(vec![x[0].slice(0, 0, 2, 1)?.view(&[2, 2, -1])?])),
        Case::new("unflatten", &[&[2, 6, 3]], |x| Ok(vec![x[0].transpose(1, 2)?.unflatten(2, &[2, -1])?])),
        Case::new("squeeze", &[&[1, 3, 1, 2]], |x| Ok(vec![x[0].squeeze(..)?, x[0].squeeze([0, 1])?])),
        Case::new("permute", &[&[2, 3, 4, 5]], |x| Ok(vec![x[0].permute([2, 0, -1, 1])?])),
        Case::new("expand", &[&[3, 1]], |x| Ok(vec![x[0].expand(&[2, -1, 5])?])),
        Case::new("expand", &[&[]], |x| Ok(vec![x[0].expand(&[3, 7])?])),
    ]
}
