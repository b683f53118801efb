//! The second stage of two-stage detectors: classifies and refines the proposed regions.

use super::box_head::{BoxHead, BoxPredictor};
use super::keypoint_head::KeypointBranch;
use super::mask_head::MaskBranch;
use super::rpn::{Proposals, has_sides, offset_loss};
use super::targets::rows_at;
use super::{
    BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS, BalancedPositiveNegativeSampler, BoxCoder, BoxHeadOptions,
    DetectionTargets, Detections, ImageList, KeypointHeadOptions, MaskHeadOptions, Matcher, MultiScaleRoiAlign,
};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{Children, Module, Scope};
use crate::number::nearest;
use crate::ops::{BoxFormat, CrossEntropyOptions, Reduction};
use crate::options::options;

/// Sides below this many pixels make no detection.
const MIN_SIZE: f64 = 1e-2;

options! {
    /// Options of the second stage, with torchvision's names (there with the prefix `box_`) and defaults.
    #[derive(Clone, Debug, PartialEq)]
    RoiHeadsOptions {
        /// The pooling of regions for boxes.
        roi_pool: MultiScaleRoiAlign = MultiScaleRoiAlign::default(),
        /// The layers between a pooled region and its class and box.
        head: BoxHeadOptions = BoxHeadOptions::default(),
        /// The layers for masks, or none.
        mask: Option<MaskHeadOptions> = None,
        /// The layers for keypoints, or none.
        keypoint: Option<KeypointHeadOptions> = None,
        /// Detections are more probable than this.
        score_thresh: f64 = 0.05,
        /// The overlap from which on a detection removes lesser ones of its class.
        nms_thresh: f64 = 0.5,
        /// Detections of an image.
        detections_per_img: usize = 100,
        /// The overlap with an object from which a proposal is matched to it.
        fg_iou_thresh: f64 = 0.5,
        /// The overlap with all objects below which a proposal counts as background.
        bg_iou_thresh: f64 = 0.5,
        /// Proposals of an image that the losses look at.
        batch_size_per_image: usize = 512,
        /// The largest fraction of matched proposals among them.
        positive_fraction: f64 = 0.25,
        /// Factors of the offsets of boxes.
        bbox_reg_weights: [f64; 4] = [10.0, 10.0, 5.0, 5.0],
    }
}

/// Proposals that the losses look at, those of objects first.
pub(super) struct Selected {
    /// `[N, S, 4]`.
    pub boxes: Tensor,
    /// The object that a proposal is matched to, `[N, S]`.
    pub matches: Tensor,
    /// Its class, and 0 for background, `[N, S]`.
    pub labels: Tensor,
    /// `[N, S]`.
    pub is_positive: Tensor,
    /// False if a position is empty, `[N, S]`.
    pub is_valid: Tensor,
}

impl Selected {
    /// The first positions of each image.
    fn narrow(&self, count: usize) -> Result<Selected> {
        let first = |tensor: &Tensor| tensor.narrow(1, 0, count);
        Ok(Selected {
            boxes: first(&self.boxes)?,
            matches: first(&self.matches)?,
            labels: first(&self.labels)?,
            is_positive: first(&self.is_positive)?,
            is_valid: first(&self.is_valid)?,
        })
    }
}

/// torchvision's `RoIHeads`.
pub(super) struct RoiHeads {
    box_head: BoxHead,
    box_predictor: BoxPredictor,
    mask: Option<MaskBranch>,
    keypoint: Option<KeypointBranch>,
    coder: BoxCoder,
    matcher: Matcher,
    sampler: BalancedPositiveNegativeSampler,
    classes: usize,
    options: RoiHeadsOptions,
}

impl RoiHeads {
    pub fn new(scope: &Scope, channels: usize, classes: usize, options: &RoiHeadsOptions) -> Result<RoiHeads> {
        let RoiHeadsOptions { roi_pool, head, mask, keypoint, .. } = options;
        let features = head.fc_layers.last().copied();
        let features = features.unwrap_or(channels * roi_pool.output_size[0] * roi_pool.output_size[1]);
        Ok(RoiHeads {
            box_head: BoxHead::new(&scope.at("box_head"), channels, roi_pool.output_size, head)?,
            box_predictor: BoxPredictor::new(&scope.at("box_predictor"), features, classes)?,
            mask: mask.as_ref().map(|mask| MaskBranch::new(scope, channels, classes, mask)).transpose()?,
            keypoint: keypoint.as_ref().map(|points| KeypointBranch::new(scope, channels, points)).transpose()?,
            coder: BoxCoder::new(options.bbox_reg_weights),
            matcher: Matcher::new(options.fg_iou_thresh, options.bg_iou_thresh, false)?,
            sampler: BalancedPositiveNegativeSampler {
                batch_size_per_image: options.batch_size_per_image,
                positive_fraction: options.positive_fraction,
            },
            classes,
            options: options.clone(),
        })
    }

    /// A sample of the proposals and of the objects' own boxes.
    fn select(&self, proposals: &Proposals, targets: &DetectionTargets) -> Result<Selected> {
        let is_object = targets.is_object()?;
        let boxes = Tensor::cat(&[&proposals.boxes, &targets.boxes], 1)?;
        let number = |mask: &Tensor| mask.to_dtype(DType::I32);
        let is_candidate = Tensor::cat(&[&number(&proposals.is_valid)?, &number(&is_object)?], 1)?;
        let quality = targets.boxes.box_iou(&boxes, BoxFormat::Xyxy)?;
        let matches = self.matcher.matches(&quality, &is_object)?;
        let labels = targets
            .matched_labels(&matches)?
            .masked_fill(&matches.eq_scalar(BELOW_LOW_THRESHOLD as f64)?, 0.0)?
            .masked_fill(&matches.eq_scalar(BETWEEN_THRESHOLDS as f64)?, -1.0)?
            .masked_fill(&is_candidate.eq_scalar(0.0)?, -1.0)?;
        let sample = self.sampler.sample(&labels)?;
        Ok(Selected {
            boxes: rows_at(&boxes, &sample.indices)?.detach(),
            matches: matches.gather(1, &sample.indices)?,
            labels: labels.gather(1, &sample.indices)?,
            is_positive: sample.is_positive,
            is_valid: sample.is_valid,
        })
    }

    /// Losses by torchvision's names.
    pub fn losses(
        &self,
        levels: &[Tensor],
        images: &ImageList,
        proposals: &Proposals,
        targets: &DetectionTargets,
    ) -> Result<Vec<(&'static str, Tensor)>> {
        let selected = self.select(proposals, targets)?;
        let regions = self.options.roi_pool.pool(levels, &selected.boxes, &images.image_sizes)?;
        let is_valid = selected.is_valid.flatten(0, -1)?;
        let (logits, offsets) = self.box_predictor.predict(&self.box_head.features(&regions, &is_valid)?)?;
        let count = is_valid.to_dtype(DType::F32)?.sum_all()?.maximum_scalar(1.0)?;
        let labels = selected.labels.flatten(0, -1)?;
        let counted = CrossEntropyOptions::default().reduction(Reduction::Sum);
        let known = labels.masked_fill(&is_valid.logical_not()?, counted.ignore_index as f64)?;
        let classifier = logits.cross_entropy(&known, &counted)?;

        let offsets = of_label(&offsets, &labels)?.reshape_to(*selected.boxes.shape())?;
        let objects = targets.matched_boxes(&selected.matches)?;
        let box_loss = offset_loss(&self.coder, &offsets, &objects, &selected.boxes, &selected.is_positive)?;
        let mut losses = vec![("loss_classifier", (classifier / &count)?), ("loss_box_reg", (box_loss / &count)?)];

        let RoiHeadsOptions { batch_size_per_image, positive_fraction, .. } = self.options;
        let most = nearest::<usize>((batch_size_per_image as f64 * positive_fraction).floor());
        let positive = selected.narrow(most.min(selected.labels.shape()[1]))?;
        if let Some(branch) = &self.mask {
            losses.push(("loss_mask", branch.loss(levels, images, &positive, targets)?));
        }
        if let Some(branch) = &self.keypoint {
            losses.push(("loss_keypoint", branch.loss(levels, images, &positive, targets)?));
        }
        Ok(losses)
    }

    /// Detections in pixels of the batch. Masks are those of the boxes, `[N, D, 28, 28]`.
    pub fn detections(&self, levels: &[Tensor], images: &ImageList, proposals: &Proposals) -> Result<Detections> {
        let RoiHeadsOptions { score_thresh, nms_thresh, detections_per_img, .. } = self.options;
        let [count, places, classes] =
            [proposals.boxes.shape()[0], proposals.boxes.shape()[1], self.classes].map(nearest::<isize>);
        let regions = self.options.roi_pool.pool(levels, &proposals.boxes, &images.image_sizes)?;
        let is_valid = proposals.is_valid.flatten(0, -1)?;
        let (logits, offsets) = self.box_predictor.predict(&self.box_head.features(&regions, &is_valid)?)?;
        // Class 0 is the background.
        let objects = self.classes - 1;
        let offsets = offsets.reshape(&[count, places, classes, 4])?.narrow(2, 1, objects)?;
        let boxes = self.coder.decode(&offsets, &proposals.boxes.unsqueeze(2)?)?;
        let boxes = images.clip(&boxes.reshape(&[count, -1, 4])?)?;
        let probabilities = logits.softmax(-1)?.reshape(&[count, places, classes])?.narrow(2, 1, objects)?;
        let is_found = probabilities.gt_scalar(score_thresh)?.logical_and(&proposals.is_valid.unsqueeze(2)?)?;
        let is_found = is_found.flatten(1, -1)?.logical_and(&has_sides(&boxes, MIN_SIZE)?)?;
        let scores = probabilities.flatten(1, -1)?.masked_fill(&is_found.logical_not()?, f64::NEG_INFINITY)?;
        let labels = Tensor::arange(boxes.device(), 1.0, self.classes as f64, 1.0, DType::I32)?;
        let labels = labels.expand(&[count, places, classes - 1])?.flatten(1, -1)?;
        let [boxes, scores, labels] = self.candidates(boxes, scores, labels)?;
        let mut found = Detections::suppressed(&boxes, &scores, &labels, nms_thresh, detections_per_img)?;
        if let Some(branch) = &self.mask {
            found.masks = Some(branch.masks(levels, images, &found)?);
        }
        if let Some(branch) = &self.keypoint {
            found = branch.keypoints(levels, images, found)?;
        }
        Ok(found)
    }

    /// Probabilities add up to 1, so that few classes of a proposal exceed the threshold: as many candidates are enough.
    fn candidates(&self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Result<[Tensor; 3]> {
        let each = match self.options.score_thresh {
            thresh if thresh > 0.0 => nearest::<usize>((1.0 / thresh).floor()),
            _ => self.classes,
        };
        let all = scores.shape()[1];
        let most = all / (self.classes - 1) * each;
        if most >= all {
            return Ok([boxes, scores, labels]);
        }
        let (scores, at) = scores.topk(most, 1, true)?;
        Ok([rows_at(&boxes, &at)?, scores, labels.gather(1, &at)?])
    }
}

impl Module for RoiHeads {
    /// The logits of pooled regions `[K, C, h, w]`.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.box_predictor.forward(&self.box_head.forward(input)?)
    }
    fn children(&self) -> Children<'_> {
        let mut children: Children<'_> =
            vec![("box_head".into(), &self.box_head), ("box_predictor".into(), &self.box_predictor)];
        children.extend(self.mask.iter().flat_map(|branch| branch.children()));
        children.extend(self.keypoint.iter().flat_map(|branch| branch.children()));
        children
    }
}

/// The part of each row `[K, C, ..]` that belongs to its label `[K]`: `[K, ..]`. Negative labels count as 0.
pub(super) fn of_label(rows: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let [count, classes] = [rows.shape()[0], rows.shape()[1]];
    let first = Tensor::arange(rows.device(), 0.0, (count * classes) as f64, classes as f64, DType::I32)?;
    rows.flatten(0, 1)?.index_select(0, &(first + labels.maximum_scalar(0.0)?)?)
}
