//! The operations: one file each, holding the method, the shape rule, the kernels, the reference, the gradient
//! and the cases. This file is the list.

mod attention;
pub mod case;
mod cat;
mod conv;
mod cross_entropy;
mod gather;
mod losses;
mod matmul;
mod norm;
mod normalization;
mod pad;
mod pointwise;
mod pool;
mod rearrange;
mod recurrent;
mod reduce;
mod softmax;
mod view;

pub use attention::{AttentionOptions, InProjection, MultiHeadOptions, MultiHeadWeights};
pub use conv::{Conv2dOptions, ConvTranspose2dOptions, Padding};
pub use cross_entropy::{CrossEntropyOptions, Reduction};
pub use losses::{
    CtcLengths, CtcLossOptions, GaussianNllOptions, KlDivOptions, KlDivReduction, MultiMarginOptions,
    PoissonNllOptions, TripletMarginOptions, TripletMarginWithDistanceOptions,
};
pub use normalization::BatchNormOptions;
pub use pad::PadMode;
pub(crate) use pointwise::Full;
pub use pool::{AvgPool2dOptions, MaxPool2dOptions};
pub use recurrent::RecurrentOptions;

use case::Case;

/// Every case of every operation: what conformance tests, gradient checks and benchmarks iterate over.
pub fn cases() -> Vec<Case> {
    [
        view::cases(),
        pointwise::cases(),
        reduce::cases(),
        matmul::cases(),
        softmax::cases(),
        gather::cases(),
        conv::cases(),
        pool::cases(),
        cross_entropy::cases(),
        normalization::cases(),
        pad::cases(),
        cat::cases(),
        rearrange::cases(),
        losses::cases(),
        norm::cases(),
        attention::cases(),
        recurrent::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
