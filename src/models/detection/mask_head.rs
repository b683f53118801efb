//! The head of Mask R-CNN (He et al., "Mask R-CNN", 2017), and masks in images.

use super::roi_heads::{Selected, of_label};
use super::{DetectionTargets, Detections, ImageList, MultiScaleRoiAlign};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::models::initial;
use crate::nn::blocks::{ConvNormActivation, ConvNormActivationOptions, NormLayer};
use crate::nn::{Children, Conv2d, ConvTranspose2d, Module, Scope, children};
use crate::number::nearest;
use crate::ops::{Conv2dOptions, ConvTranspose2dOptions, PadMode, Reduction, RoiAlignOptions};
use crate::options::options;

options! {
    /// Options of the layers that make masks; the defaults are those of torchvision's `maskrcnn_resnet50_fpn`.
    #[derive(Clone, Debug, PartialEq)]
    MaskHeadOptions {
        /// The pooling of regions; masks have twice the size.
        roi_pool: MultiScaleRoiAlign = MultiScaleRoiAlign::default().output_size(14),
        /// Channels of the convolutions of 3 x 3.
        layers: Vec<usize> = vec![256; 4],
        /// Channels of the transposed convolution.
        dim_reduced: usize = 256,
        /// The normalization after each convolution, or none.
        norm: Option<NormLayer> = None,
    }
}

/// `mask_head` and `mask_predictor`.
pub(super) struct MaskBranch {
    roi_pool: MultiScaleRoiAlign,
    mask_head: MaskHead,
    mask_predictor: MaskPredictor,
}

/// torchvision's `MaskRCNNHeads`.
struct MaskHead {
    convolutions: Vec<ConvNormActivation>,
}

/// torchvision's `MaskRCNNPredictor`.
struct MaskPredictor {
    conv5_mask: ConvTranspose2d,
    mask_fcn_logits: Conv2d,
}

impl MaskBranch {
    pub fn new(scope: &Scope, channels: usize, classes: usize, options: &MaskHeadOptions) -> Result<MaskBranch> {
        let MaskHeadOptions { roi_pool, ref layers, dim_reduced, norm } = *options;
        let block = ConvNormActivationOptions::default().norm(norm);
        let mut width = channels;
        let mut convolutions = Vec::new();
        for (number, &outputs) in layers.iter().enumerate() {
            let scope = scope.at("mask_head").at(number);
            convolutions.push(ConvNormActivation::new(&scope, width, outputs, &block)?);
            width = outputs;
        }
        let mask_head = MaskHead { convolutions };
        initial::draw(&mask_head, initial::kaiming_fan_out, initial::kept)?;
        let scope = scope.at("mask_predictor");
        let twice = ConvTranspose2dOptions::default().stride(2);
        let mask_predictor = MaskPredictor {
            conv5_mask: ConvTranspose2d::new(&scope.at("conv5_mask"), width, dim_reduced, 2, &twice)?,
            mask_fcn_logits: Conv2d::new(
                &scope.at("mask_fcn_logits"),
                dim_reduced,
                classes,
                1,
                &Conv2dOptions::default(),
            )?,
        };
        initial::draw_weights(&mask_predictor, initial::kaiming_fan_out, initial::kept)?;
        Ok(MaskBranch { roi_pool, mask_head, mask_predictor })
    }

    /// Logits `[K, classes, 2h, 2w]` of the regions of boxes `[N, P, 4]`.
    fn logits(&self, levels: &[Tensor], images: &ImageList, boxes: &Tensor, counts: &Tensor) -> Result<Tensor> {
        let regions = self.roi_pool.pool(levels, boxes, &images.image_sizes)?;
        let convolve = |x: Tensor, layer: &ConvNormActivation| layer.forward_rows(&x, counts);
        let x = self.mask_head.convolutions.iter().try_fold(regions, convolve)?;
        self.mask_predictor.forward(&x)?.to_dtype(DType::F32)
    }

    /// The mean binary cross entropy of the masks of proposals matched to objects.
    pub fn loss(
        &self,
        levels: &[Tensor],
        images: &ImageList,
        selected: &Selected,
        targets: &DetectionTargets,
    ) -> Result<Tensor> {
        let Some(masks) = &targets.masks else {
            return Err(Error::invalid("MaskRcnn", "the targets have no masks, which the loss of the masks needs"));
        };
        let counts = selected.is_positive.flatten(0, -1)?;
        let logits = self.logits(levels, images, &selected.boxes, &counts)?;
        let logits = of_label(&logits, &selected.labels.flatten(0, -1)?)?;
        let size = [logits.shape()[1], logits.shape()[2]];

        // A mask for each object of all images: number `n M + m`.
        let [count, objects] = [masks.shape()[0], masks.shape()[1]];
        let first = Tensor::arange(masks.device(), 0.0, (count * objects) as f64, objects as f64, DType::I32)?;
        let numbers = (selected.matches.maximum_scalar(0.0)? + first.unsqueeze(1)?)?.to_dtype(DType::F32)?;
        let boxes = Tensor::cat(&[&numbers.unsqueeze(2)?, &selected.boxes], 2)?.reshape(&[-1, 5])?;
        let truth = masks.flatten(0, 1)?.unsqueeze(1)?.roi_align(&boxes, size, &RoiAlignOptions::default())?;

        let entropy = logits.binary_cross_entropy_with_logits(&truth.squeeze(1)?, None, None, Reduction::None)?;
        let pixels = counts.to_dtype(DType::F32)?.sum_all()?.maximum_scalar(1.0)? * (size[0] * size[1]) as f64;
        let skipped = counts.logical_not()?.reshape(&[-1, 1, 1])?;
        entropy.masked_fill(&skipped, 0.0)?.sum_all()? / pixels?
    }

    /// Probabilities of the pixels in the boxes of detections, each for its class: `[N, D, 2h, 2w]`.
    pub fn masks(&self, levels: &[Tensor], images: &ImageList, found: &Detections) -> Result<Tensor> {
        let labels = found.labels.flatten(0, -1)?;
        let logits = self.logits(levels, images, &found.boxes, &labels.ge_scalar(0.0)?)?;
        let [count, places] = [0, 1].map(|d| nearest::<isize>(found.labels.shape()[d]));
        of_label(&logits, &labels)?.sigmoid()?.unflatten(0, &[count, places])
    }

    /// Both modules by name.
    pub fn children(&self) -> Children<'_> {
        children![self; mask_head, mask_predictor]
    }
}

impl Module for MaskHead {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.convolutions.iter().try_fold(input.clone(), |x, layer| layer.forward(&x))
    }
    fn children(&self) -> Children<'_> {
        let layers = self.convolutions.iter().enumerate();
        layers.map(|(number, layer)| (number.to_string(), layer as &dyn Module)).collect()
    }
}

impl Module for MaskPredictor {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.mask_fcn_logits.forward(&self.conv5_mask.forward(input)?.relu()?)
    }
    fn children(&self) -> Children<'_> {
        children![self; conv5_mask, mask_fcn_logits]
    }
}

/// Masks of boxes as masks of images of a (height, width), torchvision's `paste_masks_in_image`: `[N, D, M, M]` with boxes
/// `[N, D, 4]` in pixels becomes `[N, D, height, width]`, which is 0 outside of the boxes.
///
/// A mask with a border of zeros is laid over whole pixels by bilinear interpolation. As it is a product along either side, two
/// matrix products do that for all boxes at once.
///
/// ```
/// # use wgrad::{Device, Tensor, models::detection::paste_masks_in_image};
/// # let device = Device::reference();
/// let masks = Tensor::ones(&device, &[1, 1, 2, 2])?;
/// let boxes = Tensor::from_slice(&device, &[1.0f32, 0.0, 5.0, 1.5], &[1, 1, 4])?;
/// let pasted = paste_masks_in_image(&masks, &boxes, [3, 7])?;
/// assert_eq!(pasted.ge_scalar(0.9)?.to_vec::<bool>()?.iter().filter(|&&inside| inside).count(), 3);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if the shapes don't fit.
pub fn paste_masks_in_image(masks: &Tensor, boxes: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    const PADDING: usize = 1;
    let shape = masks.shape();
    if shape.len() != 4 || shape[2] != shape[3] || shape[2] == 0 || boxes.shape()[..] != [shape[0], shape[1], 4] {
        let rule = format!("masks {shape} and boxes {} must be [N, D, M, M] and [N, D, 4]", boxes.shape());
        return Err(Error::invalid("paste_masks_in_image", rule));
    }
    let side = shape[2] + 2 * PADDING;
    let padded = masks.pad(&[nearest(PADDING); 4], PadMode::Constant(0.0))?;
    // Boxes grow with their masks' borders, and are cut to whole pixels.
    let scale = side as f64 / shape[2] as f64;
    let (low, high) = (boxes.narrow(2, 0, 2)?, boxes.narrow(2, 2, 2)?);
    let (half, centre) = (((&high - &low)? * (0.5 * scale))?, ((&high + &low)? * 0.5)?);
    let (low, high) = ((&centre - &half)?.trunc()?, (&centre + &half)?.trunc()?);
    let weights = |d: usize| along(&low.narrow(2, d, 1)?, &high.narrow(2, d, 1)?, size[1 - d], side);
    weights(1)?.matmul(&padded)?.matmul(&weights(0)?.transpose(-1, -2)?)
}

/// The weight of each of `side` elements at each of `size` pixels, between the first and the last one of a box `[N, D, 1]`:
/// `[N, D, size, side]`.
fn along(low: &Tensor, high: &Tensor, size: usize, side: usize) -> Result<Tensor> {
    let line = |length: usize| Tensor::arange(low.device(), 0.0, length as f64, 1.0, DType::F32);
    let pixels = line(size)?;
    let length = ((high - low)? + 1.0)?.maximum_scalar(1.0)?;
    let position = ((((&pixels - low)? + 0.5)? * side as f64)? / &length)?;
    let position = (position - 0.5)?.clamp(Some(0.0), Some(side as f64 - 1.0))?.unsqueeze(-1)?;
    let weights = (1.0 - (position - line(side)?)?.abs()?)?.maximum_scalar(0.0)?;
    let is_outside = pixels.lt(low)?.logical_or(&pixels.gt(high)?)?.unsqueeze(-1)?;
    weights.masked_fill(&is_outside, 0.0)
}
