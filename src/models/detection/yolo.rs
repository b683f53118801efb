//! YOLO of v3-tiny's size (Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018).

use super::coder::BBOX_XFORM_CLIP;
use super::levels::{Candidates, best_of, grids, joined, one_hot, rare};
use super::{
    BoxLoss, DetectionLosses, DetectionTargets, Detections, Detector, ImageList, ImageTransform, ImageTransformOptions,
};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::nn::blocks::{ConvNormActivation, ConvNormActivationOptions};
use crate::nn::{self, Conv2d, Lambda, LeakyRelu, MaxPool2d, Module, Scope, Sequential};
use crate::ops::{BoxFormat, Conv2dOptions, InterpolateMode, InterpolateOptions, MaxPool2dOptions, PadMode, Reduction};
use crate::options::options;

/// The cost of a box in [`Yolo`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum YoloBoxLoss {
    /// The paper's squared errors, `(2 - w h) ((sx - x)^2 + (sy - y)^2 + (tw - log(w / pw))^2 + (th - log(h / ph))^2)`: of the
    /// position in its cell and of the logarithms of sizes by the prior's, with the weight that its code gives small boxes of
    /// `w` by `h` images.
    #[default]
    SquaredError,
    /// [`BoxLoss::Ciou`], as later versions have it.
    Ciou,
}

options! {
    /// Options of a [`Yolo`].
    #[derive(Clone, Debug, PartialEq)]
    YoloOptions {
        /// Classes; the detector has none for the background.
        classes: usize = 80,
        /// Channels of the images' first map, by the published 16; all others grow with it.
        base_width: usize = 16,
        /// (height, width) of images in the network, multiples of 32.
        size: [usize; 2] = [416; 2],
        /// Widths and heights of the priors, in pixels of the network: three of the fine map and three of the coarse one.
        priors: [[f32; 2]; 6] = [[10.0, 14.0], [23.0, 27.0], [37.0, 58.0], [81.0, 82.0], [135.0, 169.0], [344.0, 319.0]],
        /// The cost of a box.
        box_loss: YoloBoxLoss = YoloBoxLoss::SquaredError,
        /// The overlap with an object beyond which a prediction that is not matched to it has no loss either.
        ignore_thresh: f64 = 0.5,
        /// The least score of a detection.
        score_thresh: f64 = 0.005,
        /// Candidates before suppression.
        topk_candidates: usize = 1000,
        /// The overlap beyond which the better of two detections of a class suppresses the other.
        nms_thresh: f64 = 0.45,
        /// The most detections of an image.
        detections_per_img: usize = 100,
    }
}

impl YoloOptions {
    /// The network of the published `yolov3-tiny`: 8,852,366 parameters for 80 classes.
    pub fn yolov3_tiny() -> YoloOptions {
        YoloOptions::default()
    }
}

/// Priors of each map, and pixels between positions of the fine map and of the coarse one.
const PRIORS: usize = 3;
const STEPS: [usize; 2] = [16, 32];

/// A YOLO of two maps, a sixteenth and a thirty-second of the image. At each position of each and for each of its three priors
/// `(pw, ph)` it predicts `(tx, ty, tw, th)`, the presence of an object, and each class: the box has its centre at
/// `sigmoid(tx), sigmoid(ty)` in the cell, and is `pw exp(tw)` by `ph exp(th)` pixels large.
///
/// The prior whose shape fits an object best, of all six, is matched to it in the cell of its centre. Losses are sums over an
/// image, and means over the batch: `bbox_regression`; `objectness`, the binary cross entropy at all priors except those whose
/// box overlaps an object that they are not matched to; `classification`, the binary cross entropy of all classes.
pub struct Yolo {
    fine: Sequential,
    coarse: Sequential,
    fine_head: Sequential,
    coarse_head: Sequential,
    lateral: Sequential,
    transform: ImageTransform,
    options: YoloOptions,
}

/// A convolution, its batch normalization and a leaky ReLU.
fn convolution(layers: Sequential, inputs: usize, outputs: usize, size: usize) -> Result<Sequential> {
    let options = ConvNormActivationOptions::default().kernel_size(size).activation(None);
    Ok(layers.make(|s| ConvNormActivation::new(s, inputs, outputs, &options))?.push(LeakyRelu { negative_slope: 0.1 }))
}

/// Maxima of 2 x 2 that keep the size: values at the edge are repeated beyond it.
fn dense_pool(x: &Tensor) -> Result<Tensor> {
    x.pad(&[0, 1, 0, 1], PadMode::Replicate)?.max_pool2d(2, &MaxPool2dOptions::default().stride(1))
}

fn twice(x: &Tensor) -> Result<Tensor> {
    x.interpolate(&InterpolateOptions::default().scale_factor([2.0, 2.0]).mode(InterpolateMode::Nearest))
}

impl Yolo {
    /// A network with new weights from the device's random stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size that is not a multiple of 32; those of the layers.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
    /// use wgrad::models::detection::{DetectionTargets, Detector, Yolo, YoloOptions};
    /// # let device = Device::reference();
    /// let options = YoloOptions::yolov3_tiny().classes(3).base_width(2).size(64);
    /// let net = Yolo::new(&Scope::new(&device), &options)?;
    /// let targets = DetectionTargets::from_objects(&device, &[&[([8.0, 8.0, 30.0, 40.0], 2)]])?;
    /// let losses = net.losses(&Tensor::zeros(&device, &[1, 3, 64, 64])?, &targets)?;
    /// losses.total()?.backward()?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, options: &YoloOptions) -> Result<Yolo> {
        let YoloOptions { classes, base_width: width, size, .. } = *options;
        if size.iter().any(|side| *side == 0 || !side.is_multiple_of(STEPS[1])) {
            return Err(Error::invalid("Yolo", format!("size {size:?} must be multiples of {}", STEPS[1])));
        }
        let plain = ImageTransformOptions::default().image_mean([0.0; 3]).image_std([1.0; 3]);
        let mut fine = convolution(Sequential::new(&scope.at("fine")), 3, width, 3)?;
        for level in 0..4 {
            fine = convolution(fine.push(MaxPool2d::new(2)), width << level, width << (level + 1), 3)?;
        }
        let coarse = Sequential::new(&scope.at("coarse")).push(MaxPool2d::new(2));
        let coarse = convolution(coarse, 16 * width, 32 * width, 3)?.push(Lambda::new(dense_pool));
        let coarse = convolution(coarse, 32 * width, 64 * width, 3)?;
        let head = |name: &str, inputs: usize, between: usize| {
            let layers = convolution(Sequential::new(&scope.at(name)), inputs, between, 3)?;
            layers.make(|s| predictions(s, between, classes))
        };
        Ok(Yolo {
            fine,
            coarse: convolution(coarse, 64 * width, 16 * width, 1)?,
            coarse_head: head("coarse_head", 16 * width, 32 * width)?,
            lateral: convolution(Sequential::new(&scope.at("lateral")), 16 * width, 8 * width, 1)?
                .push(Lambda::new(twice)),
            fine_head: head("fine_head", 24 * width, 16 * width)?,
            transform: ImageTransform::new(plain.fixed_size(size))?,
            options: options.clone(),
        })
    }

    fn outputs(&self, images: &ImageList) -> Result<Outputs> {
        let fine = self.fine.forward(&images.tensors)?;
        let coarse = self.coarse.forward(&fine)?;
        let both = Tensor::cat(&[&self.lateral.forward(&coarse)?, &fine], 1)?;
        let maps = [self.fine_head.forward(&both)?, self.coarse_head.forward(&coarse)?];
        let numbers = joined(&maps, 5 + self.options.classes)?;
        let column = |start, count| numbers.narrow(2, start, count);
        let cells = self.cells(numbers.device(), &grids(&maps))?;
        let [places, sizes] = [column(0, 2)?.sigmoid()?, column(2, 2)?];
        let growth = sizes.clamp(None, Some(BBOX_XFORM_CLIP))?.exp()?;
        let centres = ((&places + &cells.places)? * &cells.steps)?;
        let boxes = Tensor::cat(&[&centres, &(growth * &cells.priors)?], 2)?;
        Ok(Outputs {
            boxes: boxes.box_convert(BoxFormat::Cxcywh, BoxFormat::Xyxy)?,
            places,
            sizes,
            objectness: column(4, 1)?.squeeze(2)?,
            logits: column(5, self.options.classes)?,
            cells,
        })
    }

    /// The positions of all priors, map by map, row by row.
    fn cells(&self, device: &Device, grids: &[[usize; 2]]) -> Result<Cells> {
        let (mut places, mut priors, mut steps, mut starts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (map, &[rows, columns]) in grids.iter().enumerate() {
            starts.push(steps.len());
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                places.extend([[column as f32, row as f32]; PRIORS]);
                priors.extend_from_slice(&self.options.priors[map * PRIORS..][..PRIORS]);
                steps.extend([STEPS[map] as f32; PRIORS]);
            }
        }
        let count = steps.len();
        Ok(Cells {
            places: Tensor::from_slice(device, places.as_flattened(), &[1, count, 2])?,
            priors: Tensor::from_slice(device, priors.as_flattened(), &[1, count, 2])?,
            steps: Tensor::from_slice(device, &steps, &[1, count, 1])?,
            grids: grids.to_vec(),
            starts,
        })
    }

    /// The object of each prior, `[N, A]`, or -1.
    fn matches(&self, targets: &DetectionTargets, cells: &Cells) -> Result<Tensor> {
        let (boxes, device) = (targets.boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)?, targets.boxes.device());
        // All priors with their corner in one position, so that overlaps compare forms.
        let forms = |sizes: &Tensor| Tensor::cat(&[&sizes.zeros_like()?, sizes], -1);
        let priors = Tensor::from_slice(device, self.options.priors.as_flattened(), &[1, 2 * PRIORS, 2])?;
        let best = forms(&boxes.narrow(2, 2, 2)?)?.box_iou(&forms(&priors)?, BoxFormat::Xyxy)?.argmax(2)?;
        // The number of its prior, if the object is in that map.
        let number = |map: usize| -> Result<Tensor> {
            let [rows, columns] = cells.grids[map];
            let place = |at: usize, count: usize| {
                let place = (boxes.narrow(2, at, 1)?.squeeze(2)? / STEPS[map] as f64)?.floor()?;
                place.clamp(Some(0.0), Some((count - 1) as f64))?.to_dtype(DType::I32)
            };
            let cell = ((place(1, rows)? * columns as f64)? + place(0, columns)?)?;
            let first = cells.starts[map] as f64 - (map * PRIORS) as f64;
            (((cell * PRIORS as f64)? + &best)? + first)?.to_dtype(DType::I32)
        };
        let number = best.lt_scalar(PRIORS as f64)?.where_(&number(0)?, &number(1)?)?;
        let all = Tensor::arange(device, 0.0, cells.steps.shape()[1] as f64, 1.0, DType::I32)?;
        let objects = Tensor::arange(device, 0.0, number.shape()[1] as f64, 1.0, DType::I32)?.unsqueeze(1)?;
        let stands = number.unsqueeze(2)?.eq(&all)?.logical_and(&targets.is_object()?.unsqueeze(2)?)?;
        // The last of several objects has it.
        stands.where_(&objects, &objects.full_like(-1.0)?)?.amax(1)
    }

    /// The loss of each prior's box, `[N, A]`, from the true boxes.
    fn box_costs(&self, outputs: &Outputs, boxes: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        if self.options.box_loss == YoloBoxLoss::Ciou {
            return BoxLoss::Ciou.of_boxes(&outputs.boxes, boxes);
        }
        let cells = &outputs.cells;
        let boxes = boxes.box_convert(BoxFormat::Xyxy, BoxFormat::Cxcywh)?;
        let (centres, sizes) = (boxes.narrow(2, 0, 2)?, boxes.narrow(2, 2, 2)?);
        let places = ((centres / &cells.steps)? - &cells.places)?;
        let growth = (&sizes / &cells.priors)?.log()?;
        let of = |wrong: Tensor| wrong.square()?.sum(2);
        let costs = (of((&outputs.places - &places)?)? + of((&outputs.sizes - &growth)?)?)?;
        let area = (sizes.narrow(2, 0, 1)? * sizes.narrow(2, 1, 1)?)?.squeeze(2)?;
        costs * (2.0 - (area / (size[0] * size[1]) as f64)?)?
    }
}

/// The convolution to the predictions of three priors; objects are rare at first.
fn predictions(scope: &Scope, inputs: usize, classes: usize) -> Result<Conv2d> {
    let layer = Conv2d::new(scope, inputs, PRIORS * (5 + classes), 1, &Conv2dOptions::default())?;
    if let Some(bias) = &layer.bias {
        let start: Vec<f64> =
            (0..PRIORS * (5 + classes)).map(|at| if at % (5 + classes) == 4 { rare() } else { 0.0 }).collect();
        bias.assign(&Tensor::from_f64(scope.device(), &start, &[start.len()])?)?;
    }
    Ok(layer)
}

/// The positions of priors, in cells of their maps.
struct Cells {
    /// Column and row, `[1, A, 2]`.
    places: Tensor,
    /// `[1, A, 2]`.
    priors: Tensor,
    /// `[1, A, 1]`.
    steps: Tensor,
    /// Rows and columns of the maps.
    grids: Vec<[usize; 2]>,
    /// The number of each map's first prior.
    starts: Vec<usize>,
}

impl Cells {
    /// The priors in the middle of their cells: corners, `[1, A, 4]`.
    fn boxes(&self) -> Result<Tensor> {
        let centres = ((&self.places + 0.5)? * &self.steps)?;
        Tensor::cat(&[&centres, &self.priors], 2)?.box_convert(BoxFormat::Cxcywh, BoxFormat::Xyxy)
    }
}

/// Predictions at all priors.
struct Outputs {
    /// Corners in pixels, `[N, A, 4]`.
    boxes: Tensor,
    /// Places of centres in their cells, `[N, A, 2]`.
    places: Tensor,
    /// `tw` and `th`, `[N, A, 2]`.
    sizes: Tensor,
    /// `[N, A]`.
    objectness: Tensor,
    /// `[N, A, classes]`.
    logits: Tensor,
    cells: Cells,
}

impl Detector for Yolo {
    fn transform(&self) -> &ImageTransform {
        &self.transform
    }

    fn losses_of(&self, images: &ImageList, targets: &DetectionTargets) -> Result<DetectionLosses> {
        let outputs = self.outputs(images)?;
        let matches = self.matches(targets, &outputs.cells)?;
        let is_object = matches.ge_scalar(0.0)?;
        let is_none = is_object.logical_not()?;
        let mean = |costs: Tensor| costs.sum(1)?.mean_all();

        // Elsewhere the prior is the true box, so that all numbers are finite.
        let boxes = is_object.unsqueeze(2)?.where_(&targets.matched_boxes(&matches)?, &outputs.cells.boxes()?)?;
        let regression = self.box_costs(&outputs, &boxes, images.size())?.masked_fill(&is_none, 0.0)?;

        let entropy = |logits: &Tensor, target: &Tensor| {
            logits.binary_cross_entropy_with_logits(target, None, None, Reduction::None)
        };
        let overlaps = targets.boxes.box_iou(&outputs.boxes.detach(), BoxFormat::Xyxy)?;
        let overlaps = overlaps.masked_fill(&targets.is_object()?.logical_not()?.unsqueeze(2)?, 0.0)?;
        let is_ignored = overlaps.amax(1)?.gt_scalar(self.options.ignore_thresh)?.logical_and(&is_none)?;
        let objectness = entropy(&outputs.objectness, &is_object.to_dtype(DType::F32)?)?;

        let labels = targets.matched_labels(&matches)?.masked_fill(&is_none, -1.0)?;
        let classes = entropy(&outputs.logits, &one_hot(&labels, self.options.classes)?)?.sum(2)?;
        Ok(DetectionLosses::new([
            ("bbox_regression", mean(regression)?),
            ("objectness", mean(objectness.masked_fill(&is_ignored, 0.0)?)?),
            ("classification", mean(classes.masked_fill(&is_none, 0.0)?)?),
        ]))
    }

    fn detections_of(&self, images: &ImageList) -> Result<Detections> {
        let YoloOptions { score_thresh, topk_candidates, nms_thresh, detections_per_img, .. } = self.options;
        let outputs = self.outputs(images)?;
        let scores = outputs.logits.sigmoid()? * outputs.objectness.sigmoid()?.unsqueeze(2)?;
        let found = Candidates::new(&scores?, score_thresh, topk_candidates)?;
        let boxes = found.rows(&outputs.boxes)?;
        best_of(images, &[(found, boxes)], nms_thresh, detections_per_img)
    }
}

impl Module for Yolo {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.detect(input)?.rows()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; fine, coarse, coarse_head, lateral, fine_head]
    }
}
