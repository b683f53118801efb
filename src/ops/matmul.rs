//! Matrix products, batched and broadcast as in PyTorch.
//!
//! Kernels: `matmul_tiled` for GPUs; for adapters that run on CPU cores `matmul_shuffle`, and `matmul_plain` where
//! there are no subgroups of 8 lanes. All take any strides, so transposed views need no copy.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const SHUFFLE: &str = include_str!("../../shaders/matmul_shuffle.wgsl");
const PLAIN: &str = include_str!("../../shaders/matmul_plain.wgsl");
const TILED: &str = include_str!("../../shaders/matmul_tiled.wgsl");

/// Groups WebGPU allows in one dimension of a grid.
const MOST_GROUPS: usize = 65_535;

/// `output[b, m, n] = sum over k of left[b, m, k] * right[b, k, n]`, all of three dimensions.
#[derive(Clone, Debug, Hash)]
struct Matmul;

/// A loop of one invocation must stay below the 65,535 iterations after which some drivers end it, and long chains of
/// f32 additions lose precision; longer products are sums of shorter ones.
const LONGEST_DEPTH: usize = 16_384;

/// A variant for one case: the kernel and the rows and columns one workgroup computes.
///
/// Rows and depth are batch sizes in the layers of a network and their gradients, and a shorter last batch must
/// compile nothing, so only columns decide. On llvmpipe 32 x 4 tiles are within 10 % of the best for everything from
/// `[64, 84] x [84, 10]` to 1024^3; four steps of depth instead of two gain 5 % on large products and compile
/// twice as long.
fn variant(columns: usize, left: &Layout, right: &Layout, adapter: &Adapter) -> (Kernel, usize, usize) {
    let unsigned = |value: usize| format!("{value}u");
    if !adapter.is_cpu {
        let block = if columns <= 64 { 2 } else { 4 };
        let kernel = Kernel::new("matmul_tiled", TILED)
            .constant("BLOCK_ROWS", unsigned(block))
            .constant("BLOCK_COLUMNS", unsigned(block))
            .constant("LEFT_DEPTH_FASTEST", left.strides()[2] == 1)
            .constant("RIGHT_COLUMN_FASTEST", right.strides()[2] == 1);
        return (kernel, 16 * block, 16 * block);
    }
    let workgroup = 8;
    if adapter.subgroup_size >= 8 {
        let (tile_rows, tile_columns) = (32, 4);
        let kernel = Kernel::new("matmul_shuffle", SHUFFLE)
            .constant("TILE_ROWS", unsigned(tile_rows))
            .constant("TILE_COLUMNS", unsigned(tile_columns))
            .constant("DEPTH_STEP", unsigned(if columns < 512 { 2 } else { 4 }));
        return (kernel, tile_rows, workgroup * tile_columns);
    }
    let (tile_rows, tile_columns) = (16, 8);
    let kernel = Kernel::new("matmul_plain", PLAIN)
        .constant("TILE_ROWS", unsigned(tile_rows))
        .constant("TILE_COLUMNS", unsigned(tile_columns));
    (kernel, tile_rows, workgroup * tile_columns)
}

/// The product of three-dimensional tensors.
#[track_caller]
fn product(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let _line = ascribe_to_caller();
    let depth = left.shape()[2];
    if depth <= LONGEST_DEPTH {
        return record_one(Matmul, &[left, right]);
    }
    if left.dtype() == DType::F16 {
        // The parts are added in f32.
        return product(&left.to_dtype(DType::F32)?, &right.to_dtype(DType::F32)?)?.to_dtype(DType::F16);
    }
    let half = (depth / 2).next_multiple_of(LONGEST_DEPTH).min(depth - 1);
    let part = |start, length| product(&left.narrow(2, start, length)?, &right.narrow(1, start, length)?);
    part(0, half)?.add(&part(half, depth - half)?)
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
        let shape = Shape::new(&[left.shape[0], left.shape[1], right.shape[2]])?;
        Ok(vec![Layout::contiguous(shape, left.dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let (left, right) = (&io.inputs[0], &io.inputs[1]);
        let (batch, rows, columns) = (left.shape[0], left.shape[1], right.shape[2]);
        let depth = left.shape[2];
        let (kernel, tile_rows, tile_columns) = variant(columns, left, right, adapter);
        let (l, r) = (left.strides(), right.strides());
        let kernel = kernel
            .alias("Element", left.dtype.wgsl())
            .bind("left", Operand::Input(0))
            .bind("right", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .values(&[rows, columns, depth, l[1], l[2], l[0], r[1], r[2], r[0]])
            .words([Word::Offset(0), Word::Offset(1)]);
        let mut kernels = Kernels::default();
        for first in (0..batch).step_by(MOST_GROUPS) {
            let layers = (batch - first).min(MOST_GROUPS);
            let groups = [columns.div_ceil(tile_columns), rows.div_ceil(tile_rows), layers].map(|g| g as u32);
            if groups.iter().any(|&g| g as usize > MOST_GROUPS) {
                let shape = io.outputs[0].shape;
                return Err(Error::TooLarge {
                    op: "matmul",
                    shape,
                    limit: MOST_GROUPS as u64,
                    unit: "tiles a dimension",
                });
            }
            let work = 2 * layers * rows * columns * depth;
            kernels.kernels.push(kernel.clone().values(&[first]).grid(groups).work(work));
        }
        Ok(kernels)
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (left, right) = (&inputs[0], &inputs[1]);
        let (batch, rows, depth, columns) = (left.shape[0], left.shape[1], left.shape[2], right.shape[2]);
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
        Ok(vec![HostTensor::new(Shape::new(&[batch, rows, columns])?, left.dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let left = context.of(0, |g| product(&g, &context.input(1).transpose(1, 2)?))?;
        let right = context.of(1, |g| product(&context.input(0).transpose(1, 2)?, &g))?;
        Ok(vec![left, right])
    }
}

impl Tensor {
    /// The matrix product, as PyTorch's `matmul`.
    ///
    /// `[M, K] x [K, N] -> [M, N]`; dimensions before the last two are batches and broadcast. A vector on the left
    /// is a row, on the right a column, and the result loses that dimension. Transposed views are not copied.
    /// Sums are f32, over `k` in order, also of f16; the result has the operands' type.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the inner sizes differ or an operand is a scalar, [`Error::Broadcast`] for the
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
        let product = if batch.is_empty() || r.len() == 2 && left.layout().is_contiguous() {
            // One matrix on the right: the batches of the left are more rows.
            let left = left.reshape_to(Shape::new(&[1, l[..l.len() - 1].iter().product(), depth])?)?;
            let right = right.reshape_to(Shape::new(&[1, depth, columns])?)?;
            product(&left, &right)?
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

pub(super) fn cases() -> Vec<Case> {
    let product = |shapes: &[&[usize]], depth: f64| {
        Case::new("matmul", shapes, |x| Ok(vec![x[0].matmul(&x[1])?])).tolerance(4.0 * depth + 16.0)
    };
    vec![
        product(&[&[7], &[7]], 7.0),
        product(&[&[7], &[7, 3]], 7.0),
        product(&[&[5, 7], &[7]], 7.0),
        product(&[&[1, 1], &[1, 1]], 1.0),
        product(&[&[13, 7], &[7, 11]], 7.0),
        product(&[&[3, 13, 7], &[7, 5]], 7.0),
        product(&[&[2, 1, 3, 4], &[5, 4, 6]], 4.0),
        product(&[&[0, 3], &[3, 4]], 3.0),
        product(&[&[3, 0], &[0, 4]], 1.0),
        product(&[&[65, 33], &[33, 70]], 33.0).first_order(),
        product(&[&[5, 9], &[9, 300]], 9.0).first_order(),
        // Past the longest loop of some drivers; the halves of the sum are long loops themselves.
        Case::new("matmul", &[&[2, 1], &[1, 3]], |x| {
            Ok(vec![x[0].expand(&[2, 140_001])?.matmul(&x[1].expand(&[140_001, 3])?)?])
        })
        .tolerance(8_000.0)
        .first_order(),
        Case::new("matmul", &[&[9, 5], &[9, 7]], |x| Ok(vec![x[0].t()?.matmul(&x[1])?])).tolerance(64.0),
        Case::new("matmul", &[&[9, 5], &[7, 5]], |x| Ok(vec![x[0].matmul(&x[1].t()?)?])).tolerance(64.0),
        Case::new("matmul", &[&[3, 9, 5], &[3, 6, 9]], |x| {
            Ok(vec![x[0].transpose(1, 2)?.matmul(&x[1].transpose(1, 2)?)?])
        })
        .tolerance(64.0),
        Case::new("matmul", &[&[2, 9, 13], &[2, 7, 13]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.matmul(&x[1].to_dtype(DType::F16)?.transpose(1, 2)?)?])
        })
        .half(),
    ]
}
