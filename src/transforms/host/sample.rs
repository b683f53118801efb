//! Samples in other sizes: images and their targets.

use super::fitted;
use crate::data::{BoundingBox, Image, Sample};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::Projective;
use crate::transforms::Views;
use crate::transforms::functional::{ImageSize, InterpolationMode, Region, ResizeOptions};
use crate::transforms::targets::moved;

/// A sample's target, as far as it has positions in the image.
pub trait Target: Clone {
    /// The target of an image that goes from one height and width to another.
    ///
    /// # Errors
    /// The target's own.
    fn resized(self, from: [usize; 2], to: [usize; 2]) -> Result<Self> {
        let _ = (from, to);
        Ok(self)
    }

    /// The target of a region of an image.
    ///
    /// # Errors
    /// The target's own.
    fn cut(self, region: Region) -> Result<Self> {
        let _ = region;
        Ok(self)
    }

    /// Views with the targets of their images.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the targets don't fit the images.
    fn attach(targets: &[Self], views: Views) -> Result<Views>;
}

/// No target.
impl Target for () {
    fn attach(_: &[()], views: Views) -> Result<Views> {
        Ok(views)
    }
}

/// A class.
impl Target for i32 {
    fn attach(targets: &[i32], views: Views) -> Result<Views> {
        let labels = Tensor::from_slice(views.device(), targets, &[targets.len()])?;
        views.with_labels(labels)
    }
}

/// A mask, resized by its nearest elements, with zeros past its edges.
impl Target for Image {
    fn resized(self, _: [usize; 2], to: [usize; 2]) -> Result<Image> {
        self.resize(to, &ResizeOptions::default().interpolation(InterpolationMode::NearestExact))
    }

    fn cut(self, region: Region) -> Result<Image> {
        self.crop(region, &[0])
    }

    fn attach(targets: &[Image], views: Views) -> Result<Views> {
        let [height, width] = views.size();
        let mut values = Vec::with_capacity(targets.len() * height * width);
        for mask in targets {
            if mask.shape()[0] != 1 {
                return Err(Error::invalid("attach", format!("a mask of {:?}; expected one channel", mask.shape())));
            }
            let whole = mask.crop(Region { top: 0, left: 0, height, width }, &[0])?;
            values.extend(whole.pixels().iter().map(|&class| i32::from(class)));
        }
        let masks = Tensor::from_slice(views.device(), &values, &[targets.len(), 1, height, width])?;
        views.with_masks(masks)
    }
}

/// Boxes, clipped to the image. Boxes outside of it are kept, with no size.
impl Target for Vec<BoundingBox> {
    fn resized(self, from: [usize; 2], to: [usize; 2]) -> Result<Vec<BoundingBox>> {
        let scale = [to[1] as f64 / from[1] as f64, to[0] as f64 / from[0] as f64];
        Ok(moved_by(&self, &Projective::scaling(scale, [0.0; 2]), to))
    }

    fn cut(self, region: Region) -> Result<Vec<BoundingBox>> {
        let shift = Projective::translation([-(region.left as f64), -(region.top as f64)]);
        Ok(moved_by(&self, &shift, [region.height, region.width]))
    }

    fn attach(targets: &[Vec<BoundingBox>], views: Views) -> Result<Views> {
        views.with_boxes(targets.to_vec())
    }
}

fn moved_by(boxes: &[BoundingBox], map: &Projective, size: [usize; 2]) -> Vec<BoundingBox> {
    boxes.iter().map(|one| moved(one, size, |place| map.apply(place))).collect()
}

impl<T: Target> Sample<T> {
    /// The image in another size, with its target.
    ///
    /// # Errors
    /// As [`Image::resize`].
    ///
    /// ```
    /// use wgrad::data::{Dataset, Image, Sample};
    /// use wgrad::transforms::functional::ResizeOptions;
    /// let set = vec![Sample { image: Image::new([3, 40, 60], vec![0; 7200])?, target: 1 }];
    /// let set = set.map(|sample| sample.resize(32, &ResizeOptions::default())?.center_crop([32, 32]));
    /// assert_eq!(set.get(0)?.image.shape(), [3, 32, 32]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn resize(self, size: impl Into<ImageSize>, options: &ResizeOptions) -> Result<Sample<T>> {
        let [_, height, width] = self.image.shape();
        let image = self.image.resize(size, options)?;
        let [_, rows, columns] = image.shape();
        Ok(Sample { image, target: self.target.resized([height, width], [rows, columns])? })
    }

    /// A region of the image, with its target.
    ///
    /// # Errors
    /// As [`Image::crop`].
    pub fn crop(self, region: Region, fill: &[u8]) -> Result<Sample<T>> {
        Ok(Sample { image: self.image.crop(region, fill)?, target: self.target.cut(region)? })
    }

    /// The centre of the image, `[height, width]`, with zeros around a smaller image.
    ///
    /// # Errors
    /// As [`Image::crop`].
    pub fn center_crop(self, size: [usize; 2]) -> Result<Sample<T>> {
        let [_, height, width] = self.image.shape();
        self.crop(Region::central([height, width], size), &[0])
    }

    /// The image with a border, whose widths are `[left, top, right, bottom]`.
    ///
    /// # Errors
    /// As [`Image::crop`].
    pub fn pad(self, padding: [usize; 4], fill: &[u8]) -> Result<Sample<T>> {
        let [_, height, width] = self.image.shape();
        self.crop(Region::bordered([height, width], padding), fill)
    }

    /// The image as large as fits a height and a width, in the middle of `fill`.
    ///
    /// # Errors
    /// As [`Image::letterbox`].
    pub fn letterbox(self, size: [usize; 2], fill: &[u8], options: &ResizeOptions) -> Result<Sample<T>> {
        let [_, height, width] = self.image.shape();
        let (inner, region) = fitted([height, width], size)?;
        self.resize(inner, options)?.crop(region, fill)
    }
}
