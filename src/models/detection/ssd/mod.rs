//! SSD (Liu et al., "SSD: Single Shot MultiBox Detector", 2016) and SSDlite (Sandler et al., "MobileNetV2", 2018). The names of
//! the parameters are torchvision's.

mod head;
mod mobilenet;
mod vgg;

use super::levels::grids;
use super::targets::rows_at;
use super::{
    BoxCoder, BoxLoss, DefaultBoxGenerator, DetectionLosses, DetectionTargets, Detections, Detector, ImageList,
    ImageTransform, ImageTransformOptions, SsdMatcher,
};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{self, Module, Scope};
use crate::number::nearest;
use crate::ops::{BoxFormat, CrossEntropyOptions, Reduction};
use crate::options::options;
use head::Head;

/// The network below the heads of an [`Ssd`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SsdBackbone {
    /// VGG-16 with dilated convolutions in place of its linear layers, and eight more convolutions.
    #[default]
    Vgg16,
    /// MobileNetV3 with four more separable convolutions; the heads are separable too.
    MobileNetV3Large,
}

options! {
    /// Options of an [`Ssd`], with torchvision's names; the default is `ssd300_vgg16`.
    #[derive(Clone, Debug, PartialEq)]
    SsdOptions {
        /// The network below the heads.
        backbone: SsdBackbone = SsdBackbone::Vgg16,
        /// Factor of all numbers of channels in the backbone.
        width_mult: f64 = 1.0,
        /// Stages of the classifier in the backbone that are trained, from the last one on: of 5 of VGG-16, 6 of MobileNetV3.
        trainable_layers: usize = 4,
        /// Classes, with the background as class 0.
        classes: usize = 91,
        /// (height, width) of images in the network.
        size: [usize; 2] = [300; 2],
        /// The means of the channels of images.
        image_mean: [f64; 3] = [0.48235, 0.45882, 0.40784],
        /// The standard deviations of the channels of images.
        image_std: [f64; 3] = [1.0 / 255.0; 3],
        /// Aspect ratios of the default boxes of each map, besides squares.
        aspect_ratios: Vec<Vec<f64>> = vec![vec![2.0], vec![2.0, 3.0], vec![2.0, 3.0], vec![2.0, 3.0], vec![2.0], vec![2.0]],
        /// Scales of the default boxes, one more than there are maps.
        scales: Vec<f64> = vec![0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        /// Pixels between positions of each map; the image's size by the map's where `None`.
        steps: Option<Vec<usize>> = Some(vec![8, 16, 32, 64, 100, 300]),
        /// The overlap from which a default box is matched to an object.
        iou_thresh: f64 = 0.5,
        /// The fraction of matched default boxes among those whose classes count; the others are those with the largest losses.
        positive_fraction: f64 = 0.25,
        /// The least score of a detection.
        score_thresh: f64 = 0.01,
        /// Candidates of each class before suppression.
        topk_candidates: usize = 400,
        /// The overlap beyond which the better of two detections of a class suppresses the other.
        nms_thresh: f64 = 0.45,
        /// The most detections of an image.
        detections_per_img: usize = 200,
    }
}

impl SsdOptions {
    /// torchvision's `ssd300_vgg16`: 35,641,826 parameters.
    pub fn ssd300_vgg16() -> SsdOptions {
        SsdOptions::default()
    }

    /// torchvision's `ssdlite320_mobilenet_v3_large`: 3,440,060 parameters.
    pub fn ssdlite320_mobilenet_v3_large() -> SsdOptions {
        SsdOptions::default()
            .backbone(SsdBackbone::MobileNetV3Large)
            .trainable_layers(6)
            .size(320)
            .image_mean([0.5; 3])
            .image_std([0.5; 3])
            .aspect_ratios(vec![vec![2.0, 3.0]; 6])
            .scales(DefaultBoxGenerator::even_scales(6, 0.2, 0.95))
            .steps(None)
            .score_thresh(0.001)
            .nms_thresh(0.55)
            .detections_per_img(300)
            .topk_candidates(300)
    }

    /// Channels of the backbone by those of the published network.
    fn scaled(&self, channels: usize) -> usize {
        nearest::<usize>((channels as f64 * self.width_mult).floor()).max(1)
    }
}

/// Maps of several sizes and channels.
trait Maps: Module {
    fn maps(&self, images: &Tensor) -> Result<Vec<Tensor>>;
}

/// SSD: predictions of a class and of a box at each default box of six maps, each with its own convolutions. Class 0 is the
/// background.
///
/// Losses are `bbox_regression`, the Huber loss of offsets from matched default boxes, and `classification`, the cross entropy of
/// these and of the others with the largest losses in each image, three times as many; both are divided by the number of matched
/// default boxes in all images.
pub struct Ssd {
    backbone: Box<dyn Maps>,
    head: Head,
    anchors: DefaultBoxGenerator,
    transform: ImageTransform,
    options: SsdOptions,
}

const CODER: fn() -> BoxCoder = || BoxCoder::new([10.0, 10.0, 5.0, 5.0]);

impl Ssd {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `positive_fraction`, scales, steps or stages that don't fit; those of the layers.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::detection::{Detector, Ssd, SsdOptions};
    /// # let device = Device::reference();
    /// let options = SsdOptions::ssdlite320_mobilenet_v3_large().classes(4).width_mult(0.25).size(64).detections_per_img(5);
    /// let net = Ssd::new(&Scope::new(&device), &options)?;
    /// net.eval();
    /// let found = net.detect(&Tensor::zeros(&device, &[1, 3, 48, 80])?)?;
    /// assert_eq!(found.boxes.shape()[..], [1, 5, 4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &SsdOptions) -> Result<Ssd> {
        let SsdOptions { positive_fraction, size, image_mean, image_std, .. } = *options;
        if !(positive_fraction > 0.0 && positive_fraction <= 1.0) {
            let rule = format!("positive_fraction is {positive_fraction}; it must be above 0 and at most 1");
            return Err(Error::invalid("Ssd", rule));
        }
        let transform = ImageTransformOptions::default().image_mean(image_mean).image_std(image_std).size_divisible(1);
        let anchors = DefaultBoxGenerator::new(&options.aspect_ratios, &options.scales, options.steps.clone())?;
        let at = scope.at("backbone");
        let (backbone, channels) = match options.backbone {
            SsdBackbone::Vgg16 => vgg::extractor(&at, options)?,
            SsdBackbone::MobileNetV3Large => mobilenet::extractor(&at, options)?,
        };
        let each = anchors.num_anchors_per_location();
        if channels.len() != each.len() {
            let rule = format!("{} maps need as many lists of aspect ratios, not {}", channels.len(), each.len());
            return Err(Error::invalid("Ssd", rule));
        }
        Ok(Ssd {
            head: Head::new(&scope.at("head"), &channels, &each, options)?,
            backbone,
            anchors,
            transform: ImageTransform::new(transform.fixed_size(size))?,
            options: options.clone(),
        })
    }

    /// Logits `[N, A, classes]` and offsets `[N, A, 4]`, and the default boxes `[1, A, 4]`.
    fn outputs(&self, images: &ImageList) -> Result<[Tensor; 3]> {
        let maps = self.backbone.maps(&images.tensors)?;
        let anchors = self.anchors.anchors(images.tensors.device(), images.size(), &grids(&maps))?;
        let [logits, codes] = self.head.predictions(&maps)?;
        Ok([logits, codes, anchors.unsqueeze(0)?])
    }

    /// The losses of classes that count, from losses `[N, A]` and true for each matched box.
    fn mined(&self, costs: &Tensor, is_object: &Tensor) -> Result<Tensor> {
        let ratio = (1.0 - self.options.positive_fraction) / self.options.positive_fraction;
        let wanted = (is_object.sum_keepdim(1)?.to_dtype(DType::F32)? * ratio)?;
        let others = costs.detach().masked_fill(is_object, f64::NEG_INFINITY)?;
        let rank = others.argsort(1, true)?.argsort(1, false)?;
        let is_mined = rank.to_dtype(DType::F32)?.lt(&wanted)?;
        let sum = |counts: &Tensor| costs.masked_fill(&counts.logical_not()?, 0.0)?.sum_all();
        sum(is_object)? + sum(&is_mined)?
    }
}

impl Detector for Ssd {
    fn transform(&self) -> &ImageTransform {
        &self.transform
    }

    fn losses_of(&self, images: &ImageList, targets: &DetectionTargets) -> Result<DetectionLosses> {
        let [logits, codes, anchors] = self.outputs(images)?;
        let quality = targets.boxes.box_iou(&anchors, BoxFormat::Xyxy)?;
        let matches = SsdMatcher::new(self.options.iou_thresh).matches(&quality, &targets.is_object()?)?;
        let is_matched = matches.ge_scalar(0.0)?;
        let is_none = is_matched.logical_not()?;
        let count = is_matched.sum_all()?.to_dtype(DType::F32)?.maximum_scalar(1.0)?;

        // Elsewhere the default box is its own box, whose offsets are finite.
        let boxes = is_matched.unsqueeze(2)?.where_(&targets.matched_boxes(&matches)?, &anchors)?;
        let regression = BoxLoss::SmoothL1 { beta: 1.0 }.of_codes(&CODER(), &codes, &anchors, &boxes)?;
        let regression = regression.masked_fill(&is_none, 0.0)?.sum_all()?;

        let labels = targets.matched_labels(&matches)?.masked_fill(&is_none, 0.0)?;
        let by_class = CrossEntropyOptions::default().reduction(Reduction::None);
        let costs = logits.permute([0, 2, 1])?.cross_entropy(&labels, &by_class)?;
        let classification = self.mined(&costs, &labels.gt_scalar(0.0)?)?;
        Ok(DetectionLosses::new([
            ("bbox_regression", (regression / &count)?),
            ("classification", (classification / &count)?),
        ]))
    }

    fn detections_of(&self, images: &ImageList) -> Result<Detections> {
        let SsdOptions { score_thresh, topk_candidates, nms_thresh, detections_per_img, .. } = self.options;
        let [logits, codes, anchors] = self.outputs(images)?;
        let boxes = images.clip(&CODER().decode(&codes, &anchors)?)?;
        let [count, all, classes] = [0, 1, 2].map(|d| logits.shape()[d]);
        let scores = logits.softmax(2)?.narrow(2, 1, classes - 1)?.transpose(1, 2)?;
        let known = scores.masked_fill(&scores.le_scalar(score_thresh)?, f64::NEG_INFINITY)?;
        let each = topk_candidates.min(all);
        let (scores, places) = known.topk(each, 2, true)?;
        let labels = Tensor::arange(logits.device(), 1.0, classes as f64, 1.0, DType::I32)?.unsqueeze(1)?;
        let labels = labels.expand(&[count, classes - 1, each].map(nearest))?.flatten(1, 2)?;
        let candidates = rows_at(&boxes, &places.flatten(1, 2)?)?;
        Detections::suppressed(&candidates, &scores.flatten(1, 2)?, &labels, nms_thresh, detections_per_img)
    }
}

impl Module for Ssd {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.detect(input)?.rows()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; backbone, head]
    }
}
