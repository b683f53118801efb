//! Region proposal networks (Ren et al., "Faster R-CNN", 2015).

use super::levels::flattened;
use super::targets::rows_at;
use super::{
    AnchorGenerator, BETWEEN_THRESHOLDS, BalancedPositiveNegativeSampler, BoxCoder, DetectionTargets, Detections,
    ImageList, Matcher,
};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::models::initial;
use crate::nn::blocks::{ConvNormActivation, ConvNormActivationOptions};
use crate::nn::{Children, Conv2d, Module, Scope, Sequential, children};
use crate::number::nearest;
use crate::ops::{BoxFormat, Conv2dOptions, Reduction};
use crate::options::options;

/// Sides below this many pixels make no proposal.
const MIN_SIZE: f64 = 1e-3;

/// The error at which the loss of an offset turns from a parabola into a line: torchvision's choice for both stages.
pub(super) const BETA: f64 = 1.0 / 9.0;

options! {
    /// Options of the first stage, with torchvision's names (there with the prefix `rpn_`) and defaults.
    #[derive(Clone, Debug, PartialEq)]
    RpnOptions {
        /// Sizes of the anchors on each level.
        anchor_sizes: Vec<Vec<f32>> = [32.0, 64.0, 128.0, 256.0, 512.0].map(|size| vec![size]).to_vec(),
        /// Ratios of height to width, the same on each level.
        aspect_ratios: Vec<f32> = vec![0.5, 1.0, 2.0],
        /// Convolutions of 3 x 3 in the head.
        conv_depth: usize = 1,
        /// Anchors of each level that go into non-maximum suppression, for losses.
        pre_nms_top_n_train: usize = 2000,
        /// The same for detections.
        pre_nms_top_n_test: usize = 1000,
        /// Proposals of an image, for losses.
        post_nms_top_n_train: usize = 2000,
        /// The same for detections.
        post_nms_top_n_test: usize = 1000,
        /// The overlap from which on a proposal removes lesser ones of its level.
        nms_thresh: f64 = 0.7,
        /// The overlap with an object from which an anchor is matched to it.
        fg_iou_thresh: f64 = 0.7,
        /// The overlap with all objects below which an anchor counts as background.
        bg_iou_thresh: f64 = 0.3,
        /// Anchors of an image that the losses look at.
        batch_size_per_image: usize = 256,
        /// The largest fraction of matched anchors among them.
        positive_fraction: f64 = 0.5,
        /// The least probability of a proposal.
        score_thresh: f64 = 0.0,
    }
}

/// The part of torchvision's `RPNHead` that is trained.
struct RpnHead {
    conv: Sequential,
    cls_logits: Conv2d,
    bbox_pred: Conv2d,
}

impl RpnHead {
    fn new(scope: &Scope, channels: usize, anchors: usize, depth: usize) -> Result<RpnHead> {
        let block = ConvNormActivationOptions::default().norm(None);
        let conv = (0..depth).try_fold(Sequential::new(&scope.at("conv")), |conv, _| {
            conv.make(|s| ConvNormActivation::new(s, channels, channels, &block))
        })?;
        let plain = Conv2dOptions::default();
        let head = RpnHead {
            conv,
            cls_logits: Conv2d::new(&scope.at("cls_logits"), channels, anchors, 1, &plain)?,
            bbox_pred: Conv2d::new(&scope.at("bbox_pred"), channels, 4 * anchors, 1, &plain)?,
        };
        initial::draw(&head, initial::normal(0.01), initial::kept)?;
        Ok(head)
    }
}

impl Module for RpnHead {
    /// Logits and offsets side by side.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(input)?;
        Tensor::cat(&[&self.cls_logits.forward(&x)?, &self.bbox_pred.forward(&x)?], 1)
    }
    fn children(&self) -> Children<'_> {
        children![self; conv, cls_logits, bbox_pred]
    }
}

/// The predictions of a [`RegionProposalNetwork`] at all anchors.
pub(super) struct AnchorPredictions {
    /// Logits of there being an object, `[N, A]`.
    objectness: Tensor,
    /// Offsets of its box from the anchor, `[N, A, 4]`.
    deltas: Tensor,
    /// `[A, 4]`.
    anchors: Tensor,
    /// Anchors of each level.
    counts: Vec<usize>,
}

/// Boxes that may hold objects, a fixed number an image.
#[derive(Clone)]
pub(super) struct Proposals {
    /// Corners, `[N, P, 4]`.
    pub boxes: Tensor,
    /// False if there are less, `[N, P]`.
    pub is_valid: Tensor,
}

/// The first stage of a two-stage detector, torchvision's `RegionProposalNetwork`: at each anchor a logit of there being an
/// object of any kind, and the offset of its box.
pub(super) struct RegionProposalNetwork {
    head: RpnHead,
    generator: AnchorGenerator,
    coder: BoxCoder,
    matcher: Matcher,
    sampler: BalancedPositiveNegativeSampler,
    options: RpnOptions,
}

impl RegionProposalNetwork {
    pub fn new(scope: &Scope, channels: usize, options: &RpnOptions) -> Result<RegionProposalNetwork> {
        let RpnOptions { anchor_sizes, aspect_ratios, fg_iou_thresh, bg_iou_thresh, .. } = options;
        let generator = AnchorGenerator::new(anchor_sizes, &vec![aspect_ratios.clone(); anchor_sizes.len()])?;
        let anchors = generator.num_anchors_per_location().first().copied().unwrap_or(0);
        Ok(RegionProposalNetwork {
            head: RpnHead::new(&scope.at("head"), channels, anchors, options.conv_depth)?,
            generator,
            coder: BoxCoder::new([1.0; 4]),
            matcher: Matcher::new(*fg_iou_thresh, *bg_iou_thresh, true)?,
            sampler: BalancedPositiveNegativeSampler {
                batch_size_per_image: options.batch_size_per_image,
                positive_fraction: options.positive_fraction,
            },
            options: options.clone(),
        })
    }

    pub fn predict(&self, images: &ImageList, levels: &[Tensor]) -> Result<AnchorPredictions> {
        let grids: Vec<[usize; 2]> = levels.iter().map(|level| [level.shape()[2], level.shape()[3]]).collect();
        let anchors = self.generator.anchors(images.tensors.device(), images.size(), &grids)?;
        let (mut objectness, mut deltas) = (Vec::new(), Vec::new());
        for level in levels {
            let x = self.head.conv.forward(level)?;
            // In f32 under autocast too.
            let rows = |map: Tensor, columns| flattened(&map, columns)?.to_dtype(DType::F32);
            objectness.push(rows(self.head.cls_logits.forward(&x)?, 1)?.squeeze(2)?);
            deltas.push(rows(self.head.bbox_pred.forward(&x)?, 4)?);
        }
        let counts = objectness.iter().map(|level| level.shape()[1]).collect();
        let all = |levels: &[Tensor]| Tensor::cat(&levels.iter().collect::<Vec<_>>(), 1);
        Ok(AnchorPredictions { objectness: all(&objectness)?, deltas: all(&deltas)?, anchors, counts })
    }

    /// The best anchors' boxes, without gradients.
    pub fn proposals(
        &self,
        images: &ImageList,
        predictions: &AnchorPredictions,
        is_training: bool,
    ) -> Result<Proposals> {
        let RpnOptions { nms_thresh, score_thresh, .. } = self.options;
        let (before, after) = match is_training {
            true => (self.options.pre_nms_top_n_train, self.options.post_nms_top_n_train),
            false => (self.options.pre_nms_top_n_test, self.options.post_nms_top_n_test),
        };
        let objectness = predictions.objectness.detach();
        let (mut logits, mut places, mut of_level) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for (level, &count) in (0i32..).zip(&predictions.counts) {
            let (best, at) = objectness.narrow(1, first, count)?.topk(before.min(count), 1, true)?;
            of_level.resize(of_level.len() + before.min(count), level);
            logits.push(best);
            places.push((at + first as f64)?);
            first += count;
        }
        let all = |levels: &[Tensor]| Tensor::cat(&levels.iter().collect::<Vec<_>>(), 1);
        let (logits, places) = (all(&logits)?, all(&places)?);
        let [count, candidates] = [places.shape()[0], places.shape()[1]];
        let anchors = predictions.anchors.index_select(0, &places.flatten(0, -1)?)?;
        let anchors = anchors.reshape(&[nearest(count), nearest(candidates), 4])?;
        let boxes = images.clip(&self.coder.decode(&rows_at(&predictions.deltas.detach(), &places)?, &anchors)?)?;

        let probability = logits.sigmoid()?;
        let is_proposal = has_sides(&boxes, MIN_SIZE)?.logical_and(&probability.ge_scalar(score_thresh)?)?;
        let scores = probability.masked_fill(&is_proposal.logical_not()?, f64::NEG_INFINITY)?;
        let of_level =
            Tensor::from_slice(boxes.device(), &of_level, &[1, candidates])?.expand(&[nearest(count), -1])?;
        let kept = Detections::suppressed(&boxes, &scores, &of_level, nms_thresh, after)?;
        Ok(Proposals { boxes: kept.boxes, is_valid: kept.labels.ge_scalar(0.0)? })
    }

    /// `loss_objectness`, the binary cross entropy of a sample of the anchors, and `loss_rpn_box_reg`, the smooth L1 loss of the
    /// offsets of its positive ones by the size of the sample.
    pub fn losses(&self, predictions: &AnchorPredictions, targets: &DetectionTargets) -> Result<[Tensor; 2]> {
        let anchors = predictions.anchors.unsqueeze(0)?;
        let quality = targets.boxes.box_iou(&anchors, BoxFormat::Xyxy)?;
        let matches = self.matcher.matches(&quality, &targets.is_object()?)?;
        let labels = matches.ge_scalar(0.0)?.to_dtype(DType::I32)?;
        let labels = labels.masked_fill(&matches.eq_scalar(BETWEEN_THRESHOLDS as f64)?, -1.0)?;
        let sample = self.sampler.sample(&labels)?;

        let at = &sample.indices;
        let count = sample.is_valid.to_dtype(DType::F32)?.sum_all()?.maximum_scalar(1.0)?;
        let logits = predictions.objectness.gather(1, at)?;
        let truth = sample.is_positive.to_dtype(DType::F32)?;
        let entropy = logits.binary_cross_entropy_with_logits(&truth, None, None, Reduction::None)?;
        let objectness = (entropy.masked_fill(&sample.is_valid.logical_not()?, 0.0)?.sum_all()? / &count)?;

        let [images, drawn] = [at.shape()[0], at.shape()[1]];
        let anchors = predictions.anchors.index_select(0, &at.flatten(0, -1)?)?;
        let anchors = anchors.reshape(&[nearest(images), nearest(drawn), 4])?;
        let objects = targets.matched_boxes(&matches.gather(1, at)?)?;
        let deltas = rows_at(&predictions.deltas, at)?;
        let box_loss = offset_loss(&self.coder, &deltas, &objects, &anchors, &sample.is_positive)?;
        Ok([objectness, (box_loss / &count)?])
    }
}

impl Module for RegionProposalNetwork {
    /// The head's logits and offsets of one level.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.head.forward(input)
    }
    fn children(&self) -> Children<'_> {
        children![self; head]
    }
}

/// The sum of the smooth L1 losses of offsets `[N, K, 4]` of boxes from others, where they count.
pub(super) fn offset_loss(
    coder: &BoxCoder,
    offsets: &Tensor,
    boxes: &Tensor,
    from: &Tensor,
    counts: &Tensor,
) -> Result<Tensor> {
    let counts = counts.unsqueeze(-1)?;
    // Boxes that don't count may be empty, which have no logarithm.
    let unit = Tensor::from_slice(boxes.device(), &[0.0f32, 0.0, 1.0, 1.0], &[1, 1, 4])?;
    let truth = coder.encode(&counts.where_(boxes, &unit)?, &counts.where_(from, &unit)?)?.detach();
    counts.where_(offsets, &truth)?.smooth_l1_loss(&truth, BETA, Reduction::Sum)
}

/// True if both sides of boxes `[.., 4]` are as long.
pub(super) fn has_sides(boxes: &Tensor, length: f64) -> Result<Tensor> {
    (boxes.narrow(-1, 2, 2)? - boxes.narrow(-1, 0, 2)?)?.ge_scalar(length)?.all(-1)
}
