//! The head of Keypoint R-CNN (He et al., "Mask R-CNN", 2017, section 5).

use super::roi_heads::Selected;
use super::targets::rows_at;
use super::{DetectionTargets, Detections, ImageList, MultiScaleRoiAlign};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::initial;
use crate::nn::{Children, Conv2d, ConvTranspose2d, Module, Relu, Scope, Sequential, children};
use crate::number::nearest;
use crate::ops::{
    Conv2dOptions, ConvTranspose2dOptions, CrossEntropyOptions, InterpolateMode, InterpolateOptions, Reduction,
};
use crate::options::options;

options! {
    /// Options of the layers that find keypoints; the defaults are torchvision's.
    #[derive(Clone, Debug, PartialEq)]
    KeypointHeadOptions {
        /// The pooling of regions; heatmaps have four times the size.
        roi_pool: MultiScaleRoiAlign = MultiScaleRoiAlign::default().output_size(14),
        /// Channels of the convolutions of 3 x 3.
        layers: Vec<usize> = vec![512; 8],
        /// Points of an object.
        num_keypoints: usize = 17,
    }
}

/// `keypoint_head` and `keypoint_predictor`.
pub(super) struct KeypointBranch {
    roi_pool: MultiScaleRoiAlign,
    keypoint_head: Sequential,
    keypoint_predictor: KeypointPredictor,
}

/// torchvision's `KeypointRCNNPredictor`.
struct KeypointPredictor {
    kps_score_lowres: ConvTranspose2d,
}

impl KeypointBranch {
    pub fn new(scope: &Scope, channels: usize, options: &KeypointHeadOptions) -> Result<KeypointBranch> {
        let KeypointHeadOptions { roi_pool, ref layers, num_keypoints } = *options;
        let mut width = channels;
        let mut keypoint_head = Sequential::new(&scope.at("keypoint_head"));
        for &outputs in layers {
            let same = Conv2dOptions::default().padding(1);
            keypoint_head = keypoint_head.make(|s| Conv2d::new(s, width, outputs, 3, &same))?.push(Relu);
            width = outputs;
        }
        initial::draw(&keypoint_head, initial::kaiming_fan_out, initial::kept)?;
        let scope = scope.at("keypoint_predictor").at("kps_score_lowres");
        let twice = ConvTranspose2dOptions::default().stride(2).padding(1);
        let kps_score_lowres = ConvTranspose2d::new(&scope, width, num_keypoints, 4, &twice)?;
        let keypoint_predictor = KeypointPredictor { kps_score_lowres };
        initial::draw(&keypoint_predictor, initial::kaiming_fan_out, initial::kept)?;
        Ok(KeypointBranch { roi_pool, keypoint_head, keypoint_predictor })
    }

    /// Heatmaps `[K, points, 4h, 4w]` of the regions of boxes `[N, P, 4]`.
    fn heatmaps(&self, levels: &[Tensor], images: &ImageList, boxes: &Tensor) -> Result<Tensor> {
        let regions = self.roi_pool.pool(levels, boxes, &images.image_sizes)?;
        self.keypoint_predictor.forward(&self.keypoint_head.forward(&regions)?)?.to_dtype(DType::F32)
    }

    /// The mean cross entropy of the positions of visible points over the proposals matched to objects.
    pub fn loss(
        &self,
        levels: &[Tensor],
        images: &ImageList,
        selected: &Selected,
        targets: &DetectionTargets,
    ) -> Result<Tensor> {
        let Some(points) = &targets.keypoints else {
            return Err(Error::invalid("KeypointRcnn", "the targets have no keypoints, which their loss needs"));
        };
        let heatmaps = self.heatmaps(levels, images, &selected.boxes)?;
        let side = heatmaps.shape()[3];
        let points = rows_at(&points.flatten(2, -1)?, &selected.matches)?.unflatten(2, &[-1, 3])?;
        let (cells, is_inside) = cells(&points, &selected.boxes, side)?;
        let counts = is_inside.logical_and(&selected.is_positive.unsqueeze(2)?)?;
        let options = CrossEntropyOptions::default().reduction(Reduction::Sum);
        let ignored = Tensor::full(cells.device(), &[1, 1, 1], options.ignore_index as f32)?;
        let truth = counts.where_(&cells, &ignored)?.to_dtype(DType::I32)?.flatten(0, -1)?;
        let loss = heatmaps.flatten(2, -1)?.flatten(0, 1)?.cross_entropy(&truth, &options)?;
        loss / counts.to_dtype(DType::F32)?.sum_all()?.maximum_scalar(1.0)?
    }

    /// Detections with their points, in pixels of the batch.
    pub fn keypoints(&self, levels: &[Tensor], images: &ImageList, found: Detections) -> Result<Detections> {
        let heatmaps = self.heatmaps(levels, images, &found.boxes)?;
        let [count, places] = [0, 1].map(|d| nearest::<isize>(found.labels.shape()[d]));
        let (points, scores) = heatmaps.heatmaps_to_keypoints(&found.boxes.flatten(0, 1)?, images.size())?;
        let apart = |of_rows: Tensor| of_rows.unflatten(0, &[count, places]);
        Ok(Detections { keypoints: Some(apart(points)?), keypoints_scores: Some(apart(scores)?), ..found })
    }

    /// Both modules by name.
    pub fn children(&self) -> Children<'_> {
        children![self; keypoint_head, keypoint_predictor]
    }
}

impl Module for KeypointPredictor {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let twice = InterpolateOptions::default().scale_factor([2.0; 2]).mode(InterpolateMode::Bilinear);
        self.kps_score_lowres.forward(input)?.interpolate(&twice.align_corners(false))
    }
    fn children(&self) -> Children<'_> {
        children![self; kps_score_lowres]
    }
}

/// The cell of a box's heatmap that contains each point `[N, P, K, 3]`, by its index, and true if the point is visible and
/// inside: torchvision's `keypoints_to_heatmap`.
fn cells(points: &Tensor, boxes: &Tensor, side: usize) -> Result<(Tensor, Tensor)> {
    let along = |d: usize| -> Result<(Tensor, Tensor)> {
        let (low, high) = (boxes.narrow(2, d, 1)?, boxes.narrow(2, d + 2, 1)?);
        let at = points.narrow(3, d, 1)?.squeeze(3)?;
        let scale = ((&high - &low)?.reciprocal()? * side as f64)?;
        let cell = ((&at - &low)? * scale)?.floor()?;
        // The far edge belongs to the last cell.
        let last = Tensor::full(at.device(), &[1, 1, 1], side as f32 - 1.0)?;
        let cell = at.eq(&high)?.where_(&last, &cell)?;
        let is_inside = cell.ge_scalar(0.0)?.logical_and(&cell.lt_scalar(side as f64)?)?;
        Ok((cell, is_inside))
    };
    let ((x, inside_x), (y, inside_y)) = (along(0)?, along(1)?);
    let is_visible = points.narrow(3, 2, 1)?.squeeze(3)?.gt_scalar(0.0)?;
    Ok((((y * side as f64)? + x)?, inside_x.logical_and(&inside_y)?.logical_and(&is_visible)?))
}
