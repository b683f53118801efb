//! The operations: one file each, holding the method, the shape rule, the kernels, the reference, the gradient
//! and the cases. This file is the list.

pub mod case;
mod cross_entropy;
mod gather;
mod matmul;
mod pointwise;
mod reduce;
mod softmax;
mod view;

pub use cross_entropy::{CrossEntropyOptions, Reduction};
pub(crate) use pointwise::Full;

use case::Case;

/// Every case of every operation: what conformance tests, gradient checks and benchmarks iterate over.
pub fn cases() -> Vec<Case> {
    [view::cases(), pointwise::cases(), reduce::cases(), matmul::cases(), softmax::cases(), gather::cases(), cross_entropy::cases()]
        .into_iter()
        .flatten()
        .collect()
}
