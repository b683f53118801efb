//! The operations: one file each, holding the method, the shape rule, the kernels, the reference, the gradient
//! and the cases. This file is the list.

pub(crate) mod autocast;
mod bad_index;
pub mod case;
mod colour;
mod conv;
mod detection;
mod index;
pub(crate) mod interpose;
mod losses;
mod matmul;
mod normalization;
mod pack;
mod pointwise;
mod pool;
mod quantize;
mod reduce;
mod resample;
mod scan;
mod sequence;
mod shape;
mod shared;
mod sort;

pub(crate) use bad_index::or_bad_index;
pub(crate) use colour::ColourStep;
pub use conv::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    ConvTranspose3dOptions, ConvTransposeOptions, Padding,
};
pub use detection::{BoxFormat, RoiAlignOptions};
pub(crate) use index::count_labels::{CountLabels, Tallied};
pub use index::{EmbeddingOptions, ScatterReduction};
pub use losses::cross_entropy::{CrossEntropyOptions, Reduction};
pub use losses::{
    CapsuleMarginOptions, CtcLengths, CtcLossOptions, GaussianNllOptions, KlDivOptions, KlDivReduction,
    MinedTripletOptions, MultiMarginOptions, PoissonNllOptions, TripletMarginOptions, TripletMarginWithDistanceOptions,
    TripletMining,
};
pub use normalization::{BatchNormOptions, InstanceNormOptions};
pub(crate) use pack::{PACK_ALIGNMENT, pack, segments};
pub(crate) use pointwise::Full;
pub use pointwise::RoundingMode;
pub(crate) use pointwise::rule::Rule;
pub(crate) use pointwise::table::table;
pub use pool::{
    AvgPool1dOptions, AvgPool2dOptions, AvgPool3dOptions, AvgPoolOptions, LpPool1dOptions, LpPool2dOptions,
    LpPool3dOptions, LpPoolOptions, MaxPool1dOptions, MaxPool2dOptions, MaxPool3dOptions, MaxPoolOptions,
    MaxUnpool1dOptions, MaxUnpool2dOptions, MaxUnpool3dOptions, MaxUnpoolOptions,
};
pub(crate) use quantize::{Grid, Input, Number, Sums};
pub use quantize::{QuantizationParameters, QuantizedTensor};
pub(crate) use resample::{Beyond, Clip, Filter, ImageMap, Projective, Sampling, TapRule, Taps};
pub use resample::{GridSampleMode, GridSampleOptions, GridSamplePadding, InterpolateMode, InterpolateOptions};
pub use sequence::attention::{AttentionOptions, InProjection, MultiHeadOptions, MultiHeadWeights};
pub use sequence::recurrent::RecurrentOptions;
pub use shape::pad::PadMode;
pub use shape::unfold::UnfoldOptions;

use case::Case;

/// Every case of every operation: what conformance tests, gradient checks and benchmarks iterate over.
pub fn cases() -> Vec<Case> {
    [
        shape::slice::cases(),
        shape::view::cases(),
        pointwise::cases(),
        reduce::cases(),
        matmul::cases(),
        reduce::softmax::cases(),
        index::cases(),
        conv::cases(),
        pool::cases(),
        quantize::cases(),
        losses::cross_entropy::cases(),
        normalization::cases(),
        shape::pad::cases(),
        shape::cat::cases(),
        shape::rearrange::cases(),
        resample::cases(),
        detection::cases(),
        shape::diagonal::cases(),
        shape::repeat::cases(),
        losses::cases(),
        reduce::norm::cases(),
        shape::unfold::cases(),
        scan::cases(),
        sort::cases(),
        matmul::linear_algebra::cases(),
        matmul::einsum::cases(),
        pointwise::dropout::cases(),
        sequence::attention::cases(),
        bad_index::cases(),
        sequence::recurrent::cases(),
        reduce::run_sums::cases(),
        index::count_labels::cases(),
        colour::cases(),
        resample::correlate1d::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
