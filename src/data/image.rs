//! An image in the host's memory, and its target.

use super::array::product;
use crate::error::{Error, Result};

/// Bytes `[C, H, W]`: an image, or a mask, whose one channel holds the number of each pixel's class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    shape: [usize; 3],
    pixels: Vec<u8>,
}

impl Image {
    /// Pixels of the sizes `[C, H, W]`, channel by channel and row by row.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the number of pixels is not that of the shape.
    pub fn new(shape: [usize; 3], pixels: Vec<u8>) -> Result<Image> {
        if product(&shape) != Some(pixels.len()) {
            return Err(Error::invalid("Image", format!("{} bytes do not fill {shape:?}", pixels.len())));
        }
        Ok(Image { shape, pixels })
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The bytes, channel by channel and row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes without the shape.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

/// An image and its target: a class number (`i32`), several of them, a mask or boxes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<T> {
    /// The image.
    pub image: Image,
    /// The answer that a network should give.
    pub target: T,
}

/// Transposes planes of `side` x `side`: the images are stored column by column, here they are row by row.
pub(super) fn transpose_planes(pixels: &mut [u8], side: usize) {
    for plane in pixels.chunks_exact_mut(side * side) {
        for y in 0..side {
            for x in 0..y {
                plane.swap(y * side + x, x * side + y);
            }
        }
    }
}
