//! Matrix products, batched and broadcast as in PyTorch.
//!
//! `variants` lists the kernels and chooses among them. They take any strides, so transposed views need no copy.

mod cases;
pub(super) mod einsum;
pub(super) mod linear_algebra;
mod operands;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;
mod variants;

pub(super) use cases::cases;
pub(super) use variants::{Product, Variant};

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Summing, Tensor, Vjp, ascribe_to_caller, hash_structure, note_multiply_adds, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::autocast;
use crate::ops::shared::partial_sums::longest_sum;
use crate::shader::Kernels;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// True if one more row than `rows`, in tiles of `tile` rows, costs a kernel next to nothing: the last tile has space left, or
/// another tile is at most 4 % more.
pub(super) fn takes_one_more(rows: usize, tile: usize) -> bool {
    !rows.is_multiple_of(tile) || rows / tile >= 25
}

/// `output[b, m, n] = sum over k of left[b, m, k] * right[b, k, n]`, all with the dimension of batches or all without.
#[derive(Clone, Debug, Hash)]
struct Matmul;

/// The product of matrices, or of batches of the same size.
#[track_caller]
pub(in crate::ops) fn product(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let dim = left.rank() - 1;
    let depth = left.shape()[dim];
    let longest = longest_sum(left);
    if depth <= longest {
        note_multiply_adds(|| (left.numel() * right.shape()[dim]) as u64);
        return record_one(Matmul, &[left, right]);
    }
    if left.dtype() == DType::F16 {
        // The parts are added in f32.
        return product(&left.to_dtype(DType::F32)?, &right.to_dtype(DType::F32)?)?.to_dtype(DType::F16);
    }
    let half = (depth / 2).next_multiple_of(longest).min(depth - 1);
    let part = |start, length| product(&left.narrow(dim, start, length)?, &right.narrow(dim - 1, start, length)?);
    part(0, half)?.add(&part(half, depth - half)?)
}

/// The shape of the product of tensors of these shapes.
fn shape(left: &Shape, right: &Shape) -> Result<Shape> {
    let mut sizes = left.to_vec();
    let dim = sizes.len() - 1;
    sizes[dim] = right[dim];
    Shape::new(&sizes)
}

/// True if the columns of these matrices are contiguous, and not the rows.
fn is_transposed(matrices: &Tensor) -> bool {
    matches!(matrices.layout().strides(), [.., 1, across] if *across > 1)
}

/// True if the elements of a row are contiguous, and rows don't share memory.
fn is_dense_in_rows(matrices: &Tensor) -> bool {
    let strides = matrices.layout().strides().iter().zip(&matrices.shape()[..]).rev();
    strides
        .enumerate()
        .all(|(from_last, (&stride, &size))| size == 1 || if from_last == 0 { stride == 1 } else { stride > 0 })
}

/// Matrices as a batch of one.
fn batched(matrices: &Layout) -> Result<Layout> {
    if let ([rows, columns], [down, across]) = (&matrices.shape[..], matrices.strides()) {
        let shape = Shape::new(&[1, *rows, *columns])?;
        return Ok(Layout::strided(shape, &[0, *down, *across], matrices.offset, matrices.dtype));
    }
    Ok(*matrices)
}

/// Passes on the product of a call.
fn with_product<T>(io: &Io, then: impl FnOnce(&Product) -> Result<T>) -> Result<T> {
    then(&Product::new([&batched(&io.inputs[0])?, &batched(&io.inputs[1])?], &io.outputs[0]))
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (left, right) = (&inputs[0], &inputs[1]);
        Ok(vec![Layout::contiguous(shape(&left.shape, &right.shape)?, left.dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        with_product(io, |product| product.kernels(product.choice(adapter)))
    }
    fn candidates(&self, io: &Io, adapter: &Adapter) -> Result<Vec<Kernels>> {
        with_product(io, |product| {
            product.variants(adapter).into_iter().map(|variant| product.kernels(variant)).collect()
        })
    }
    fn summing(&self, io: &Io, adapter: &Adapter) -> Result<Option<Summing>> {
        let kernels = with_product(io, |product| product.summing(adapter))?;
        Ok(kernels.map(|kernels| Summing { input: 0, dim: io.inputs[0].shape.len() - 2, kernels }))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (left, right) = (&inputs[0], &inputs[1]);
        let dim = left.shape.len() - 1;
        let (rows, depth, columns) = (left.shape[dim - 1], left.shape[dim], right.shape[dim]);
        let batch: usize = left.shape[..dim - 1].iter().product();
        let mut values = vec![0.0; batch * rows * columns];
        for b in 0..batch {
            for m in 0..rows {
                for k in 0..depth {
                    let factor = left.values[(b * rows + m) * depth + k];
                    let from = &right.values[(b * depth + k) * columns..][..columns];
                    let to = &mut values[(b * rows + m) * columns..][..columns];
                    for (sum, value) in to.iter_mut().zip(from) {
                        *sum += factor * value;
                    }
                }
            }
        }
        Ok(vec![HostTensor::new(shape(&left.shape, &right.shape)?, left.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        // The gradient of a transposed view is computed as that of its base, which then needs no copy.
        let (left, right) = (context.input(0), context.input(1));
        // The right one's, a weight's, is first: then the left operand may be dropped.
        let of_right = context.of(1, |g| {
            if is_transposed(right) {
                product(&g.transpose(-2, -1)?, left)?.transpose(-2, -1)
            } else {
                product(&left.transpose(-2, -1)?, &g)
            }
        })?;
        let of_left = context.of(0, |g| {
            if is_transposed(left) {
                product(right, &g.transpose(-2, -1)?)?.transpose(-2, -1)
            } else {
                product(&g, &right.transpose(-2, -1)?)
            }
        })?;
        Ok(vec![of_left, of_right])
    }
}

impl Tensor {
    /// The matrix product, as PyTorch's `matmul`.
    ///
    /// `[M, K] x [K, N] -> [M, N]`; dimensions before the last two are batches and broadcast. A vector on the left
    /// is a row, on the right a column, and the result loses that dimension. Transposed views are not copied.
    /// Sums are f32, also of f16, in an order that depends on sizes and adapter alone; the result has the operands' type.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the inner sizes differ or an operand is a scalar, [`Error::Broadcast`] for the
    /// batch dimensions, [`Error::WrongDType`] for types other than f32 and f16 and for a mixture of them.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let a = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let x = Tensor::from_slice(&device, &[1.0f32, -1.0], &[2])?;
    /// assert_eq!(a.matmul(&x)?.to_vec::<f32>()?, [-1.0, -1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        const OP: &str = "matmul";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.matmul(&cast.of(other)?);
        }
        let _line = ascribe_to_caller();
        if self.rank() == 0 || other.rank() == 0 {
            let rule = format!("both operands need a dimension; got {} and {}", self.shape(), other.shape());
            return Err(Error::invalid(OP, rule));
        }
        if !matches!(self.dtype(), DType::F32 | DType::F16) {
            return Err(Error::WrongDType { op: OP, expected: "f32 or f16", got: self.dtype() });
        }
        if other.dtype() != self.dtype() {
            return Err(Error::WrongDType { op: OP, expected: "operands of one type", got: other.dtype() });
        }
        let left = if self.rank() == 1 { self.unsqueeze(0)? } else { self.clone() };
        let right = if other.rank() == 1 { other.unsqueeze(1)? } else { other.clone() };
        let (l, r) = (*left.shape(), *right.shape());
        let (rows, depth, columns) = (l[l.len() - 2], l[l.len() - 1], r[r.len() - 1]);
        if depth != r[r.len() - 2] {
            let rule =
                format!("{} x {}: the inner sizes {depth} and {} differ", self.shape(), other.shape(), r[r.len() - 2]);
            return Err(Error::invalid(OP, rule));
        }
        let batch = Shape::new(&l[..l.len() - 2])?.broadcast(&Shape::new(&r[..r.len() - 2])?, OP)?;
        let product = if batch.is_empty() || r.len() == 2 && is_dense_in_rows(&left) {
            // One matrix on the right: the batches of the left are more rows, copied into one matrix if need be, since the
            // gradient of a batch of products would be a matrix for each.
            product(&left.reshape_to(Shape::new(&[l[..l.len() - 1].iter().product(), depth])?)?, &right)?
        } else {
            let joined = |x: &Tensor, inner: [usize; 2]| -> Result<Tensor> {
                let full = Shape::new(&[&batch[..], &inner[..]].concat())?;
                x.expand_to(full, OP)?.reshape_to(Shape::new(&[batch.numel(), inner[0], inner[1]])?)
            };
            product(&joined(&left, [rows, depth])?, &joined(&right, [depth, columns])?)?
        };
        let mut sizes = batch.to_vec();
        if self.rank() > 1 {
            sizes.push(rows);
        }
        if other.rank() > 1 {
            sizes.push(columns);
        }
        product.reshape_to(Shape::new(&sizes)?)
    }
}
