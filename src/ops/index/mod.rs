//! Picking and placing elements by index.
//!
//! All of them work on three dimensions: the indexed dimension in the middle, and the outer and the inner dimensions merged into
//! one each. An index has the same three dimensions, or one if all slices share it.

mod cases;
pub(super) mod count_labels;
mod embedding;
mod gather;
mod masked;
mod reduce;
mod scatter;
mod sort;

pub use embedding::EmbeddingOptions;
pub use scatter::ScatterReduction;
pub(super) use scatter::last_wins;

pub(super) use cases::cases;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shader::Fault;
use crate::shape::Shape;

/// The sizes of sources `[outer, taken, inner]` and of the result `[outer, size, inner]`.
struct Geometry {
    outer: usize,
    size: usize,
    taken: usize,
    inner: usize,
    /// The index is `[taken]`.
    shared: bool,
}

impl Geometry {
    fn new(sources: &Shape, size: usize, index: &Shape) -> Geometry {
        Geometry { outer: sources[0], size, taken: sources[1], inner: sources[2], shared: index.len() == 1 }
    }

    /// Number of indices in a row.
    fn taken(index: &Shape) -> usize {
        if index.len() == 1 { index[0] } else { index[1] }
    }

    /// The destination of a source.
    fn destination(&self, index: &HostTensor, source: usize, fault: Fault) -> Result<usize> {
        let row = source / self.inner;
        let at = if self.shared { row % self.taken } else { source };
        let (value, size) = (index.values[at], self.size);
        if value < 0.0 || value >= size as f64 {
            return Err(fault.error(nearest::<i64>(value), size));
        }
        Ok((row / self.taken * size + nearest::<usize>(value)) * self.inner + source % self.inner)
    }
}

fn check_index(op: &'static str, index: &Tensor) -> Result<()> {
    if index.dtype() == DType::I32 {
        return Ok(());
    }
    Err(Error::WrongDType { op, expected: "an i32 index", got: index.dtype() })
}

/// A tensor with dimension `dim` in the middle of three, in row-major order.
#[track_caller]
fn three(tensor: &Tensor, dim: usize) -> Result<Tensor> {
    tensor.contiguous()?.reshape_to(tensor.shape().around(dim)?)
}
