//! The operations: one file each, holding the method, the shape rule, the kernels, the reference, the gradient
//! and the cases. This file is the list.

pub mod case;
mod cat;
mod conv;
mod cross_entropy;
mod einsum;
mod index;
mod linear_algebra;
mod losses;
mod matmul;
mod norm;
mod normalization;
mod pad;
mod pointwise;
mod pool;
mod rearrange;
mod reduce;
mod softmax;
mod view;

pub use conv::{Conv2dOptions, ConvTranspose2dOptions, Padding};
pub use cross_entropy::{CrossEntropyOptions, Reduction};
pub use index::{EmbeddingOptions, ScatterReduction};
pub use losses::{KlDivOptions, KlDivReduction, TripletMarginOptions};
pub use normalization::BatchNormOptions;
pub use pad::PadMode;
pub(crate) use pointwise::Full;
pub use pool::{AvgPool2dOptions, MaxPool2dOptions};

use case::Case;

/// Every case of every operation: what conformance tests, gradient checks and benchmarks iterate over.
pub fn cases() -> Vec<Case> {
    [
        view::cases(),
        pointwise::cases(),
        reduce::cases(),
        matmul::cases(),
        softmax::cases(),
        index::cases(),
        conv::cases(),
        pool::cases(),
        cross_entropy::cases(),
        normalization::cases(),
        pad::cases(),
        cat::cases(),
        rearrange::cases(),
        losses::cases(),
        norm::cases(),
        linear_algebra::cases(),
        einsum::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
