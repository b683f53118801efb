//! Pictures of any size, cut and resized to the network's size on the host.

use wgrad::Result;
use wgrad::data::{Dataset, Image, Sample};
use wgrad::transforms::functional::ResizeOptions;

/// A set with images all of one size: see [`fitted`].
pub struct Fitted<D> {
    pub set: D,
    pub size: usize,
}

impl<D: Dataset<Item = Sample<i32>>> Dataset for Fitted<D> {
    type Item = Sample<i32>;

    fn len(&self) -> usize {
        self.set.len()
    }

    fn get(&self, index: usize) -> Result<Sample<i32>> {
        let Sample { image, target } = self.set.get(index)?;
        Ok(Sample { image: fitted(image, self.size)?, target })
    }
}

/// The square in the middle of an image, resized. Cropping comes first, so that a picture a thousand times as wide as high takes
/// no more memory than others.
pub fn fitted(image: Image, size: usize) -> Result<Image> {
    let [_, height, width] = image.shape();
    if [height, width] == [size, size] {
        return Ok(image);
    }
    image.center_crop([height.min(width); 2])?.resize([size, size], &ResizeOptions::default())
}
