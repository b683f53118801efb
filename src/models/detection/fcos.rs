//! FCOS (Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", 2019). The names of the parameters are
//! torchvision's.

use super::levels::{Candidates, best_of, grids, joined, one_hot, rare};
use super::retinanet::pyramid;
use super::{
    AnchorGenerator, BoxLinearCoder, BoxLoss, DetectionBackbone, DetectionLosses, DetectionTargets, Detections,
    Detector, ImageList, ImageTransform, ImageTransformOptions, ResNetFpnOptions, resnet_fpn_backbone,
};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::initial;
use crate::nn::{self, Conv2d, GroupNorm, GroupNormOptions, Module, Relu, Scope, Sequential};
use crate::number::nearest;
use crate::ops::{BoxFormat, Conv2dOptions, PadMode, Reduction};
use crate::options::options;

options! {
    /// Options of an [`Fcos`], with torchvision's names and defaults.
    #[derive(Clone, Debug, PartialEq)]
    FcosOptions {
        /// The network below the heads.
        backbone: ResNetFpnOptions = pyramid(),
        /// Classes; the detector has none for the background. torchvision's weights for COCO have 91.
        classes: usize = 91,
        /// The change of images before the backbone.
        transform: ImageTransformOptions = ImageTransformOptions::default(),
        /// The step between positions of each map: the size of its anchors, one a position.
        anchor_sizes: Vec<f32> = vec![8.0, 16.0, 32.0, 64.0, 128.0],
        /// Convolutions in each head.
        num_convs: usize = 4,
        /// Radius around an object's centre, in steps of the map, within which positions may be assigned to it.
        center_sampling_radius: f64 = 1.5,
        /// The least score of a detection.
        score_thresh: f64 = 0.2,
        /// Candidates of each map before suppression.
        topk_candidates: usize = 1000,
        /// The overlap beyond which the better of two detections of a class suppresses the other.
        nms_thresh: f64 = 0.6,
        /// The most detections of an image.
        detections_per_img: usize = 100,
    }
}

impl FcosOptions {
    /// torchvision's `fcos_resnet50_fpn`: 32,269,600 parameters. The backbone's first layers and its norms stay as they are,
    /// which needs weights that were trained; other options of the `backbone` train all of it.
    pub fn fcos_resnet50_fpn() -> FcosOptions {
        FcosOptions::default()
    }
}

/// FCOS: predictions of all classes, of the distances to a box's sides and of the nearness to its centre at each position of each
/// map, with the same two heads for all maps.
///
/// A position is assigned to the smallest of the objects that it is in and near whose centre it is, and whose largest distance
/// suits the map. Losses are `classification` (focal), `bbox_regression` (`1 - giou`) and `bbox_ctrness` (binary cross entropy),
/// divided by the number of assigned positions in all images.
pub struct Fcos {
    backbone: Box<dyn DetectionBackbone>,
    head: FcosHead,
    anchors: AnchorGenerator,
    transform: ImageTransform,
    options: FcosOptions,
}

impl Fcos {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// Those of the layers.
    ///
    /// ```
    /// # use wgrad::{Device, DeviceOptions, Noop, nn::{Module, Scope}};
    /// use wgrad::models::detection::{Fcos, FcosOptions};
    /// # let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    /// let net = Fcos::new(&Scope::new(&device), &FcosOptions::fcos_resnet50_fpn().classes(4))?;
    /// assert!(net.named_parameters().iter().any(|(name, _)| name == "head.regression_head.bbox_ctrness.bias"));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &FcosOptions) -> Result<Fcos> {
        let backbone = resnet_fpn_backbone(&scope.at("backbone"), &options.backbone)?;
        Fcos::with_backbone(scope, Box::new(backbone), options)
    }

    /// A network over another backbone, with one of `anchor_sizes` for each of its maps, whose channels are a multiple of 32.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn with_backbone(scope: &Scope, backbone: Box<dyn DetectionBackbone>, options: &FcosOptions) -> Result<Fcos> {
        let sizes: Vec<Vec<f32>> = options.anchor_sizes.iter().map(|&size| vec![size]).collect();
        let head = FcosHead::new(&scope.at("head"), backbone.out_channels(), options)?;
        Ok(Fcos {
            backbone,
            head,
            anchors: AnchorGenerator::new(&sizes, &vec![vec![1.0]; sizes.len()])?,
            transform: ImageTransform::new(options.transform)?,
            options: options.clone(),
        })
    }

    fn outputs(&self, images: &ImageList) -> Result<Outputs> {
        let maps = self.backbone.levels(&images.tensors)?;
        let grids = grids(&maps);
        let FcosHead { classification_head, regression_head } = &self.head;
        let each = |of: &dyn Fn(&Tensor) -> Result<Tensor>| maps.iter().map(of).collect::<Result<Vec<Tensor>>>();
        let features = each(&|map| regression_head.conv.forward(map))?;
        let of_features = |last: &Conv2d| features.iter().map(|map| last.forward(map)).collect::<Result<Vec<_>>>();
        let logits = each(&|map| classification_head.cls_logits.forward(&classification_head.conv.forward(map)?))?;
        Ok(Outputs {
            logits: joined(&logits, self.options.classes)?,
            distances: joined(&of_features(&regression_head.bbox_reg)?, 4)?.relu()?,
            nearness: joined(&of_features(&regression_head.bbox_ctrness)?, 1)?,
            anchors: self.anchors.anchors(images.tensors.device(), images.size(), &grids)?.unsqueeze(0)?,
            counts: grids.iter().map(|grid| grid[0] * grid[1]).collect(),
        })
    }

    /// The object of each position, `[N, A]`, or -1.
    fn matches(&self, targets: &DetectionTargets, anchors: &Tensor, counts: &[usize]) -> Result<Tensor> {
        let columns = |boxes: &Tensor| boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)?.chunk(4, -1);
        let corners = targets.boxes.chunk(4, -1)?;
        let centres = columns(&targets.boxes)?;
        // `[1, 1, A]`, against `[N, M, 1]` of objects.
        let places: Vec<Tensor> = columns(anchors)?.iter().map(|of| of.transpose(1, 2)).collect::<Result<_>>()?;
        let (x, y, step) = (&places[0], &places[1], &places[2]);
        let away = (x - &centres[0])?.abs()?.maximum(&(y - &centres[1])?.abs()?)?;
        let is_near = away.lt(&(step * self.options.center_sampling_radius)?)?;

        let [left, top] = [(x - &corners[0])?, (y - &corners[1])?];
        let [right, bottom] = [(&corners[2] - x)?, (&corners[3] - y)?];
        let is_inside = left.minimum(&top)?.minimum(&right)?.minimum(&bottom)?.gt_scalar(0.0)?;
        let farthest = left.maximum(&top)?.maximum(&right)?.maximum(&bottom)?;
        let [least, most] = limits(step, counts)?;
        let suits = farthest.gt(&least)?.logical_and(&farthest.lt(&most)?)?;

        let is_match = is_near.logical_and(&is_inside)?.logical_and(&suits)?;
        let is_match = is_match.logical_and(&targets.is_object()?.unsqueeze(2)?)?;
        let areas = targets.boxes.box_area(BoxFormat::Xyxy)?.unsqueeze(2)?;
        let (area, object) = is_match.where_(&areas, &areas.full_like(f64::from(f32::MAX))?)?.min(1)?;
        object.masked_fill(&area.ge_scalar(f64::from(f32::MAX))?, -1.0)
    }
}

/// The range of largest distances, in steps, that suits a position: 4 to 8, from 0 on the finest map and without end on the
/// coarsest.
fn limits(step: &Tensor, counts: &[usize]) -> Result<[Tensor; 2]> {
    let first = counts.first().copied().unwrap_or(0);
    let rest = step.shape()[2] - first;
    let least = (step * 4.0)?.narrow(2, first, rest)?.pad(&[nearest(first), 0], PadMode::Constant(0.0))?;
    let last = counts.last().copied().unwrap_or(0);
    let most = (step * 8.0)?.narrow(2, 0, step.shape()[2] - last)?;
    Ok([least, most.pad(&[0, nearest(last)], PadMode::Constant(f64::from(f32::MAX)))?])
}

/// Predictions of all positions, level by level.
struct Outputs {
    /// `[N, A, classes]`.
    logits: Tensor,
    /// `[N, A, 4]`.
    distances: Tensor,
    /// `[N, A, 1]`.
    nearness: Tensor,
    /// `[1, A, 4]`.
    anchors: Tensor,
    /// Anchors of each level.
    counts: Vec<usize>,
}

impl Detector for Fcos {
    fn transform(&self) -> &ImageTransform {
        &self.transform
    }

    fn losses_of(&self, images: &ImageList, targets: &DetectionTargets) -> Result<DetectionLosses> {
        let Outputs { logits, distances, nearness, anchors, counts } = self.outputs(images)?;
        let matches = self.matches(targets, &anchors, &counts)?;
        let is_object = matches.ge_scalar(0.0)?;
        let is_none = is_object.logical_not()?;
        let count = is_object.sum_all()?.to_dtype(DType::F32)?.maximum_scalar(1.0)?;

        let labels = targets.matched_labels(&matches)?.masked_fill(&is_none, -1.0)?;
        let target = one_hot(&labels, self.options.classes)?;
        let classification = logits.sigmoid_focal_loss(&target, 0.25, 2.0, Reduction::Sum)?;

        // Elsewhere the position's anchor is its box, so that all numbers are finite.
        let boxes = is_object.unsqueeze(2)?.where_(&targets.matched_boxes(&matches)?, &anchors)?;
        let regression = BoxLoss::Giou.of_boxes(&BoxLinearCoder.decode(&distances, &anchors)?, &boxes)?;
        let sides = BoxLinearCoder.encode(&boxes, &anchors)?;
        let (before, after) = (sides.narrow(2, 0, 2)?, sides.narrow(2, 2, 2)?);
        let balance = (before.minimum(&after)? / before.maximum(&after)?)?;
        let nearest = (balance.narrow(2, 0, 1)? * balance.narrow(2, 1, 1)?)?.sqrt()?.squeeze(2)?;
        let ctrness = nearness.squeeze(2)?.binary_cross_entropy_with_logits(&nearest, None, None, Reduction::None)?;
        let of_objects = |costs: Tensor| costs.masked_fill(&is_none, 0.0)?.sum_all()? / &count;
        Ok(DetectionLosses::new([
            ("classification", (classification / &count)?),
            ("bbox_regression", of_objects(regression)?),
            ("bbox_ctrness", of_objects(ctrness)?),
        ]))
    }

    fn detections_of(&self, images: &ImageList) -> Result<Detections> {
        let Outputs { logits, distances, nearness, anchors, counts } = self.outputs(images)?;
        let FcosOptions { score_thresh, topk_candidates, nms_thresh, detections_per_img, .. } = self.options;
        let scores = (logits.sigmoid()? * nearness.sigmoid()?)?.sqrt()?;
        let levels = scores.split_with_sizes(&counts, 1)?.into_iter().zip(distances.split_with_sizes(&counts, 1)?);
        let levels = levels.zip(anchors.split_with_sizes(&counts, 1)?).map(|((scores, distances), anchors)| {
            let found = Candidates::new(&scores, score_thresh, topk_candidates)?;
            let boxes = BoxLinearCoder.decode(&found.rows(&distances)?, &found.rows(&anchors)?)?;
            Ok((found, boxes))
        });
        best_of(images, &levels.collect::<Result<Vec<_>>>()?, nms_thresh, detections_per_img)
    }
}

impl Module for Fcos {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.detect(input)?.rows()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; backbone, head]
    }
}

struct FcosHead {
    classification_head: ClassificationHead,
    regression_head: RegressionHead,
}

struct ClassificationHead {
    conv: Sequential,
    cls_logits: Conv2d,
}

struct RegressionHead {
    conv: Sequential,
    bbox_reg: Conv2d,
    bbox_ctrness: Conv2d,
}

impl FcosHead {
    fn new(scope: &Scope, channels: usize, options: &FcosOptions) -> Result<FcosHead> {
        let plain = Conv2dOptions::default().padding(1);
        let tower = |scope: &Scope| {
            (0..options.num_convs).try_fold(Sequential::new(&scope.at("conv")), |tower, _| {
                let tower = tower
                    .make(|s| Conv2d::new(s, channels, channels, 3, &plain))?
                    .make(|s| GroupNorm::new(s, 32, channels, &GroupNormOptions::default()))?;
                Ok::<_, Error>(tower.push(Relu))
            })
        };
        let [classes, regression] = ["classification_head", "regression_head"].map(|name| scope.at(name));
        let last = |scope: &Scope, name: &str, outputs| Conv2d::new(&scope.at(name), channels, outputs, 3, &plain);
        let head = FcosHead {
            classification_head: ClassificationHead {
                conv: tower(&classes)?,
                cls_logits: last(&classes, "cls_logits", options.classes)?,
            },
            regression_head: RegressionHead {
                conv: tower(&regression)?,
                bbox_reg: last(&regression, "bbox_reg", 4)?,
                bbox_ctrness: last(&regression, "bbox_ctrness", 1)?,
            },
        };
        initial::draw(&head, initial::normal(0.01), initial::kept)?;
        head.classification_head.cls_logits.bias.iter().try_for_each(|of| nn::init::constant(of, rare()))?;
        Ok(head)
    }
}

/// A module that others run part by part.
macro_rules! holder {
    ($($holder:ident: $($part:ident)*;)*) => {$(
        impl Module for $holder {
            fn call(&self, _: &Tensor) -> Result<Tensor> {
                Err(Error::invalid(stringify!($holder), "its network runs its parts on all maps"))
            }
            fn children(&self) -> nn::Children<'_> {
                nn::children![self; $($part),*]
            }
        }
    )*};
}

holder! {
    FcosHead: classification_head regression_head;
    ClassificationHead: conv cls_logits;
    RegressionHead: conv bbox_reg bbox_ctrness;
}
