//! Golden cases in which wgrad differs from PyTorch, with reasons.

/// A reason, and its cases, by file and name.
type Reason = (&'static str, &'static str);

/// Cases with other values.
const VALUES: &[Reason] = &[
    (
        "PyTorch takes infinity from infinity where a class that can't be said has a share of 0",
        "ctc_specials/ctc_loss.16 ctc_specials/ctc_loss.17 ctc_specials/ctc_loss.18 ctc_specials/ctc_loss.19
         ctc_specials/ctc_loss.20 ctc_specials/ctc_loss.21",
    ),
    (
        "PyTorch divides infinity by infinity where the slope is that of a line",
        "loss_specials/soft_margin_loss.1 loss_specials/soft_margin_loss.2 loss_specials/soft_margin_loss.5
         margin_specials/soft_margin_loss.2 margin_specials/soft_margin_loss.5 half_loss_specials/soft_margin_loss.2",
    ),
    (
        "PyTorch divides infinity by infinity where the slope is 0",
        "pointwise_specials/softsign.0 half_pointwise_specials/softsign.0",
    ),
    (
        "PyTorch passes over a score that is NaN, since it is above no margin",
        "margin_specials/multi_margin_loss.0 margin_specials/multi_margin_loss.6 margin_specials/multi_margin_loss.12
         margin_specials/multilabel_margin_loss.0",
    ),
    (
        "PyTorch takes a row of scores that are NaN for a hidden one",
        "half_product_specials/scaled_dot_product_attention.0",
    ),
    ("scores past 65,504 are infinite; PyTorch has f32 there", "half_product_specials/scaled_dot_product_attention.4"),
    (
        "of two largest floats each has half of the gradient; PyTorch's have all of it",
        "reduction_specials/logsumexp.12",
    ),
    (
        "a maximum that is NaN has NaN for a gradient, as in amax; PyTorch's norm has 0",
        "reduction_specials/norm.2 half_reduction_specials/norm.2",
    ),
    (
        "where a sample lies on an element torchvision multiplies those beside it by 0, be they infinite or NaN",
        "half_region_specials/roi_align.2 half_region_specials/roi_align.6 half_region_specials/roi_align.8
         half_region_specials/roi_align.9 half_region_specials/roi_align.10",
    ),
    (
        "deviations from an infinite mean have no gradient but NaN; PyTorch's are infinite",
        "reduction_specials/var.2 reduction_specials/var.3 reduction_specials/var.4 reduction_specials/var.5
         reduction_specials/var.10 reduction_specials/var.11 half_reduction_specials/var.1
         half_reduction_specials/var.2",
    ),
];

/// Zeros of the other sign, at least on some adapter; everything else of these cases is compared.
const ZEROS: &[Reason] = &[
    (
        "WGSL leaves the sign of a zero open, which drivers lose in sign(x), max(x, 0), sin(x) and their like",
        "pointwise_specials/sin.0 pointwise_specials/cos.0 pointwise_specials/tan.0 half_pointwise_specials/sin.0
         half_pointwise_specials/cos.0 half_pointwise_specials/tan.0 pointwise_specials/abs.0
         pointwise_specials/clamp.0 pointwise_specials/relu.0 pointwise_specials/relu6.0
         pointwise_specials/sign.0 half_pointwise_specials/abs.0 half_pointwise_specials/clamp.0
         half_pointwise_specials/relu.0 half_pointwise_specials/relu6.0 half_pointwise_specials/sign.0
         loss_specials/l1_loss.0 half_loss_specials/l1_loss.0 half_loss_specials/l1_loss.1
         reduction_specials/norm.0 reduction_specials/norm.9 reduction_specials/norm.11
         half_reduction_specials/norm.0 half_reduction_specials/norm.9 half_reduction_specials/norm.11",
    ),
    (
        "PyTorch on a CPU takes the second of two zeros, and on a GPU the one above",
        "pointwise_specials/maximum.0 pointwise_specials/minimum.0 half_pointwise_specials/maximum.0
         half_pointwise_specials/minimum.0",
    ),
    (
        "polynomials and sums that end in adding 0, which makes 0 of -0",
        "index_specials/scatter_add.0 half_index_specials/scatter_add.0 half_index_specials/index_add.0
         pointwise_specials/asin.0 pointwise_specials/atan.0 pointwise_specials/tanh.0 pointwise_specials/tanhshrink.0
         half_pointwise_specials/asin.0 half_pointwise_specials/atan.0 half_pointwise_specials/tanh.0
         half_pointwise_specials/tanhshrink.0 recurrence_specials/lstm_cell.2
         half_recurrence_specials/lstm_cell.4 half_recurrence_specials/lstm_cell.5 half_recurrence_specials/lstm.1
         half_recurrence_specials/lstm.2 half_recurrence_specials/lstm.7 window_specials/interpolate.3
         window_specials/interpolate.15",
    ),
    (
        "of PyTorch a product with 0 or the negative of 0, here selected or subtracted; or the other way round",
        "pointwise_specials/logsigmoid.0 pointwise_specials/remainder.0 half_pointwise_specials/logsigmoid.0
         half_pointwise_specials/mish.0 half_pointwise_specials/remainder.0 half_reduction_specials/log_softmax.4
         half_loss_specials/cosine_similarity.3 half_loss_specials/cosine_similarity.7
         half_class_loss_specials/cross_entropy.18 half_class_loss_specials/cross_entropy.19
         half_class_loss_specials/cross_entropy.20 half_class_loss_specials/cross_entropy.21
         half_class_loss_specials/nll_loss.24 half_reduction_specials/prod.3 half_reduction_specials/var.5 loss_specials/cross_entropy.12
         margin_specials/multi_margin_loss.1 margin_specials/multi_margin_loss.2 margin_specials/multi_margin_loss.3
         margin_specials/multi_margin_loss.4 margin_specials/multi_margin_loss.5 margin_specials/multi_margin_loss.13
         margin_specials/multi_margin_loss.14 margin_specials/multi_margin_loss.15 margin_specials/multi_margin_loss.16
         margin_specials/multi_margin_loss.17 margin_specials/multilabel_margin_loss.1
         margin_specials/multilabel_margin_loss.2 margin_specials/multilabel_margin_loss.3
         margin_specials/multilabel_margin_loss.4 product_specials/addmm.0 reduction_specials/prod.6
         reduction_specials/prod.7 window_specials/grid_sample.1",
    ),
];

/// Values that differ if a driver flushes subnormal numbers to 0, as Vulkan allows: SwiftShader does.
const SUBNORMALS: &[Reason] = &[
    (
        "the slope is that of 0",
        "pointwise_specials/abs.0 half_pointwise_specials/abs.0 pointwise_specials/clamp.0
         pointwise_specials/leaky_relu.0 pointwise_specials/log2.0 pointwise_specials/relu.0 pointwise_specials/relu6.0
         pointwise_specials/selu.0 reduction_specials/norm.12",
    ),
    (
        "the value is that of 0",
        "pointwise_specials/ceil.0 pointwise_specials/floor.0 pointwise_specials/mul.0 pointwise_specials/sqrt.0
         reduction_specials/count_nonzero.8 reduction_specials/count_nonzero.9",
    ),
    ("it equals 0, so both get half", "pointwise_specials/maximum.0 pointwise_specials/minimum.0"),
];

fn lists(reasons: &[Reason], name: &str) -> bool {
    reasons.iter().any(|(_, cases)| cases.split_whitespace().any(|case| case == name))
}

pub fn has_other_values(name: &str) -> bool {
    lists(VALUES, name)
}

pub fn has_other_zeros(name: &str) -> bool {
    lists(ZEROS, name)
}

pub fn has_subnormals(name: &str) -> bool {
    lists(SUBNORMALS, name)
}
