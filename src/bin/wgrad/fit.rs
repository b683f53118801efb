//! Pictures of any size as images of the network's size, on the host.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};
use wgrad::data::{Dataset, Image, Sample};
use wgrad::{Error, Result};

/// A set whose images all have one size: see [`fitted`].
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

/// The middle of an image, as wide as it is high, brought to `size` x `size` by a triangle as wide as what a pixel stands for.
/// Cutting comes first, so that a picture a thousand times as wide as high takes no more memory than others.
pub fn fitted(image: Image, size: usize) -> Result<Image> {
    let [channels, height, width] = image.shape();
    if [height, width] == [size, size] {
        return Ok(image);
    }
    let side = height.min(width);
    let [top, left] = [(height - side) / 2, (width - side) / 2];
    let mut pixels = Vec::with_capacity(channels * size * size);
    for plane in image.pixels().chunks_exact((height * width).max(1)) {
        let rows = plane.chunks_exact(width).skip(top).take(side);
        let square: Vec<u8> = rows.flat_map(|row| &row[left..left + side]).copied().collect();
        pixels.extend(resized(square, side, size)?);
    }
    Image::new([channels, size, size], pixels)
}

fn resized(square: Vec<u8>, from: usize, to: usize) -> Result<Vec<u8>> {
    let refused = || Error::invalid("resize", format!("{from} x {from} to {to} x {to}"));
    let [old, new] = [from, to].map(u32::try_from);
    let (old, new) = (old.map_err(|_| refused())?, new.map_err(|_| refused())?);
    let square: ImageBuffer<Luma<u8>, Vec<u8>> = ImageBuffer::from_raw(old, old, square).ok_or_else(refused)?;
    Ok(resize(&square, new, new, FilterType::Triangle).into_raw())
}
