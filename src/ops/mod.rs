//! The operations: one file each, holding the method, the shape rule, the kernels, the reference, the gradient
//! and the cases. This file is the list.

mod attention;
pub(crate) mod autocast;
mod bad_index;
pub mod case;
mod cat;
mod colour;
mod congruence;
mod conv;
mod correlate1d;
mod count_labels;
mod cross_entropy;
mod detection;
mod diagonal;
mod dropout;
mod einsum;
mod index;
pub(crate) mod interpose;
mod label_place;
mod linear_algebra;
mod losses;
mod matmul;
mod norm;
mod normalization;
mod pack;
mod pad;
mod pointwise;
mod pool;
mod quantize;
mod rearrange;
mod recurrent;
mod reduce;
mod repeat;
mod resample;
pub(crate) mod rule;
mod run_sums;
mod scan;
mod slice;
mod softmax;
mod sort;
mod table;
mod unfold;
mod view;

pub use attention::{AttentionOptions, InProjection, MultiHeadOptions, MultiHeadWeights};
pub(crate) use bad_index::or_bad_index;
pub(crate) use colour::ColourStep;
pub use conv::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    ConvTranspose3dOptions, ConvTransposeOptions, Padding,
};
pub(crate) use count_labels::{CountLabels, Tallied};
pub use cross_entropy::{CrossEntropyOptions, Reduction};
pub use detection::{BoxFormat, RoiAlignOptions};
pub use index::{EmbeddingOptions, ScatterReduction};
pub use losses::{
    CapsuleMarginOptions, CtcLengths, CtcLossOptions, GaussianNllOptions, KlDivOptions, KlDivReduction,
    MinedTripletOptions, MultiMarginOptions, PoissonNllOptions, TripletMarginOptions, TripletMarginWithDistanceOptions,
    TripletMining,
};
pub use normalization::{BatchNormOptions, InstanceNormOptions};
pub(crate) use pack::{PACK_ALIGNMENT, pack, segments};
pub use pad::PadMode;
pub(crate) use pointwise::Full;
pub use pointwise::RoundingMode;
pub use pool::{
    AvgPool1dOptions, AvgPool2dOptions, AvgPool3dOptions, AvgPoolOptions, LpPool1dOptions, LpPool2dOptions,
    LpPool3dOptions, LpPoolOptions, MaxPool1dOptions, MaxPool2dOptions, MaxPool3dOptions, MaxPoolOptions,
    MaxUnpool1dOptions, MaxUnpool2dOptions, MaxUnpool3dOptions, MaxUnpoolOptions,
};
pub(crate) use quantize::{Grid, Number, Sums};
pub use quantize::{QuantizationParameters, QuantizedTensor};
pub use recurrent::RecurrentOptions;
pub(crate) use resample::{Beyond, Clip, Filter, ImageMap, Projective, Sampling, TapRule, Taps};
pub use resample::{GridSampleMode, GridSampleOptions, GridSamplePadding, InterpolateMode, InterpolateOptions};
pub(crate) use table::table;
pub use unfold::UnfoldOptions;

use case::Case;

/// Every case of every operation: what conformance tests, gradient checks and benchmarks iterate over.
pub fn cases() -> Vec<Case> {
    [
        slice::cases(),
        view::cases(),
        pointwise::cases(),
        reduce::cases(),
        matmul::cases(),
        softmax::cases(),
        index::cases(),
        conv::cases(),
        pool::cases(),
        quantize::cases(),
        cross_entropy::cases(),
        normalization::cases(),
        pad::cases(),
        cat::cases(),
        rearrange::cases(),
        resample::cases(),
        detection::cases(),
        diagonal::cases(),
        repeat::cases(),
        losses::cases(),
        norm::cases(),
        unfold::cases(),
        scan::cases(),
        sort::cases(),
        linear_algebra::cases(),
        einsum::cases(),
        dropout::cases(),
        attention::cases(),
        bad_index::cases(),
        recurrent::cases(),
        run_sums::cases(),
        count_labels::cases(),
        colour::cases(),
        correlate1d::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
