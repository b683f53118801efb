//! Shapes, strides and the rules that connect them.

use crate::dims::{Dim, Dims};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::number::nearest;
use std::fmt;
use std::hash::Hasher;
use std::ops::Deref;

/// The most dimensions a tensor can have.
pub const MAX_RANK: usize = 6;

/// The sizes of a tensor's dimensions, outermost first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    sizes: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// A shape from its sizes.
    ///
    /// # Errors
    /// [`Error::TooManyDimensions`] past six; [`Error::TooLarge`] if the element count overflows.
    pub fn new(sizes: &[usize]) -> Result<Shape> {
        if sizes.len() > MAX_RANK {
            return Err(Error::TooManyDimensions { rank: sizes.len(), limit: MAX_RANK });
        }
        let mut shape = Shape { sizes: [0; MAX_RANK], rank: sizes.len() };
        shape.sizes[..sizes.len()].copy_from_slice(sizes);
        let nonzero = sizes.iter().filter(|&&s| s != 0);
        let product = nonzero.copied().try_fold(1usize, |a, b| a.checked_mul(b));
        match product {
            Some(elements) if elements <= u32::MAX as usize => Ok(shape),
            _ => Err(Error::TooLarge { op: "shape", shape, limit: u64::from(u32::MAX), unit: "elements" }),
        }
    }

    /// Number of elements; 1 for a scalar.
    pub fn numel(&self) -> usize {
        self.iter().product()
    }

    /// Row-major strides in elements, as many as there are dimensions; the rest is 0.
    fn contiguous_strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for d in (0..self.rank).rev() {
            strides[d] = step;
            step *= self.sizes[d].max(1);
        }
        strides
    }

    /// The shape both broadcast to, by PyTorch's rule: sizes are aligned at the right, and 1 stretches.
    ///
    /// # Errors
    /// [`Error::Broadcast`] naming the first pair of sizes that differ.
    pub fn broadcast(&self, other: &Shape, op: &'static str) -> Result<Shape> {
        let rank = self.rank.max(other.rank);
        let mut sizes = [1; MAX_RANK];
        for (d, size) in sizes[..rank].iter_mut().enumerate() {
            let at = |s: &Shape| if d + s.rank >= rank { s.sizes[d + s.rank - rank] } else { 1 };
            let (a, b) = (at(self), at(other));
            *size = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(Error::Broadcast { op, left: *self, right: *other, dim: d, sizes: (a, b) }),
            };
        }
        Shape::new(&sizes[..rank])
    }

    /// The shape as `[outer, size of dim, inner]`; a scalar is one element.
    pub(crate) fn around(&self, dim: usize) -> Result<Shape> {
        let (outer, rest) = self.split_at(dim.min(self.len()));
        let (size, inner) = rest.split_first().map_or((1, 1), |(&size, inner)| (size, inner.iter().product()));
        Shape::new(&[outer.iter().product(), size, inner])
    }

    /// The same shape without dimension `dim`, or with size 1 there when `keepdim`.
    pub(crate) fn without(&self, dims: &[usize], keepdim: bool) -> Shape {
        let mut out = Shape { sizes: [0; MAX_RANK], rank: 0 };
        for d in 0..self.rank {
            let reduced = dims.contains(&d);
            if !reduced || keepdim {
                out.sizes[out.rank] = if reduced { 1 } else { self.sizes[d] };
                out.rank += 1;
            }
        }
        out
    }

    /// A dimension as PyTorch counts it: negative from the end. A scalar has dimensions 0 and -1.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`].
    pub fn dim(&self, op: &'static str, dim: impl Dim) -> Result<usize> {
        let (dim, rank) = (dim.number(), self.rank.max(1) as isize);
        let actual = if dim < 0 { dim + rank } else { dim };
        if (0..rank).contains(&actual) {
            Ok(nearest::<usize>(actual))
        } else {
            Err(Error::DimOutOfRange { op, dim, rank: self.rank })
        }
    }

    /// Several dimensions in ascending order; a scalar has none.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::DimRepeated`] for one named twice.
    pub fn dims(&self, op: &'static str, dims: impl Dims) -> Result<Vec<usize>> {
        let mut out = Vec::new();
        for dim in dims.numbers(self.rank) {
            let dim = self.dim(op, dim)?;
            if out.contains(&dim) {
                return Err(Error::DimRepeated { op, dim });
            }
            out.push(dim);
        }
        out.retain(|&d| d < self.rank);
        out.sort_unstable();
        Ok(out)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.sizes[..self.rank]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &**self)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &**self)
    }
}

/// The position of a tensor's elements in its storage: element `[i, j, ..]` is at
/// `offset + i * strides[0] + j * strides[1] + ..`, counted in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Sizes.
    pub shape: Shape,
    strides: [usize; MAX_RANK],
    /// First element, in elements from the start of the storage.
    pub offset: usize,
    /// Element type.
    pub dtype: DType,
}

impl Layout {
    /// A row-major layout from the start of a storage.
    pub fn contiguous(shape: Shape, dtype: DType) -> Layout {
        Layout { shape, strides: shape.contiguous_strides(), offset: 0, dtype }
    }

    /// A layout with the given strides.
    pub(crate) fn strided(shape: Shape, strides: &[usize], offset: usize, dtype: DType) -> Layout {
        let mut all = [0; MAX_RANK];
        all[..strides.len()].copy_from_slice(strides);
        Layout { shape, strides: all, offset, dtype }
    }

    /// Strides in elements, one a dimension.
    pub fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.len()]
    }

    /// Sizes and strides of some dimensions.
    pub(crate) fn steps(&self, dims: impl IntoIterator<Item = usize>) -> Vec<(usize, usize)> {
        dims.into_iter().map(|dim| (self.shape[dim], self.strides[dim])).collect()
    }

    /// True if the elements are in row-major order without gaps, at any offset.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(self.strides()).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size.max(1);
        }
        true
    }

    /// Everything that a kernel depends on: offsets are data, except for their alignment.
    pub(crate) fn write_structure(&self, state: &mut impl Hasher) {
        // The offset is data, but a plan may overwrite a value that begins at 0, and read vectors from multiples of 8.
        let start = (usize::from(self.offset != 0) << 3) | (self.offset % 8);
        state.write_usize((self.shape.len() << 16) | ((self.dtype as usize) << 8) | start);
        for (&size, &stride) in self.shape.iter().zip(self.strides()) {
            state.write_usize(size);
            state.write_usize(stride);
        }
    }

    /// One past the last element that it shows, or `None` if that overflows.
    fn end(&self) -> Option<usize> {
        if self.shape.numel() == 0 {
            return Some(self.offset);
        }
        let steps = self.shape.iter().zip(self.strides()).map(|(&size, &stride)| (size - 1).checked_mul(stride));
        steps.chain([Some(1)]).try_fold(self.offset, |end, step| end.checked_add(step?))
    }

    /// True if it shows elements of the same type, and none before or behind those that `whole` shows.
    pub(crate) fn is_within(&self, whole: &Layout) -> bool {
        self.dtype == whole.dtype
            && self.offset >= whole.offset
            && matches!((self.end(), whole.end()), (Some(end), Some(last)) if end <= last)
    }

    /// Bytes of a contiguous tensor of this shape.
    pub fn bytes(&self) -> usize {
        self.shape.numel() * self.dtype.size()
    }

    /// The strides that show these elements as `shape` without a copy, if there are such strides.
    pub(crate) fn reshape(&self, shape: Shape) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { shape, strides: shape.contiguous_strides(), ..*self });
        }
        if shape.numel() == 0 {
            return Some(Layout::contiguous(shape, self.dtype));
        }
        // From the innermost dimension outwards: gather old dimensions that step evenly into one run, then
        // spend the run's elements on new dimensions; a new dimension that straddles two runs has no stride.
        let old: Vec<(usize, usize)> =
            self.shape.iter().copied().zip(self.strides().iter().copied()).filter(|&(size, _)| size != 1).collect();
        let mut strides = vec![0; shape.len()];
        let mut new = shape.len();
        let mut d = old.len();
        while d > 0 {
            d -= 1;
            let (mut run, step) = old[d];
            while d > 0 && old[d - 1].1 == run * step {
                d -= 1;
                run *= old[d].0;
            }
            let mut taken = 1;
            while taken < run {
                new = new.checked_sub(1)?;
                strides[new] = taken * step;
                taken *= shape[new];
            }
            if taken != run {
                return None;
            }
        }
        Some(Layout::strided(shape, &strides, self.offset, self.dtype))
    }
}
