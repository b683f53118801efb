//! The types that operations compute in under autocast: PyTorch's lists, and the casts.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, is_walking, no_grad, whole_of};
use crate::ops::pack::cast_part;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The treatment of an operation's float inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// They are cast to f16: much arithmetic for what is loaded and stored, summed in f32.
    Half,
    /// They are cast to f32: large ranges, or long sums.
    Single,
    /// They are cast to the widest among them.
    Widest,
    /// An error: sums of logarithms of what f16 has rounded to 0 or 1.
    Refused,
}

/// PyTorch's lists (`torch.amp`, those of CUDA), and operations that PyTorch composes of listed ones. Every other operation keeps
/// the types of its inputs.
const LISTS: [(Policy, &str); 4] = [
    (
        Policy::Half,
        "addmm baddbmm bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d einsum gru gru_cell \
        linear lstm lstm_cell matmul mm mv prelu rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell \
        scaled_dot_product_attention",
    ),
    (
        Policy::Single,
        "acos asin binary_cross_entropy_with_logits capsule_margin_loss contrastive_loss cosh cosine_embedding_loss cosine_similarity cross_entropy cumprod \
        cumsum erfinv exp expm1 group_norm hinge_embedding_loss huber_loss interpolate kl_div l1_loss layer_norm \
        local_response_norm log log10 log1p log2 log_softmax logsumexp lp_pool1d lp_pool2d lp_pool3d \
        margin_ranking_loss mined_triplet_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss norm normalize \
        poisson_nll_loss pow prod reciprocal rms_norm roi_align roi_pool rsqrt sinh smooth_l1_loss soft_margin_loss \
        softmax softmin softplus square squash sum tan triplet_margin_loss",
    ),
    (Policy::Widest, "addcdiv addcmul atan2 bilinear dot grid_sample scatter_add"),
    (Policy::Refused, "binary_cross_entropy"),
];

fn policy(op: &str) -> Option<Policy> {
    LISTS.iter().find(|(_, ops)| ops.split(' ').any(|listed| listed == op)).map(|&(policy, _)| policy)
}

/// The setting of autocast on a thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Autocast {
    /// The narrow type.
    pub dtype: DType,
    /// Keeps f32 on an adapter that lacks the narrow type, instead of returning an error.
    pub or_f32: bool,
}

thread_local! {
    static AUTOCAST: Cell<Option<Autocast>> = const { Cell::new(None) };
    /// Number of times autocast was switched on.
    static MADE: Cell<u64> = const { Cell::new(0) };
    /// Number of nested settings.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Casts of weights and packs, by their nodes, so that a weight is cast once however often it is read.
    static WEIGHTS: RefCell<HashMap<(u64, usize), Tensor>> = RefCell::default();
}

/// A setting while it is held.
pub(crate) struct Setting {
    outer: Option<Autocast>,
}

/// Sets autocast on this thread for as long as the result is held.
#[must_use]
pub(crate) fn set(autocast: Option<Autocast>) -> Setting {
    MADE.set(MADE.get() + u64::from(autocast.is_some()));
    DEPTH.set(DEPTH.get() + 1);
    Setting { outer: AUTOCAST.replace(autocast) }
}

/// Number of times autocast was switched on in this thread.
pub(crate) fn settings_made() -> u64 {
    MADE.get()
}

impl Drop for Setting {
    fn drop(&mut self) {
        AUTOCAST.set(self.outer);
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            // Dropped after the borrow: a node may be the last to hold much.
            drop(WEIGHTS.take());
        }
    }
}

/// The casts of an operation under autocast. While this is held autocast is off, since the operation's inner calls use the types
/// that it has chosen.
pub(in crate::ops) struct Casting {
    policy: Option<Policy>,
    autocast: Autocast,
}

impl Drop for Casting {
    fn drop(&mut self) {
        AUTOCAST.set(Some(self.autocast));
    }
}

/// The casts of an operation that is about to be recorded, under autocast.
///
/// # Errors
/// [`Error::Invalid`] if autocast refuses it.
pub(in crate::ops) fn enter(op: &'static str) -> Result<Option<Casting>> {
    // A gradient has the type of the value that it belongs to.
    let Some(autocast) = AUTOCAST.get().filter(|_| !is_walking()) else { return Ok(None) };
    let policy = policy(op);
    if policy == Some(Policy::Refused) {
        let rule = "under autocast probabilities may have been rounded to 0 or 1; take \
                    binary_cross_entropy_with_logits of what sigmoid is taken of";
        return Err(Error::invalid(op, rule));
    }
    AUTOCAST.set(None);
    Ok(Some(Casting { policy, autocast }))
}

impl Casting {
    /// A tensor in the type that the operation chooses.
    #[track_caller]
    pub fn of(&self, tensor: &Tensor) -> Result<Tensor> {
        match self.policy {
            Some(Policy::Half) => narrowed(tensor, self.autocast),
            Some(Policy::Single) => widened(tensor),
            _ => Ok(tensor.clone()),
        }
    }

    /// [`of`](Casting::of), if there is a tensor.
    #[track_caller]
    pub fn of_some(&self, tensor: Option<&Tensor>) -> Result<Option<Tensor>> {
        tensor.map(|tensor| self.of(tensor)).transpose()
    }

    /// Tensors in the type that the operation chooses for all of them.
    #[track_caller]
    pub fn all(&self, tensors: &[&Tensor]) -> Result<Vec<Tensor>> {
        let is_single = tensors.iter().any(|tensor| tensor.dtype() == DType::F32);
        let cast = |&tensor: &&Tensor| match self.policy {
            Some(Policy::Widest) if is_single => widened(tensor),
            _ => self.of(tensor),
        };
        tensors.iter().map(cast).collect()
    }

    /// [`all`](Casting::all) of two.
    #[track_caller]
    pub fn both(&self, first: &Tensor, second: &Tensor) -> Result<(Tensor, Tensor)> {
        let is_widest = self.policy == Some(Policy::Widest);
        if is_widest && [first, second].iter().any(|tensor| tensor.dtype() == DType::F32) {
            return Ok((widened(first)?, widened(second)?));
        }
        Ok((self.of(first)?, self.of(second)?))
    }
}

#[track_caller]
fn widened(tensor: &Tensor) -> Result<Tensor> {
    if tensor.dtype() == DType::F16 { tensor.to_dtype(DType::F32) } else { Ok(tensor.clone()) }
}

#[track_caller]
fn narrowed(tensor: &Tensor, Autocast { dtype, or_f32 }: Autocast) -> Result<Tensor> {
    if tensor.dtype() != DType::F32 {
        return Ok(tensor.clone());
    }
    if let Err(error) = tensor.device().check_dtype("autocast", dtype) {
        return if or_f32 { Ok(tensor.clone()) } else { Err(error) };
    }
    let is_weight = tensor.node.gradient.is_some();
    if !is_weight {
        return tensor.to_dtype(dtype);
    }
    match whole_of(tensor) {
        // The whole pack is cast by one launch; the history is that of its part.
        Some(whole) => cast_part(&no_grad(|| cast_once(&whole, dtype))?, tensor),
        None => cast_once(tensor, dtype),
    }
}

#[track_caller]
fn cast_once(tensor: &Tensor, dtype: DType) -> Result<Tensor> {
    let key = (tensor.node.id, tensor.output);
    let known = WEIGHTS.with_borrow(|weights| weights.get(&key).cloned());
    let cast = known.map_or_else(|| tensor.to_dtype(dtype), Ok)?;
    // A cast that was recorded without a history must not serve for one with a history.
    if cast.is_tracked() == tensor.is_tracked() {
        WEIGHTS.with_borrow_mut(|weights| weights.insert(key, cast.clone()));
    }
    Ok(cast)
}

#[cfg(test)]
mod tests {
    use super::LISTS;
    use std::collections::BTreeSet;

    /// Operations that keep the types of their inputs.
    const GIVEN: &str = "abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d \
        adaptive_max_pool3d add affine_grid all alpha_dropout amax amin any arange argmax argmin argsort atan \
        avg_pool1d avg_pool2d avg_pool3d bad_index batch_norm batched_nms bernoulli bernoulli_p box_area box_convert box_iou cat \
        ceil celu channel_shuffle chunk clamp clamp_tensor clip_boxes_to_image colour complete_box_iou copy \
        correlate1d cos count_labels count_nonzero ctc_loss diag diagonal dice_loss distance_box_iou div div_floor \
        div_rounded div_trunc dropout dropout1d dropout2d dropout3d elu embedding eq erf expand eye fake_quantize \
        feature_alpha_dropout flip floor floor_divide fmod fold frac full gather gaussian_nll_loss ge gelu \
        generalized_box_iou global_avg_pool global_max_pool glu gt hardshrink hardsigmoid hardswish hardtanh \
        heatmaps_to_keypoints image_noise index_add index_select instance_norm isfinite isinf isnan kthvalue le leaky_relu lerp linspace \
        logical_and logical_not logical_or logical_xor logsigmoid lt masked_fill masked_select max max_pool1d \
        max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d maximum mean min minimum mish mul \
        multi_head_attention_forward multilabel_soft_margin_loss ne neg nms normal one_hot ones_like outer pad \
        pairwise_distance permute pixel_shuffle pixel_unshuffle quantize_per_channel quantize_per_tensor quantized_conv2d quantized_linear rand rand_like randint randint_like randn randperm \
        relu relu6 relu_backward remainder remove_small_boxes repeat reshape roll round round_decimals run_sums \
        scatter selu sigmoid sigmoid_focal_loss sign silu sin slice softshrink softsign sort split split_with_sizes \
        sqrt squeeze stack std sub take_along_dim tanh tanhshrink threshold tile to_dtype topk tril \
        triplet_margin_with_distance_loss triu trunc unflatten unfold uniform unpack_bytes var view warp where \
        zeros_like";

    /// An operation that is not listed would compute in f16 by oversight.
    #[test]
    fn every_operation_is_listed_once() {
        let listed: Vec<&str> = LISTS.iter().flat_map(|(_, ops)| ops.split(' ')).chain(GIVEN.split(' ')).collect();
        let ops: BTreeSet<&str> = crate::ops::cases().iter().map(|case| case.op).collect();
        let wrong: Vec<&str> =
            ops.into_iter().filter(|op| listed.iter().filter(|listed| *listed == op).count() != 1).collect();
        assert!(wrong.is_empty(), "{}", wrong.join(" "));
    }
}
