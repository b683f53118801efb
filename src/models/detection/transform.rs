//! Images as a detector takes them: normalized, resized and padded, with boxes taken there and back.

use super::{DetectionTargets, Detections};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::number::nearest;
use crate::ops::{InterpolateMode, InterpolateOptions, PadMode};
use crate::options::options;

const OP: &str = "ImageTransform";

options! {
    /// Options of an [`ImageTransform`], with torchvision's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    ImageTransformOptions {
        /// The shorter side, unless the longer one would grow beyond `max_size`.
        min_size: usize = 800,
        /// The limit of the longer side.
        max_size: usize = 1333,
        /// The means of the channels.
        image_mean: [f64; 3] = [0.485, 0.456, 0.406],
        /// The standard deviations of the channels.
        image_std: [f64; 3] = [0.229, 0.224, 0.225],
        /// Sides of the batch are multiples of this number.
        size_divisible: usize = 32,
        /// (height, width) of all images; overrides the other sizes.
        fixed_size: Option<[usize; 2]> = None,
    }
}

/// Images as a detector takes them, torchvision's `GeneralizedRCNNTransform`, on the device: normalized by the means and
/// deviations of their channels, resized by bilinear interpolation, and padded with zeros at the right and the bottom.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImageTransform {
    options: ImageTransformOptions,
}

impl ImageTransform {
    /// A transform with these options.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a size is 0.
    pub fn new(options: ImageTransformOptions) -> Result<ImageTransform> {
        let ImageTransformOptions { min_size, max_size, size_divisible, fixed_size, .. } = options;
        let [height, width] = fixed_size.unwrap_or([1; 2]);
        if [min_size, max_size, size_divisible, height, width].contains(&0) {
            return Err(Error::invalid(OP, format!("sizes must be above 0; got {options:?}")));
        }
        Ok(ImageTransform { options })
    }

    /// The size that an image of a size gets, (height, width).
    pub fn resized(&self, size: [usize; 2]) -> [usize; 2] {
        let ImageTransformOptions { min_size, max_size, fixed_size, .. } = self.options;
        let [shorter, longer] = [size[0].min(size[1]), size[0].max(size[1])].map(|side| side as f64);
        let scale = (min_size as f64 / shorter).min(max_size as f64 / longer);
        fixed_size.unwrap_or(size.map(|side| nearest((side as f64 * scale).floor())))
    }

    /// Images of one size, `[N, 3, H, W]` of 0 to 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, models::detection::{ImageTransform, ImageTransformOptions}};
    /// # let device = Device::reference();
    /// let transform = ImageTransform::new(ImageTransformOptions::default().min_size(40).max_size(64))?;
    /// let images = transform.batch(&Tensor::zeros(&device, &[2, 3, 20, 30])?)?;
    /// assert_eq!(images.tensors.shape()[..], [2, 3, 64, 64]);
    /// assert_eq!(images.image_sizes, [[40, 60]; 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn batch(&self, images: &Tensor) -> Result<ImageList> {
        let original = size_of(images)?;
        let size = self.resized(original);
        let count = images.shape()[0];
        let resized = pad(&self.prepare(images, size)?, size.map(|side| self.padded(side)), ZEROS)?;
        Ok(ImageList { tensors: resized, image_sizes: vec![size; count], original_image_sizes: vec![original; count] })
    }

    /// Images of several sizes, each `[3, H, W]` of 0 to 1: a batch of the largest height and the largest width after resizing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, and for no images.
    #[track_caller]
    pub fn list(&self, images: &[Tensor]) -> Result<ImageList> {
        let whole: Vec<Tensor> = images.iter().map(|image| image.unsqueeze(0)).collect::<Result<_>>()?;
        let original_image_sizes: Vec<[usize; 2]> = whole.iter().map(size_of).collect::<Result<_>>()?;
        let image_sizes: Vec<[usize; 2]> = original_image_sizes.iter().map(|&size| self.resized(size)).collect();
        let largest = [0, 1].map(|d| self.padded(image_sizes.iter().map(|size| size[d]).max().unwrap_or(0)));
        let padded = |(image, &size): (&Tensor, &[usize; 2])| pad(&self.prepare(image, size)?, largest, ZEROS);
        let padded: Vec<Tensor> = whole.iter().zip(&image_sizes).map(padded).collect::<Result<_>>()?;
        Ok(ImageList {
            tensors: Tensor::cat(&padded.iter().collect::<Vec<_>>(), 0)?,
            image_sizes,
            original_image_sizes,
        })
    }

    fn padded(&self, side: usize) -> usize {
        side.next_multiple_of(self.options.size_divisible)
    }

    #[track_caller]
    fn prepare(&self, images: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let channels = |of: [f64; 3]| Tensor::from_f64(images.device(), &of, &[3, 1, 1]);
        let (mean, std) = (channels(self.options.image_mean)?, channels(self.options.image_std)?);
        resize(&((images - &mean)? / &std)?, size, InterpolateMode::Bilinear)
    }
}

/// A batch of images as a network takes them.
#[derive(Clone, Debug)]
pub struct ImageList {
    /// The padded batch, `[N, 3, H, W]`.
    pub tensors: Tensor,
    /// (height, width) of each image without padding.
    pub image_sizes: Vec<[usize; 2]>,
    /// (height, width) of each image as it was given.
    pub original_image_sizes: Vec<[usize; 2]>,
}

impl ImageList {
    /// (height, width) of the padded batch.
    pub fn size(&self) -> [usize; 2] {
        let shape = self.tensors.shape();
        [shape[2], shape[3]]
    }

    /// Objects of the images as they were given, in pixels of this batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of images, or masks that are smaller than their image.
    #[track_caller]
    pub fn targets(&self, targets: &DetectionTargets) -> Result<DetectionTargets> {
        let ratios = self.ratios(targets.boxes.device(), &self.original_image_sizes, &self.image_sizes)?;
        self.check_count(&targets.boxes)?;
        let masks = targets.masks.as_ref().map(|masks| self.masks(masks));
        let keypoints = targets.keypoints.as_ref().map(|points| scale_points(points, &ratios));
        Ok(DetectionTargets {
            boxes: scale_boxes(&targets.boxes, &ratios)?,
            labels: targets.labels.clone(),
            masks: masks.transpose()?,
            keypoints: keypoints.transpose()?,
        })
    }

    /// Boxes and keypoints found in this batch, in pixels of the images as they were given. Masks stay as they are.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of images.
    #[track_caller]
    pub fn detections(&self, found: &Detections) -> Result<Detections> {
        self.check_count(&found.boxes)?;
        let ratios = self.ratios(found.boxes.device(), &self.image_sizes, &self.original_image_sizes)?;
        let keypoints = found.keypoints.as_ref().map(|points| scale_points(points, &ratios));
        let boxes = scale_boxes(&found.boxes, &ratios)?;
        Ok(Detections { boxes, keypoints: keypoints.transpose()?, ..found.clone() })
    }

    /// Boxes `[N, K, 4]` clipped to the edges of their image, padding left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of images.
    #[track_caller]
    pub fn clip(&self, boxes: &Tensor) -> Result<Tensor> {
        self.check_count(boxes)?;
        let edges: Vec<f32> =
            self.image_sizes.iter().flat_map(|&[h, w]| [w, h, w, h].map(|side| side as f32)).collect();
        let most = Tensor::from_slice(boxes.device(), &edges, &[self.image_sizes.len(), 1, 4])?;
        boxes.clamp_tensor(None, Some(&most))?.clamp(Some(0.0), None)
    }

    fn check_count(&self, boxes: &Tensor) -> Result<()> {
        if boxes.rank() == 3 && boxes.shape()[0] == self.image_sizes.len() {
            return Ok(());
        }
        let rule = format!("boxes {} do not belong to {} images", boxes.shape(), self.image_sizes.len());
        Err(Error::invalid(OP, rule))
    }

    /// Factors of x and y for each image, `[N, 1, 2]`.
    fn ratios(&self, device: &Device, from: &[[usize; 2]], to: &[[usize; 2]]) -> Result<Tensor> {
        let ratio = |(from, to): (&[usize; 2], &[usize; 2])| [1, 0].map(|d| to[d] as f32 / from[d] as f32);
        let ratios: Vec<[f32; 2]> = from.iter().zip(to).map(ratio).collect();
        Tensor::from_slice(device, ratios.as_flattened(), &[ratios.len(), 1, 2])
    }

    /// Masks `[N, M, H, W]` resized with their images. Their edge repeats in the padding: torchvision's masks have none, and a
    /// region that ends at the edge sees the last pixel up to its end.
    #[track_caller]
    fn masks(&self, masks: &Tensor) -> Result<Tensor> {
        let mut resized = Vec::new();
        for (image, (original, &size)) in self.original_image_sizes.iter().zip(&self.image_sizes).enumerate() {
            let mask = masks.narrow(0, image, 1)?.narrow(2, 0, original[0])?.narrow(3, 0, original[1])?;
            let mask = resize(&mask, size, InterpolateMode::Nearest)?;
            resized.push(pad(&mask, self.size(), PadMode::Replicate)?);
        }
        Tensor::cat(&resized.iter().collect::<Vec<_>>(), 0)
    }
}

/// Boxes `[N, K, 4]` times factors of x and y.
#[track_caller]
fn scale_boxes(boxes: &Tensor, ratios: &Tensor) -> Result<Tensor> {
    boxes * &Tensor::cat(&[ratios, ratios], 2)?
}

/// Points `[N, M, K, 3]` times factors of x and y.
#[track_caller]
fn scale_points(points: &Tensor, ratios: &Tensor) -> Result<Tensor> {
    let places = (points.narrow(3, 0, 2)? * &ratios.unsqueeze(1)?)?;
    Tensor::cat(&[&places, &points.narrow(3, 2, 1)?], 3)
}

/// (height, width) of images `[N, 3, H, W]`.
fn size_of(images: &Tensor) -> Result<[usize; 2]> {
    match images.shape()[..] {
        [_, 3, height, width] if height * width > 0 => Ok([height, width]),
        _ => {
            Err(Error::invalid(OP, format!("images are [N, 3, H, W], or a list of [3, H, W]; got {}", images.shape())))
        }
    }
}

#[track_caller]
fn resize(images: &Tensor, size: [usize; 2], mode: InterpolateMode) -> Result<Tensor> {
    images.interpolate(&InterpolateOptions::default().size(size).mode(mode))
}

const ZEROS: PadMode = PadMode::Constant(0.0);

/// Padding at the right and at the bottom up to a size.
#[track_caller]
fn pad(images: &Tensor, size: [usize; 2], mode: PadMode) -> Result<Tensor> {
    let [height, width] = [2, 3].map(|d| size[d - 2].saturating_sub(images.shape()[d]));
    if [height, width] == [0; 2] {
        return Ok(images.clone());
    }
    images.pad(&[0, nearest(width), 0, nearest(height)], mode)
}
