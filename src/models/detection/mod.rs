//! Detectors: networks that find objects, with torchvision's names, losses and detections, all on the device and in tensors of
//! fixed sizes. Nothing is read between the images and the losses, or the detections.

mod anchors;
mod backbone;
mod box_head;
mod box_loss;
mod coder;
mod detections;
mod fcos;
mod feature_pyramid;
mod keypoint_head;
mod levels;
mod mask_head;
mod matcher;
mod multi_scale_roi_align;
mod rcnn;
mod registry;
mod retinanet;
mod roi_heads;
mod rpn;
mod sampler;
mod ssd;
mod targets;
mod task;
mod transform;
mod yolo;

pub use anchors::{AnchorGenerator, DefaultBoxGenerator};
pub use backbone::{
    BackboneWithFpn, DetectionBackbone, MobileNetBackboneOptions, ResNetFpnOptions, mobilenet_backbone,
    resnet_fpn_backbone,
};
pub use box_head::BoxHeadOptions;
pub use box_loss::BoxLoss;
pub use coder::{BoxCoder, BoxLinearCoder};
pub use detections::{DetectionLosses, Detections};
pub use fcos::{Fcos, FcosOptions};
pub use feature_pyramid::{ExtraBlocks, FeaturePyramid, FeaturePyramidOptions};
pub use keypoint_head::KeypointHeadOptions;
pub use mask_head::{MaskHeadOptions, paste_masks_in_image};
pub use matcher::{BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS, Matcher, SsdMatcher};
pub use multi_scale_roi_align::MultiScaleRoiAlign;
pub use rcnn::{Rcnn, RcnnBackbone, RcnnOptions};
pub use registry::{by_name, names};
pub use retinanet::{RetinaNet, RetinaNetOptions};
pub use roi_heads::RoiHeadsOptions;
pub use rpn::RpnOptions;
pub use sampler::{BalancedPositiveNegativeSampler, Sample};
pub use ssd::{Ssd, SsdBackbone, SsdOptions};
pub use targets::DetectionTargets;
pub use task::DetectionTask;
pub use transform::{ImageList, ImageTransform, ImageTransformOptions};
pub use yolo::{Yolo, YoloBoxLoss, YoloOptions};

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;

/// A network that finds objects in images, `[N, 3, H, W]` of 0 to 1.
///
/// As a [`Module`] its output is [`Detections::rows`] of its detections. Losses are computed in the network's current mode:
/// [`train`](Module::train) and [`eval`](Module::eval) switch its norms and dropout only.
pub trait Detector: Module {
    /// The transform that images go through first.
    fn transform(&self) -> &ImageTransform;

    /// The losses of transformed images, with objects in their pixels.
    ///
    /// # Errors
    /// Those of the layers; [`Error::Invalid`](crate::Error::Invalid) if shapes don't fit.
    fn losses_of(&self, images: &ImageList, targets: &DetectionTargets) -> Result<DetectionLosses>;

    /// The objects in transformed images, in their pixels.
    ///
    /// # Errors
    /// Those of the layers.
    fn detections_of(&self, images: &ImageList) -> Result<Detections>;

    /// The losses of a batch.
    ///
    /// # Errors
    /// Those of the layers; [`Error::Invalid`](crate::Error::Invalid) if shapes don't fit.
    fn losses(&self, images: &Tensor, targets: &DetectionTargets) -> Result<DetectionLosses> {
        let images = self.transform().batch(images)?;
        self.losses_of(&images, &images.targets(targets)?)
    }

    /// The losses of images `[3, H, W]` of several sizes.
    ///
    /// # Errors
    /// As [`losses`](Detector::losses).
    fn losses_of_each(&self, images: &[Tensor], targets: &DetectionTargets) -> Result<DetectionLosses> {
        let images = self.transform().list(images)?;
        self.losses_of(&images, &images.targets(targets)?)
    }

    /// The objects in a batch.
    ///
    /// # Errors
    /// Those of the layers.
    fn detect(&self, images: &Tensor) -> Result<Detections> {
        let images = self.transform().batch(images)?;
        images.detections(&self.detections_of(&images)?)
    }

    /// The objects in images `[3, H, W]` of several sizes.
    ///
    /// # Errors
    /// As [`detect`](Detector::detect).
    fn detect_each(&self, images: &[Tensor]) -> Result<Detections> {
        let images = self.transform().list(images)?;
        images.detections(&self.detections_of(&images)?)
    }
}
