//! RetinaNet (Lin et al., "Focal Loss for Dense Object Detection", 2017). The names of the parameters are torchvision's.

use super::levels::{Candidates, best_of, grids, joined, one_hot, rare};
use super::{
    AnchorGenerator, BETWEEN_THRESHOLDS, BoxCoder, BoxLoss, DetectionBackbone, DetectionLosses, DetectionTargets,
    Detections, Detector, ExtraBlocks, FeaturePyramidOptions, ImageList, ImageTransform, ImageTransformOptions,
    Matcher, ResNetFpnOptions, resnet_fpn_backbone,
};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::{ResNetOptions, initial};
use crate::nn::blocks::{ConvNormActivation, ConvNormActivationOptions, NormLayer};
use crate::nn::{self, Conv2d, Module, Scope, Sequential};
use crate::number::nearest;
use crate::ops::{BoxFormat, Conv2dOptions, Reduction};
use crate::options::options;

options! {
    /// Options of a [`RetinaNet`], with torchvision's names and defaults.
    #[derive(Clone, Debug, PartialEq)]
    RetinaNetOptions {
        /// The network below the heads.
        backbone: ResNetFpnOptions = pyramid(),
        /// Classes; the detector has none for the background. torchvision's weights for COCO have 91.
        classes: usize = 91,
        /// The change of images before the backbone.
        transform: ImageTransformOptions = ImageTransformOptions::default(),
        /// Sizes of the anchors of each map.
        anchor_sizes: Vec<Vec<f32>> = [32u32, 64, 128, 256, 512].map(thirds).into(),
        /// Aspect ratios of the anchors of all maps.
        aspect_ratios: Vec<f32> = vec![0.5, 1.0, 2.0],
        /// The normalization in the heads, or none.
        norm: Option<NormLayer> = None,
        /// The cost of a box.
        box_loss: BoxLoss = BoxLoss::L1,
        /// The overlap from which an anchor is matched to an object.
        fg_iou_thresh: f64 = 0.5,
        /// The overlap below which an anchor counts as background.
        bg_iou_thresh: f64 = 0.4,
        /// The least score of a detection.
        score_thresh: f64 = 0.05,
        /// Candidates of each map before suppression.
        topk_candidates: usize = 1000,
        /// The overlap beyond which the better of two detections of a class suppresses the other.
        nms_thresh: f64 = 0.5,
        /// The most detections of an image.
        detections_per_img: usize = 300,
    }
}

/// A size, and two more up to its double.
fn thirds(size: u32) -> Vec<f32> {
    [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|power| nearest((f64::from(size) * 2f64.powf(power)).floor())).into()
}

/// The pyramid of one-stage detectors over a ResNet-50.
pub(super) fn pyramid() -> ResNetFpnOptions {
    let fpn = FeaturePyramidOptions::default().extra_blocks(ExtraBlocks::LastLevelP6P7 { in_channels: 256 });
    ResNetFpnOptions::default().returned_layers([2, 3, 4]).fpn(fpn)
}

impl RetinaNetOptions {
    /// torchvision's `retinanet_resnet50_fpn`: 34,014,999 parameters. The backbone's first layers and its norms stay as they are,
    /// which needs weights that were trained; other options of the `backbone` train all of it. torchvision's weights for COCO go
    /// with an `eps` of 0 in [`NormLayer::FrozenBatchNorm2d`].
    pub fn retinanet_resnet50_fpn() -> RetinaNetOptions {
        RetinaNetOptions::default()
    }

    /// torchvision's `retinanet_resnet50_fpn_v2`: 38,198,935 parameters.
    pub fn retinanet_resnet50_fpn_v2() -> RetinaNetOptions {
        let fpn = FeaturePyramidOptions::default().extra_blocks(ExtraBlocks::LastLevelP6P7 { in_channels: 2048 });
        let backbone = pyramid().resnet(ResNetOptions::resnet50()).trainable_layers(5).fpn(fpn);
        let norm = NormLayer::GroupNorm { num_groups: 32 };
        RetinaNetOptions::default().backbone(backbone).norm(norm).box_loss(BoxLoss::Giou)
    }
}

/// RetinaNet: predictions of all classes and of a box at each anchor of each map, with the same two heads for all maps.
///
/// Losses are `classification`, the focal loss of all anchors that are matched to an object or count as background, and
/// `bbox_regression`, both divided by the number of matched anchors, and then averaged over the images.
pub struct RetinaNet {
    backbone: Box<dyn DetectionBackbone>,
    head: RetinaNetHead,
    anchors: AnchorGenerator,
    matcher: Matcher,
    transform: ImageTransform,
    options: RetinaNetOptions,
}

impl RetinaNet {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for thresholds that are not in order; those of the layers.
    ///
    /// ```
    /// # use wgrad::{Device, DeviceOptions, Noop, nn::{Module, Scope}};
    /// use wgrad::models::detection::{RetinaNet, RetinaNetOptions};
    /// # let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    /// let net = RetinaNet::new(&Scope::new(&device), &RetinaNetOptions::retinanet_resnet50_fpn().classes(4))?;
    /// assert!(net.named_parameters().iter().any(|(name, _)| name == "head.classification_head.cls_logits.bias"));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &RetinaNetOptions) -> Result<RetinaNet> {
        let backbone = resnet_fpn_backbone(&scope.at("backbone"), &options.backbone)?;
        RetinaNet::with_backbone(scope, Box::new(backbone), options)
    }

    /// A network over another backbone, with a list of `anchor_sizes` for each of its maps.
    ///
    /// # Errors
    /// As [`new`](RetinaNet::new).
    pub fn with_backbone(
        scope: &Scope,
        backbone: Box<dyn DetectionBackbone>,
        options: &RetinaNetOptions,
    ) -> Result<RetinaNet> {
        let ratios = vec![options.aspect_ratios.clone(); options.anchor_sizes.len()];
        let anchors = AnchorGenerator::new(&options.anchor_sizes, &ratios)?;
        let each = anchors.num_anchors_per_location().first().copied().unwrap_or(0);
        Ok(RetinaNet {
            head: RetinaNetHead::new(&scope.at("head"), backbone.out_channels(), each, options)?,
            backbone,
            anchors,
            matcher: Matcher::new(options.fg_iou_thresh, options.bg_iou_thresh, true)?,
            transform: ImageTransform::new(options.transform)?,
            options: options.clone(),
        })
    }

    fn outputs(&self, images: &ImageList) -> Result<Outputs> {
        let maps = self.backbone.levels(&images.tensors)?;
        let grids = grids(&maps);
        let each = self.anchors.num_anchors_per_location();
        Ok(Outputs {
            logits: self.head.classification_head.predictions(&maps, self.options.classes)?,
            codes: self.head.regression_head.predictions(&maps, 4)?,
            anchors: self.anchors.anchors(images.tensors.device(), images.size(), &grids)?.unsqueeze(0)?,
            counts: grids.iter().zip(&each).map(|(grid, each)| grid[0] * grid[1] * each).collect(),
        })
    }
}

/// Predictions of all anchors, level by level.
struct Outputs {
    /// `[N, A, classes]`.
    logits: Tensor,
    /// `[N, A, 4]`.
    codes: Tensor,
    /// `[1, A, 4]`.
    anchors: Tensor,
    /// Anchors of each level.
    counts: Vec<usize>,
}

const CODER: fn() -> BoxCoder = || BoxCoder::new([1.0; 4]);

impl Detector for RetinaNet {
    fn transform(&self) -> &ImageTransform {
        &self.transform
    }

    fn losses_of(&self, images: &ImageList, targets: &DetectionTargets) -> Result<DetectionLosses> {
        let Outputs { logits, codes, anchors, .. } = self.outputs(images)?;
        let quality = targets.boxes.box_iou(&anchors, BoxFormat::Xyxy)?;
        let matches = self.matcher.matches(&quality, &targets.is_object()?)?;
        let is_object = matches.ge_scalar(0.0)?;
        let count = is_object.sum(1)?.to_dtype(DType::F32)?.maximum_scalar(1.0)?;

        let labels = targets.matched_labels(&matches)?.masked_fill(&is_object.logical_not()?, -1.0)?;
        let costs = logits.sigmoid_focal_loss(&one_hot(&labels, self.options.classes)?, 0.25, 2.0, Reduction::None)?;
        let between = matches.eq_scalar(f64::from(BETWEEN_THRESHOLDS))?;
        let classification = costs.sum(2)?.masked_fill(&between, 0.0)?;

        // Elsewhere the anchor is its own box, whose offsets are finite.
        let boxes = is_object.unsqueeze(2)?.where_(&targets.matched_boxes(&matches)?, &anchors)?;
        let regression = self.options.box_loss.of_codes(&CODER(), &codes, &anchors, &boxes)?;
        let regression = regression.masked_fill(&is_object.logical_not()?, 0.0)?;
        let mean = |costs: Tensor| (costs.sum(1)? / &count)?.mean_all();
        Ok(DetectionLosses::new([("classification", mean(classification)?), ("bbox_regression", mean(regression)?)]))
    }

    fn detections_of(&self, images: &ImageList) -> Result<Detections> {
        let Outputs { logits, codes, anchors, counts } = self.outputs(images)?;
        let RetinaNetOptions { score_thresh, topk_candidates, nms_thresh, detections_per_img, .. } = self.options;
        let levels =
            logits.sigmoid()?.split_with_sizes(&counts, 1)?.into_iter().zip(codes.split_with_sizes(&counts, 1)?);
        let levels = levels.zip(anchors.split_with_sizes(&counts, 1)?).map(|((scores, codes), anchors)| {
            let found = Candidates::new(&scores, score_thresh, topk_candidates)?;
            let boxes = CODER().decode(&found.rows(&codes)?, &found.rows(&anchors)?)?;
            Ok((found, boxes))
        });
        best_of(images, &levels.collect::<Result<Vec<_>>>()?, nms_thresh, detections_per_img)
    }
}

impl Module for RetinaNet {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.detect(input)?.rows()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; backbone, head]
    }
}

struct RetinaNetHead {
    classification_head: Head,
    regression_head: Head,
}

impl RetinaNetHead {
    fn new(scope: &Scope, channels: usize, anchors: usize, options: &RetinaNetOptions) -> Result<RetinaNetHead> {
        let head = |name, last, columns| Head::new(&scope.at(name), last, [channels, anchors * columns], options.norm);
        let classification_head = head("classification_head", "cls_logits", options.classes)?;
        classification_head.last.bias.iter().try_for_each(|of| nn::init::constant(of, rare()))?;
        Ok(RetinaNetHead { classification_head, regression_head: head("regression_head", "bbox_reg", 4)? })
    }
}

impl Module for RetinaNetHead {
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::invalid("RetinaNetHead", "the heads take the maps of all levels"))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; classification_head, regression_head]
    }
}

/// Four convolutions that keep the size, and one more to the predictions.
struct Head {
    conv: Sequential,
    last: Conv2d,
    /// The last convolution's name.
    name: &'static str,
}

impl Head {
    fn new(
        scope: &Scope,
        name: &'static str,
        [channels, outputs]: [usize; 2],
        norm: Option<NormLayer>,
    ) -> Result<Head> {
        let layer = ConvNormActivationOptions::default().norm(norm);
        let conv = (0..4).try_fold(Sequential::new(&scope.at("conv")), |conv, _| {
            conv.make(|s| ConvNormActivation::new(s, channels, channels, &layer))
        })?;
        let last = Conv2d::new(&scope.at(name), channels, outputs, 3, &Conv2dOptions::default().padding(1))?;
        let head = Head { conv, last, name };
        initial::draw(&head, initial::normal(0.01), initial::kept)?;
        Ok(head)
    }

    fn predictions(&self, maps: &[Tensor], columns: usize) -> Result<Tensor> {
        joined(&maps.iter().map(|map| self.forward(map)).collect::<Result<Vec<_>>>()?, columns)
    }
}

impl Module for Head {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.last.forward(&self.conv.forward(input)?)
    }
    fn children(&self) -> nn::Children<'_> {
        vec![("conv".to_string(), &self.conv as &dyn Module), (self.name.to_string(), &self.last)]
    }
}
