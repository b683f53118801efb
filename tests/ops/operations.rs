//! `docs/OPS.md`, the table of operations, is made from the list of operations, their cases and the golden files.
//! `WGRAD_WRITE_DOCS=1 cargo test --test ops operations` writes it.

use crate::conformance;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use wgrad::ops::case::Case;
use wgrad::{DType, ops};

/// Operations with three times as many golden cases as others: those that peers got wrong most often.
const SIXTY: &[&str] = &[
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool2d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "lp_pool2d",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "rms_norm",
    "local_response_norm",
    "normalize",
    "softmax",
    "log_softmax",
    "softmin",
];

/// Operations without golden cases: their results are random, or they are PyTorch's old names of `interpolate`.
const NONE: &[&str] = &[
    "rand",
    "randn",
    "randint",
    "randperm",
    "rand_like",
    "randn_like",
    "randint_like",
    "bernoulli",
    "upsample",
    "upsample_nearest",
    "upsample_bilinear",
];

/// The first questions of users who come from PyTorch.
const NAMES: &str = "
    zeros ones full arange linspace eye one_hot rand randn randint bernoulli randperm zeros_like ones_like full_like
    rand_like randn_like randint_like
    abs neg sign exp expm1 log log1p log2 log10 sqrt rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh erf
    floor ceil round trunc frac sigmoid logsigmoid clamp isnan isinf isfinite add sub mul div pow maximum minimum atan2 fmod
    remainder eq ne lt le gt ge logical_and logical_or logical_xor logical_not where lerp addcmul addcdiv masked_fill relu
    relu6 leaky_relu prelu elu selu celu gelu silu mish softplus softsign hardtanh hardsigmoid hardswish tanhshrink
    softshrink hardshrink threshold glu
    sum mean prod amax amin max min argmax argmin var std norm logsumexp all any cumsum cumprod topk sort argsort
    matmul mm bmm addmm linear outer dot einsum
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold fold
    max_pool1d max_pool2d max_pool3d max_unpool2d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool2d global_avg_pool
    global_max_pool
    batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize softmax log_softmax softmin
    dropout dropout1d dropout2d dropout3d alpha_dropout
    reshape view permute transpose flatten squeeze unsqueeze expand repeat tile cat stack split chunk narrow slice flip roll
    pad tril triu diag pixel_shuffle pixel_unshuffle channel_shuffle
    index_select gather scatter scatter_add take_along_dim embedding masked_select
    interpolate grid_sample affine_grid roi_align roi_pool nms box_iou
    cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss
    kl_div sigmoid_focal_loss dice_loss hinge_embedding_loss margin_ranking_loss triplet_margin_loss
    cosine_embedding_loss ctc_loss multi_margin_loss
    scaled_dot_product_attention multi_head_attention_forward rnn_tanh rnn_relu lstm gru
";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The number of golden cases of each operation. Those of training have a dot in their names.
fn golden() -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in std::fs::read_dir(root("tests/golden")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let cases = conformance::read(&path).unwrap();
            for case in cases.into_iter().filter(|case| !case.op.contains('.')) {
                *counts.entry(case.op).or_default() += 1;
            }
        }
    }
    counts
}

/// A row of the table: an operation, from its cases and its golden files.
fn row(op: &str, cases: &[&Case], golden: usize) -> String {
    let attributes = conformance::operation(op).map_or(Vec::new(), |operation| operation.attributes.to_vec());
    let attributes = attributes.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
    let mut dtypes: Vec<DType> = cases.iter().flat_map(|case| case.inputs.iter().map(|input| input.dtype)).collect();
    if cases.iter().any(|case| case.needs_f16) {
        dtypes.push(DType::F16);
    }
    dtypes.sort_by_key(|dtype| dtype.to_string());
    dtypes.dedup();
    let dtypes = dtypes.iter().map(DType::to_string).collect::<Vec<_>>().join(" ");
    let order = match () {
        () if cases.iter().any(|case| case.smooth) => "any",
        () if cases.iter().any(|case| case.differences) => "first",
        () => "none",
    };
    let tolerances = cases.iter().filter(|case| !case.needs_f16).map(|case| case.tolerance);
    let (least, most) = tolerances.fold((f64::INFINITY, 0.0f64), |(least, most), t| (least.min(t), most.max(t)));
    let tolerance = match () {
        () if cases.is_empty() => String::new(),
        () if least == most => format!("{least}"),
        () => format!("{least} to {most}"),
    };
    format!("| {op} | {attributes} | {dtypes} | {order} | {tolerance} | {} | {golden} |\n", cases.len())
}

fn table() -> String {
    let golden = golden();
    let cases = ops::cases();
    let mut by_op: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        by_op.entry(case.op).or_default().push(case);
    }
    for op in golden.keys() {
        by_op.entry(op).or_default();
    }
    let mut text = String::from(
        "# Operations\n\n\
         Made by `WGRAD_WRITE_DOCS=1 cargo test --test ops operations` from the list of operations; a test fails when it is stale.\n\n\
         * **options**: the arguments besides tensors, by PyTorch's names.\n\
         * **dtypes**: the element types that its cases feed in, indices and masks included.\n\
         * **gradient**: `any` order (the first two are compared with finite differences in double precision), the `first` \
         (further ones are zero, or jump), or `none`.\n\
         * **tolerance**: the largest difference allowed between an adapter and the double-precision reference, in units of \
         f32's epsilon and relative to the largest value of a result: a few, or what was measured on llvmpipe and a tenth.\n\
         * **cases** run on the adapter against the reference, forward and backward, with its own kernels, without subgroups \
         and 64-bit integers, and with the kernels for GPUs; **golden** are calls with PyTorch's results.\n\n\
         Tested on llvmpipe (Mesa 22.3) and SwiftShader, Vulkan's two software drivers, and on the reference.\n\n\
         | operation | options | dtypes | gradient | tolerance | cases | golden |\n|---|---|---|---|---|---|---|\n",
    );
    for (op, cases) in &by_op {
        text.write_str(&row(op, cases, golden.get(*op).copied().unwrap_or(0))).unwrap();
    }
    text
}

#[test]
fn the_table_of_operations_is_fresh() {
    let path = root("docs/OPS.md");
    let text = table();
    if std::env::var_os("WGRAD_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/OPS.md is stale: run WGRAD_WRITE_DOCS=1 cargo test --test ops operations");
}

#[test]
fn every_operation_has_enough_golden_cases() {
    let golden = golden();
    let mut poor = Vec::new();
    for operation in conformance::operations() {
        for &op in operation.names {
            let wanted = match () {
                () if NONE.contains(&op) => 0,
                () if SIXTY.contains(&op) => 60,
                () => 20,
            };
            let count = golden.get(op).copied().unwrap_or(0);
            if count < wanted {
                poor.push(format!("{op} has {count} of {wanted}"));
            }
        }
    }
    assert!(poor.is_empty(), "golden cases are missing: {}", poor.join(", "));
    let total: usize = golden.values().sum();
    assert!(total >= 4000, "only {total} golden cases");
}

#[test]
fn case_files_may_call_every_operation() {
    let unknown: Vec<&str> = NAMES.split_whitespace().filter(|op| conformance::operation(op).is_none()).collect();
    assert!(unknown.is_empty(), "unknown: {unknown:?}");
}
