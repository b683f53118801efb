//! Diagonals of matrices, and the triangles on either side of them.

use crate::dims::Dim;
use crate::error::{Error, Result};
use crate::graph::{Class, Op, Tensor, Vjp, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::ops::pointwise::{Side, mask};
use crate::ops::shape::pad::PadMode;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// The diagonal of the last two dimensions that lies `offset` above the main one, as a view.
#[derive(Clone, Debug)]
struct Diagonal {
    offset: isize,
}

impl Op for Diagonal {
    fn name(&self) -> &'static str {
        "diagonal"
    }
    /// The resulting layout says everything.
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (input, strides) = (&inputs[0], inputs[0].strides());
        let outer = input.shape.len() - 2;
        let (rows, columns) = (input.shape[outer], input.shape[outer + 1]);
        let (down, right) =
            if self.offset < 0 { (self.offset.unsigned_abs(), 0) } else { (0, nearest::<usize>(self.offset)) };
        let length = rows.saturating_sub(down).min(columns.saturating_sub(right));
        // A diagonal beside the matrix has no first element.
        let start = if length == 0 { 0 } else { down * strides[outer] + right * strides[outer + 1] };
        let sizes = [&input.shape[..outer], &[length]].concat();
        let steps = [&strides[..outer], &[strides[outer] + strides[outer + 1]]].concat();
        Ok(vec![Layout::strided(Shape::new(&sizes)?, &steps, input.offset + start, input.dtype)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let layout = Layout::contiguous(inputs[0].shape, inputs[0].dtype);
        Ok(self.outputs(&[layout])?.iter().map(|output| inputs[0].view(output)).collect())
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![context.of(0, |g| on_diagonal(&g, self.offset, *context.input(0).shape()))?])
    }
}

/// The last dimension as a diagonal of matrices of a shape, with zeros elsewhere. It is as long as that diagonal.
#[track_caller]
fn on_diagonal(values: &Tensor, offset: isize, shape: Shape) -> Result<Tensor> {
    let outer = shape.len() - 2;
    let zeros = Tensor::full(values.device(), &[], 0.0f32)?.to_dtype(values.dtype())?;
    if values.numel() == 0 {
        return zeros.expand_to(shape, "diagonal");
    }
    let length = values.shape()[outer];
    // Above the main diagonal an element is found by its row, below it by its column.
    let spread = if offset < 0 {
        values.pad(&[0, shape[outer + 1] as isize - length as isize], PadMode::Constant(0.0))?.unsqueeze(-2)?
    } else {
        values.pad(&[0, shape[outer] as isize - length as isize], PadMode::Constant(0.0))?.unsqueeze(-1)?
    };
    mask(values.device(), shape, Side::Diagonal, offset)?.where_(&spread, &zeros)
}

impl Tensor {
    /// Zeros above the diagonal of the last two dimensions that lies `diagonal` above the main one (PyTorch's default is
    /// 0): the lower triangle of each matrix `[.., n, m]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two dimensions.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4], &[2, 2])?;
    /// assert_eq!(x.tril(0)?.to_vec::<i32>()?, [1, 0, 3, 4]);
    /// assert_eq!(x.triu(1)?.to_vec::<i32>()?, [0, 2, 0, 0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Result<Tensor> {
        self.triangle("tril", Side::Lower, diagonal)
    }

    /// Zeros below the diagonal of the last two dimensions that lies `diagonal` above the main one (PyTorch's default is
    /// 0): the upper triangle of each matrix `[.., n, m]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two dimensions.
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Result<Tensor> {
        self.triangle("triu", Side::Upper, diagonal)
    }

    #[track_caller]
    fn triangle(&self, op: &'static str, side: Side, diagonal: isize) -> Result<Tensor> {
        if self.rank() < 2 {
            return Err(Error::invalid(op, format!("expected at least 2 dimensions, got {}", self.shape())));
        }
        mask(self.device(), *self.shape(), side, diagonal)?.where_(self, &self.zeros_like()?)
    }

    /// The diagonal of dimensions `dim1` and `dim2` that lies `offset` above the main one, as a view; it becomes the last
    /// dimension (PyTorch's defaults: 0, 0 and 1). Beside the matrix it is empty.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::DimRepeated`] if both dimensions are one.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4, 5, 6], &[2, 3])?;
    /// assert_eq!(x.diagonal(1, 0, 1)?.to_vec::<i32>()?, [2, 6]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn diagonal(&self, offset: isize, dim1: impl Dim, dim2: impl Dim) -> Result<Tensor> {
        const OP: &str = "diagonal";
        let (first, second) = (self.shape().dim(OP, dim1)?, self.shape().dim(OP, dim2)?);
        if first == second {
            return Err(Error::DimRepeated { op: OP, dim: first });
        }
        let mut order: Vec<usize> = (0..self.rank()).filter(|&d| d != first && d != second).collect();
        order.extend([first, second]);
        record_one(Diagonal { offset }, &[&self.permute(&order)?])
    }

    /// A vector on a diagonal of a square matrix of zeros, or a diagonal of a matrix as a vector: the one that lies
    /// `diagonal` above the main one (PyTorch's default is 0).
    ///
    /// # Errors
    /// [`Error::Invalid`] for other than one or two dimensions; [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2], &[2])?;
    /// assert_eq!(x.diag(0)?.to_vec::<i32>()?, [1, 0, 0, 2]);
    /// assert_eq!(x.diag(0)?.diag(1)?.to_vec::<i32>()?, [0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn diag(&self, diagonal: isize) -> Result<Tensor> {
        const OP: &str = "diag";
        match self.rank() {
            1 => {
                let size = self.numel().saturating_add(diagonal.unsigned_abs());
                on_diagonal(self, diagonal, Shape::new(&[size, size])?)
            }
            2 => self.diagonal(diagonal, 0, 1),
            _ => Err(Error::invalid(OP, format!("expected a vector or a matrix, got {}", self.shape()))),
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, diagonal) in [(&[5, 7][..], 0), (&[2, 3, 4], 1), (&[2, 4, 3], -2), (&[3, 3], 9), (&[0, 3], 0)] {
        cases.push(Case::new("tril", &[shape], move |x| Ok(vec![x[0].tril(diagonal)?])).with("diagonal", diagonal));
        cases.push(Case::new("triu", &[shape], move |x| Ok(vec![x[0].triu(diagonal)?])).with("diagonal", diagonal));
    }
    cases.push(Case::new("tril", &[&[4, 3]], |x| Ok(vec![x[0].t()?.tril(0)?])).integers(0, -9, 9).no_gradient());
    // The triangle of a constant tensor, which a kernel must not take for a constant too.
    cases.push(Case::new("triu", &[&[3, 4]], |x| Ok(vec![x[0].mul(&x[0].ones_like()?.triu(0)?)?])));
    for (shape, offset, dim1, dim2) in [
        (&[5, 7][..], 0, 0, 1),
        (&[5, 3], -2, 0, 1),
        (&[2, 3, 4], 1, -1, 0),
        (&[2, 3, 4, 2], -1, 1, 2),
        (&[3, 3], 4, 0, 1),
        (&[0, 3], 0, 0, 1),
    ] {
        let case = Case::new("diagonal", &[shape], move |x| Ok(vec![x[0].diagonal(offset, dim1, dim2)?]));
        cases.push(case.with("offset", offset).with("dims", [dim1, dim2]));
    }
    for (shape, diagonal) in [(&[5][..], 0), (&[3], 2), (&[4], -1), (&[0], 2), (&[4, 3], -1), (&[3, 5], 2)] {
        cases.push(Case::new("diag", &[shape], move |x| Ok(vec![x[0].diag(diagonal)?])).with("diagonal", diagonal));
    }
    cases
}
