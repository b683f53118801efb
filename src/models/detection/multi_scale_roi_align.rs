//! Regions pooled from the level of a pyramid that their size belongs to.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{BoxFormat, RoiAlignOptions};
use crate::options::options;

const OP: &str = "MultiScaleRoiAlign";

/// Boxes of a size just below a level's belong to it: torchvision's `eps`, in levels.
const EPS: f64 = 1e-6;

options! {
    /// [`roi_align`](Tensor::roi_align) of each region on the level of a pyramid that its size belongs to, torchvision's class of
    /// the same name (Lin et al., "Feature Pyramid Networks for Object Detection", 2016, equation 1): on level
    /// `canonical_level + log2(sqrt(area) / canonical_scale)`, rounded down.
    #[derive(Clone, Copy, Debug, PartialEq)]
    MultiScaleRoiAlign {
        /// (height, width) of a pooled region.
        output_size: [usize; 2] = [7; 2],
        /// Samples of a bin in each dimension; `None` takes the bin's length.
        sampling_ratio: Option<usize> = Some(2),
        /// The square root of the area of a region that belongs to `canonical_level`.
        canonical_scale: f64 = 224.0,
        /// The level, of which the first one has the images' size and each further one half the size.
        canonical_level: i32 = 4,
    }
}

impl MultiScaleRoiAlign {
    /// Regions of boxes `[N, P, 4]`, in pixels of images of these (height, width), from levels `[N, C, H_i, W_i]`, the finest
    /// first: `[N P, C, height, width]`.
    ///
    /// A level pools the boxes that belong to it, the first one all smaller boxes too, and the last one all larger ones.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// use wgrad::models::detection::MultiScaleRoiAlign;
    /// # let device = Device::reference();
    /// let levels = [Tensor::zeros(&device, &[1, 2, 64, 64])?, Tensor::ones(&device, &[1, 2, 32, 32])?];
    /// let boxes = Tensor::from_slice(&device, &[0.0f32, 0.0, 90.0, 90.0, 0.0, 0.0, 240.0, 240.0], &[1, 2, 4])?;
    /// let pool = MultiScaleRoiAlign::default().output_size(1).canonical_scale(112.0).canonical_level(3);
    /// let regions = pool.pool(&levels, &boxes, &[[256, 256]])?;
    /// assert_eq!(regions.to_vec::<f32>()?, [0.0, 0.0, 1.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, and without levels; those of `roi_align`.
    #[track_caller]
    pub fn pool(&self, levels: &[Tensor], boxes: &Tensor, image_sizes: &[[usize; 2]]) -> Result<Tensor> {
        let height = image_sizes.iter().map(|size| size[0]).max().unwrap_or(0);
        if boxes.rank() != 3 || boxes.shape()[2] != 4 || boxes.shape()[0] != image_sizes.len() || height == 0 {
            let rule = format!("boxes {} must be [N, P, 4], for {} images", boxes.shape(), image_sizes.len());
            return Err(Error::invalid(OP, rule));
        }
        if let Some(level) = levels.iter().find(|level| level.rank() != 4 || level.shape()[2] == 0) {
            return Err(Error::invalid(OP, format!("a level {} must be [N, C, H, W]", level.shape())));
        }
        let boxes = boxes.detach();
        let [images, count] = [0, 1].map(|d| nearest::<isize>(boxes.shape()[d]));
        let numbers = Tensor::arange(boxes.device(), 0.0, image_sizes.len() as f64, 1.0, DType::F32)?;
        let numbers = numbers.reshape(&[images, 1, 1])?.expand(&[images, count, 1])?;
        // Scales are powers of two: level k has 2^-k of the images' size.
        let number = |level: &Tensor| (height as f64 / level.shape()[2] as f64).log2().round();
        let numbers_of_levels: Vec<f64> = levels.iter().map(number).collect();
        let mut columns = vec![numbers, boxes.clone()];
        if levels.len() > 1 {
            let side = boxes.box_area(BoxFormat::Xyxy)?.sqrt()?.unsqueeze(-1)?;
            let mut level = side.zeros_like()?;
            for &number in &numbers_of_levels[1..] {
                level = (level + side.ge_scalar(self.least_side(number))?.to_dtype(DType::F32)?)?;
            }
            columns.push(level);
        }
        let rows = Tensor::cat(&columns.iter().collect::<Vec<_>>(), 2)?.flatten(0, 1)?;
        let scaled: Vec<_> =
            levels.iter().zip(&numbers_of_levels).map(|(level, number)| (level, (-number).exp2())).collect();
        let options = RoiAlignOptions::default().sampling_ratio(self.sampling_ratio);
        Tensor::roi_align_levels(&scaled, &rows, self.output_size, &options)
    }

    /// The square root of the least area of a box that belongs to a level.
    fn least_side(&self, level: f64) -> f64 {
        self.canonical_scale * (level - f64::from(self.canonical_level) - EPS).exp2()
    }
}
