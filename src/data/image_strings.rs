//! Lines of text from labelled images.

use super::dataset::{check_index, check_pixels};
use super::random::Words;
use super::{Dataset, Image, Images, Sample};
use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// Labelled images side by side, such as digits or letters, as lines of text: a set for networks that read.
///
/// An item follows from the seed and its number alone: the number of images, their choice and height, and the gaps between them,
/// which are zeros. The target is the images' labels from left to right. A set of other lines, for a test, has another seed, and
/// other images.
///
/// ```
/// use wgrad::data::{Array, Dataset, ImageStrings, Images};
/// let pixels = Array::new(vec![2, 2, 1], vec![10, 20, 30, 40])?;
/// let images = Images::new(pixels, vec![0, 1], vec!["a".into(), "b".into()])?;
/// // 100 lines of two or three images, 3 pixels high and 8 wide.
/// let lines = ImageStrings::new(images, 100, 2..=3, [3, 8], 0)?;
/// let line = lines.get(7)?;
/// assert_eq!(line.image.shape(), [1, 3, 8]);
/// assert!((2..=3).contains(&line.target.len()));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageStrings {
    images: Images,
    count: usize,
    lengths: RangeInclusive<usize>,
    size: [usize; 2],
    seed: u64,
}

impl ImageStrings {
    /// `count` lines, each with a number of images in `lengths`, in pictures of a height and a width.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no length, the longest line does not fit into a picture, or that has more than 16,777,216
    /// pixels.
    pub fn new(
        images: Images,
        count: usize,
        lengths: RangeInclusive<usize>,
        size: [usize; 2],
        seed: u64,
    ) -> Result<ImageStrings> {
        let [_, height, width] = images.image_shape();
        if lengths.is_empty() || size[0] < height || size[1] / width < *lengths.end() {
            let rule = format!(
                "{lengths:?} images of {height} x {width} side by side in pictures of {} x {}",
                size[0], size[1]
            );
            return Err(Error::invalid("ImageStrings", rule));
        }
        check_pixels("ImageStrings", &size)?;
        Ok(ImageStrings { images, count, lengths, size, seed })
    }
}

impl Dataset for ImageStrings {
    type Item = Sample<Vec<i32>>;

    fn len(&self) -> usize {
        self.count
    }

    fn get(&self, index: usize) -> Result<Sample<Vec<i32>>> {
        check_index("get", index, self.count)?;
        let words = Words::new(self.seed, index as u64);
        let ([channels, height, width], size) = (self.images.image_shape(), self.size);
        let length = self.lengths.start() + words.below(0, self.lengths.end() - self.lengths.start() + 1);
        // The gaps before the images divide the remaining width.
        let gap = (size[1] - length * width) / length.max(1);
        let mut pixels = vec![0; channels * size[0] * size[1]];
        let (mut labels, mut left) = (Vec::new(), 0);
        for place in 0..length {
            let words = words.under(place as u64);
            let chosen = words.below(0, self.images.len());
            let top = words.below(1, size[0] - height + 1);
            left += words.below(2, gap + 1);
            for (row, values) in self.images.image(chosen).chunks_exact(width).enumerate() {
                let (channel, row) = (row / height, top + row % height);
                pixels[(channel * size[0] + row) * size[1] + left..][..width].copy_from_slice(values);
            }
            left += width;
            labels.push(self.images.labels()[chosen]);
        }
        Ok(Sample { image: Image::new([channels, size[0], size[1]], pixels)?, target: labels })
    }
}
