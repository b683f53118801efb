//! Detectors by torchvision's constructors and their arguments.

use super::arguments::{Arguments, count, number, set, several};
use super::build::Network;
use super::{Inputs, Refusal};
use wgrad::models::ResNetOptions;
use wgrad::models::detection::{
    Detector, Fcos, FcosOptions, Rcnn, RcnnBackbone, RcnnOptions, ResNetFpnOptions, RetinaNet, RetinaNetOptions, Ssd,
    SsdOptions,
};
use wgrad::nn::blocks::NormLayer;
use wgrad::nn::{AsModule, Module, Scope};
use wgrad::{Result, Tensor};

/// A detector: losses are its outputs in training, and otherwise the parts of each image's detections, in torchvision's order.
pub struct Detecting {
    net: Box<dyn Detector>,
    /// True if an image's labels come before its scores.
    labels_first: bool,
}

impl Network for Detecting {
    fn module(&self) -> &dyn Module {
        self.net.as_module()
    }

    fn outputs(&self, inputs: &Inputs, is_training: bool) -> Result<Vec<Tensor>> {
        let images = inputs.images()?;
        if is_training {
            let losses = self.net.losses_of_each(&images, &inputs.targets()?)?;
            return Ok(losses.iter().map(|(_, loss)| loss.clone()).collect());
        }
        let found = self.net.detect_each(&images)?;
        let labels = found.labels.to_vec::<i32>()?;
        let most = found.labels.shape()[1];
        let mut outputs = Vec::new();
        for (at, image) in images.iter().enumerate() {
            let count = labels[at * most..][..most].iter().filter(|&&label| label >= 0).count();
            let of_image = |part: &Tensor| part.narrow(0, at, 1)?.squeeze(0)?.narrow(0, 0, count);
            let mut of_boxes = [of_image(&found.boxes)?, of_image(&found.scores)?, of_image(&found.labels)?];
            if self.labels_first {
                of_boxes.swap(1, 2);
            }
            outputs.extend(of_boxes);
            if let Some(masks) = &found.masks {
                let [height, width] = [image.shape()[1], image.shape()[2]];
                outputs.push(of_image(masks)?.narrow(1, 0, height)?.narrow(2, 0, width)?.unsqueeze(1)?);
            }
            for part in [&found.keypoints, &found.keypoints_scores].into_iter().flatten() {
                outputs.push(of_image(part)?);
            }
        }
        Ok(outputs)
    }
}

/// Options by their constructor's name, if it is one of these.
macro_rules! named {
    ($options:ident, $name:expr; $($known:ident)*) => {
        match $name {
            $(stringify!($known) => Some($options::$known()),)*
            _ => None,
        }
    };
}

/// A detector by its name, if it is one.
pub fn build(
    name: &str,
    scope: &Scope,
    frozen: bool,
    arguments: &mut Arguments<'_>,
) -> std::result::Result<Option<Detecting>, Refusal> {
    let rcnn = named!(RcnnOptions, name;
        fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 fasterrcnn_mobilenet_v3_large_fpn
        fasterrcnn_mobilenet_v3_large_320_fpn maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 keypointrcnn_resnet50_fpn);
    let labels_first = rcnn.is_some();
    let net: Box<dyn Detector> = if let Some(options) = rcnn {
        Box::new(Rcnn::new(scope, &two_stages(options, frozen, arguments)?)?)
    } else if let Some(options) = named!(RetinaNetOptions, name; retinanet_resnet50_fpn retinanet_resnet50_fpn_v2) {
        Box::new(RetinaNet::new(scope, &retinanet(options, frozen, arguments)?)?)
    } else if let Some(options) = named!(FcosOptions, name; fcos_resnet50_fpn) {
        Box::new(Fcos::new(scope, &fcos(options, frozen, arguments)?)?)
    } else if let Some(options) = named!(SsdOptions, name; ssd300_vgg16 ssdlite320_mobilenet_v3_large) {
        Box::new(Ssd::new(scope, &ssd(options, arguments)?)?)
    } else {
        return Ok(None);
    };
    Ok(Some(Detecting { net, labels_first }))
}

fn two_stages(
    mut options: RcnnOptions,
    frozen: bool,
    arguments: &mut Arguments<'_>,
) -> std::result::Result<RcnnOptions, Refusal> {
    if frozen {
        options = options.frozen_norm(1e-5);
    }
    match &mut options.backbone {
        RcnnBackbone::ResNet(backbone) => backbone.trainable_layers = 5,
        RcnnBackbone::MobileNet(backbone) => backbone.trainable_layers = 6,
    }
    set!(options, arguments;
        "num_classes" classes count,
        "min_size" transform.min_size count, "max_size" transform.max_size count,
        "image_mean" transform.image_mean several, "image_std" transform.image_std several,
        "rpn_pre_nms_top_n_train" rpn.pre_nms_top_n_train count, "rpn_pre_nms_top_n_test" rpn.pre_nms_top_n_test count,
        "rpn_post_nms_top_n_train" rpn.post_nms_top_n_train count,
        "rpn_post_nms_top_n_test" rpn.post_nms_top_n_test count,
        "rpn_nms_thresh" rpn.nms_thresh number,
        "rpn_fg_iou_thresh" rpn.fg_iou_thresh number, "rpn_bg_iou_thresh" rpn.bg_iou_thresh number,
        "rpn_batch_size_per_image" rpn.batch_size_per_image count,
        "rpn_positive_fraction" rpn.positive_fraction number, "rpn_score_thresh" rpn.score_thresh number,
        "box_score_thresh" roi.score_thresh number, "box_nms_thresh" roi.nms_thresh number,
        "box_detections_per_img" roi.detections_per_img count,
        "box_fg_iou_thresh" roi.fg_iou_thresh number, "box_bg_iou_thresh" roi.bg_iou_thresh number,
        "box_batch_size_per_image" roi.batch_size_per_image count,
        "box_positive_fraction" roi.positive_fraction number, "bbox_reg_weights" roi.bbox_reg_weights several,
    );
    if let Some(keypoint) = &mut options.roi.keypoint {
        set!(keypoint, arguments; "num_keypoints" num_keypoints count);
    }
    Ok(options)
}

/// The backbone of a one-stage detector, all of whose layers are trained: with norms that train, or that keep their statistics.
fn pyramid(backbone: &mut ResNetFpnOptions, frozen: bool) {
    backbone.trainable_layers = 5;
    backbone.resnet = match frozen {
        true => ResNetOptions::resnet50().norm(NormLayer::FROZEN),
        false => ResNetOptions::resnet50(),
    };
}

fn retinanet(
    mut options: RetinaNetOptions,
    frozen: bool,
    arguments: &mut Arguments<'_>,
) -> std::result::Result<RetinaNetOptions, Refusal> {
    pyramid(&mut options.backbone, frozen);
    set!(options, arguments;
        "num_classes" classes count,
        "min_size" transform.min_size count, "max_size" transform.max_size count,
        "image_mean" transform.image_mean several, "image_std" transform.image_std several,
        "fg_iou_thresh" fg_iou_thresh number, "bg_iou_thresh" bg_iou_thresh number,
        "score_thresh" score_thresh number, "nms_thresh" nms_thresh number,
        "topk_candidates" topk_candidates count, "detections_per_img" detections_per_img count,
    );
    Ok(options)
}

fn fcos(
    mut options: FcosOptions,
    frozen: bool,
    arguments: &mut Arguments<'_>,
) -> std::result::Result<FcosOptions, Refusal> {
    pyramid(&mut options.backbone, frozen);
    set!(options, arguments;
        "num_classes" classes count,
        "min_size" transform.min_size count, "max_size" transform.max_size count,
        "image_mean" transform.image_mean several, "image_std" transform.image_std several,
        "center_sampling_radius" center_sampling_radius number,
        "score_thresh" score_thresh number, "nms_thresh" nms_thresh number,
        "topk_candidates" topk_candidates count, "detections_per_img" detections_per_img count,
    );
    Ok(options)
}

fn ssd(mut options: SsdOptions, arguments: &mut Arguments<'_>) -> std::result::Result<SsdOptions, Refusal> {
    options.trainable_layers = options.trainable_layers.max(5);
    set!(options, arguments;
        "num_classes" classes count,
        "image_mean" image_mean several, "image_std" image_std several,
        "iou_thresh" iou_thresh number, "positive_fraction" positive_fraction number,
        "score_thresh" score_thresh number, "nms_thresh" nms_thresh number,
        "topk_candidates" topk_candidates count, "detections_per_img" detections_per_img count,
    );
    Ok(options)
}
