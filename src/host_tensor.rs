//! A tensor's values on the host, in double precision, as the reference executor computes with them.

use crate::dtype::DType;
use crate::shape::{Layout, Shape};

/// Values in row-major order, each held as `f64` (which holds every `i32` and `u32` exactly).
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Sizes.
    pub shape: Shape,
    /// Element type the values stand for.
    pub dtype: DType,
    /// The values, `shape.numel()` of them.
    pub values: Vec<f64>,
}

impl HostTensor {
    /// Values of a shape and type.
    pub fn new(shape: Shape, dtype: DType, values: Vec<f64>) -> HostTensor {
        debug_assert_eq!(shape.numel(), values.len());
        HostTensor { shape, dtype, values }
    }

    /// Each element computed from its coordinates.
    pub fn from_fn(shape: Shape, dtype: DType, mut value: impl FnMut(&[usize]) -> f64) -> HostTensor {
        let mut at = vec![0; shape.len()];
        let values = (0..shape.numel())
            .map(|_| {
                let v = value(&at);
                advance(&mut at, &shape);
                v
            })
            .collect();
        HostTensor { shape, dtype, values }
    }

    /// The element at some coordinates.
    pub fn at(&self, coordinates: &[usize]) -> f64 {
        let index = coordinates.iter().zip(self.shape.iter()).fold(0, |index, (&c, &size)| index * size + c);
        self.values[index]
    }

    /// The elements that a layout over this storage shows, as a contiguous tensor.
    pub(crate) fn view(&self, layout: &Layout) -> HostTensor {
        let mut at = vec![0; layout.shape.len()];
        let values = (0..layout.shape.numel())
            .map(|_| {
                let index: usize = at.iter().zip(layout.strides()).map(|(&c, &s)| c * s).sum();
                advance(&mut at, &layout.shape);
                self.values[layout.offset + index]
            })
            .collect();
        HostTensor { shape: layout.shape, dtype: layout.dtype, values }
    }
}

/// Steps coordinates to the next element in row-major order.
fn advance(at: &mut [usize], shape: &Shape) {
    for d in (0..at.len()).rev() {
        at[d] += 1;
        if at[d] < shape[d] {
            return;
        }
        at[d] = 0;
    }
}
