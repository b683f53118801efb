//! Two-stage detectors: Faster R-CNN (Ren et al. 2015) with feature pyramids (Lin et al. 2016), Mask R-CNN and Keypoint R-CNN
//! (He et al. 2017). The names of the parameters are torchvision's.

use super::roi_heads::RoiHeads;
use super::rpn::RegionProposalNetwork;
use super::{
    BoxHeadOptions, DetectionBackbone, DetectionLosses, DetectionTargets, Detections, Detector, ImageList,
    ImageTransform, ImageTransformOptions, KeypointHeadOptions, MaskHeadOptions, MobileNetBackboneOptions,
    ResNetFpnOptions, RoiHeadsOptions, RpnOptions, mobilenet_backbone, paste_masks_in_image, resnet_fpn_backbone,
};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::{MobileNetV3Options, ResNetOptions};
use crate::nn::blocks::NormLayer;
use crate::nn::{Children, Module, Scope, children};
use crate::options::options;

/// The backbone of a [`Rcnn`].
#[derive(Clone, Debug, PartialEq)]
pub enum RcnnBackbone {
    /// A ResNet with a feature pyramid.
    ResNet(ResNetFpnOptions),
    /// A MobileNetV3, with or without a feature pyramid.
    MobileNet(MobileNetBackboneOptions),
}

options! {
    /// Options of a [`Rcnn`]; the default is torchvision's `fasterrcnn_resnet50_fpn`.
    ///
    /// Networks are made as torchvision makes them without weights: with batch normalization, and all layers trained.
    /// [`frozen_norm`](RcnnOptions::frozen_norm) makes them as it does for weights.
    #[derive(Clone, Debug, PartialEq)]
    RcnnOptions {
        /// The layers that make the maps.
        backbone: RcnnBackbone = RcnnBackbone::ResNet(
            ResNetFpnOptions::default().resnet(ResNetOptions::resnet50()).trainable_layers(5),
        ),
        /// Classes, with the background as class 0.
        classes: usize = 91,
        /// The change of images before the backbone.
        transform: ImageTransformOptions = ImageTransformOptions::default(),
        /// The first stage.
        rpn: RpnOptions = RpnOptions::default(),
        /// The second stage.
        roi: RoiHeadsOptions = RoiHeadsOptions::default(),
    }
}

impl RcnnOptions {
    /// torchvision's `fasterrcnn_resnet50_fpn`: 41,808,406 parameters for 91 classes.
    pub fn fasterrcnn_resnet50_fpn() -> RcnnOptions {
        RcnnOptions::default()
    }

    /// torchvision's `fasterrcnn_resnet50_fpn_v2` (Li et al., "Benchmarking Detection Transfer Learning with Vision
    /// Transformers", 2021): norms in the pyramid and the heads, 43,712,278 parameters.
    pub fn fasterrcnn_resnet50_fpn_v2() -> RcnnOptions {
        let head = BoxHeadOptions::default().conv_layers([256; 4]).fc_layers([1024]).norm(NormLayer::default());
        let mut resnet = ResNetFpnOptions::default().resnet(ResNetOptions::resnet50()).trainable_layers(5);
        resnet.fpn = resnet.fpn.norm(NormLayer::default());
        RcnnOptions::default()
            .backbone(RcnnBackbone::ResNet(resnet))
            .rpn(RpnOptions::default().conv_depth(2))
            .roi(RoiHeadsOptions::default().head(head))
    }

    /// torchvision's `fasterrcnn_mobilenet_v3_large_fpn`, for images of the usual size: 19,410,754 parameters.
    pub fn fasterrcnn_mobilenet_v3_large_fpn() -> RcnnOptions {
        let mobilenet = MobileNetV3Options::mobilenet_v3_large().norm(NormLayer::default());
        let backbone = MobileNetBackboneOptions::default().mobilenet(mobilenet).trainable_layers(6);
        let sizes = vec![vec![32.0, 64.0, 128.0, 256.0, 512.0]; 3];
        RcnnOptions::default()
            .backbone(RcnnBackbone::MobileNet(backbone))
            .rpn(RpnOptions::default().anchor_sizes(sizes).score_thresh(0.05))
    }

    /// torchvision's `fasterrcnn_mobilenet_v3_large_320_fpn`, for small images and few proposals.
    pub fn fasterrcnn_mobilenet_v3_large_320_fpn() -> RcnnOptions {
        let options = RcnnOptions::fasterrcnn_mobilenet_v3_large_fpn();
        let rpn = options.rpn.clone().pre_nms_top_n_test(150).post_nms_top_n_test(150);
        options.rpn(rpn).transform(ImageTransformOptions::default().min_size(320).max_size(640))
    }

    /// torchvision's `maskrcnn_resnet50_fpn`: 44,454,513 parameters.
    pub fn maskrcnn_resnet50_fpn() -> RcnnOptions {
        RcnnOptions::default().roi(RoiHeadsOptions::default().mask(MaskHeadOptions::default()))
    }

    /// torchvision's `maskrcnn_resnet50_fpn_v2`: 46,359,409 parameters.
    pub fn maskrcnn_resnet50_fpn_v2() -> RcnnOptions {
        let options = RcnnOptions::fasterrcnn_resnet50_fpn_v2();
        let roi = options.roi.clone().mask(MaskHeadOptions::default().norm(NormLayer::default()));
        options.roi(roi)
    }

    /// torchvision's `keypointrcnn_resnet50_fpn`, for persons and their 17 points: 59,190,378 parameters.
    pub fn keypointrcnn_resnet50_fpn() -> RcnnOptions {
        RcnnOptions::default()
            .classes(2)
            .transform(ImageTransformOptions::default().min_size(640))
            .roi(RoiHeadsOptions::default().keypoint(KeypointHeadOptions::default()))
    }

    /// The network that torchvision makes for weights from elsewhere: the backbone's norms keep their statistics, with `eps`
    /// added to their variance, and its last three parts alone are trained. The weights of torchvision's detectors with a ResNet
    /// take an `eps` of 0, those of its classifiers 1e-5. The networks whose names end in `_v2` train their norms as they are.
    #[must_use]
    pub fn frozen_norm(mut self, eps: f64) -> RcnnOptions {
        let norm = NormLayer::FrozenBatchNorm2d { eps };
        match &mut self.backbone {
            RcnnBackbone::ResNet(options) => {
                options.resnet.norm = norm;
                options.trainable_layers = 3;
            }
            RcnnBackbone::MobileNet(options) => {
                options.mobilenet.norm = norm;
                options.trainable_layers = 3;
            }
        }
        self
    }
}

/// A two-stage detector, torchvision's `GeneralizedRCNN`: a network proposes boxes that may hold objects (`rpn`), and heads
/// classify and refine each (`roi_heads`).
///
/// In the losses a fixed number of proposals is sampled on the device, so that forward and backward pass are one graph in which
/// nothing is read. Labels of objects begin at 1, as class 0 is the background.
///
/// ```no_run
/// # use wgrad::{Device, Tensor, nn::Scope};
/// use wgrad::models::detection::{DetectionTargets, Detector, Rcnn, RcnnOptions};
/// let device = Device::open()?;
/// let net = Rcnn::new(&Scope::new(&device), &RcnnOptions::fasterrcnn_resnet50_fpn().classes(3))?;
/// let images = Tensor::rand(&device, &[2, 3, 300, 400])?;
/// let targets = DetectionTargets::from_objects(&device, &[&[([20.0, 30.0, 90.0, 80.0], 1)], &[]])?;
/// net.losses(&images, &targets)?.total()?.backward()?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Rcnn {
    transform: ImageTransform,
    backbone: Box<dyn DetectionBackbone>,
    rpn: RegionProposalNetwork,
    roi_heads: RoiHeads,
    pooled_levels: usize,
}

impl Rcnn {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no class besides the background; those of the parts.
    pub fn new(scope: &Scope, options: &RcnnOptions) -> Result<Rcnn> {
        let RcnnOptions { backbone, classes, transform, rpn, roi } = options;
        if *classes < 2 {
            let rule = format!("classes is {classes}; it must be 2 or more, since the background is one");
            return Err(Error::invalid("Rcnn", rule));
        }
        let at = scope.at("backbone");
        let backbone: Box<dyn DetectionBackbone> = match backbone {
            RcnnBackbone::ResNet(options) => Box::new(resnet_fpn_backbone(&at, options)?),
            RcnnBackbone::MobileNet(options) => mobilenet_backbone(&at, options)?,
        };
        let channels = backbone.out_channels();
        Ok(Rcnn {
            transform: ImageTransform::new(*transform)?,
            pooled_levels: backbone.pooled_levels(),
            rpn: RegionProposalNetwork::new(&scope.at("rpn"), channels, rpn)?,
            roi_heads: RoiHeads::new(&scope.at("roi_heads"), channels, *classes, roi)?,
            backbone,
        })
    }

    /// Masks in the boxes of detections as masks of whole images.
    fn pasted(found: Detections, images: &ImageList) -> Result<Detections> {
        let Some(masks) = &found.masks else { return Ok(found) };
        let side = |d: usize| images.original_image_sizes.iter().map(|size| size[d]).max().unwrap_or(0);
        let masks = paste_masks_in_image(masks, &found.boxes, [side(0), side(1)])?;
        Ok(Detections { masks: Some(masks), ..found })
    }
}

impl Detector for Rcnn {
    fn transform(&self) -> &ImageTransform {
        &self.transform
    }

    fn losses_of(&self, images: &ImageList, targets: &DetectionTargets) -> Result<DetectionLosses> {
        let levels = self.backbone.levels(&images.tensors)?;
        let predictions = self.rpn.predict(images, &levels)?;
        let proposals = self.rpn.proposals(images, &predictions, true)?;
        let mut losses = self.roi_heads.losses(&levels[..self.pooled_levels], images, &proposals, targets)?;
        let [objectness, boxes] = self.rpn.losses(&predictions, targets)?;
        losses.extend([("loss_objectness", objectness), ("loss_rpn_box_reg", boxes)]);
        Ok(DetectionLosses::new(losses))
    }

    /// Masks are those of the boxes, `[N, D, M, M]`; [`detect`](Detector::detect) lays them over the images.
    fn detections_of(&self, images: &ImageList) -> Result<Detections> {
        let levels = self.backbone.levels(&images.tensors)?;
        let predictions = self.rpn.predict(images, &levels)?;
        let proposals = self.rpn.proposals(images, &predictions, false)?;
        self.roi_heads.detections(&levels[..self.pooled_levels], images, &proposals)
    }

    fn detect(&self, images: &Tensor) -> Result<Detections> {
        let images = self.transform.batch(images)?;
        Rcnn::pasted(images.detections(&self.detections_of(&images)?)?, &images)
    }

    fn detect_each(&self, images: &[Tensor]) -> Result<Detections> {
        let images = self.transform.list(images)?;
        Rcnn::pasted(images.detections(&self.detections_of(&images)?)?, &images)
    }
}

impl Module for Rcnn {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.detect(input)?.rows()
    }
    fn children(&self) -> Children<'_> {
        children![self; backbone, rpn, roi_heads]
    }
}
