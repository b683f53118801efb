//! Batches of images of one size.

use super::Images;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};

/// Some images and their labels, on the device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[N, C, H, W]`, f32, normalised to mean 0 and standard deviation 1 over the training set.
    pub images: Tensor,
    /// `[N]`, i32.
    pub labels: Tensor,
}

/// An iterator over batches; the last may be shorter.
pub struct Batches<'a> {
    images: &'a Images,
    device: Device,
    size: usize,
    order: Vec<usize>,
    next: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn new(images: &'a Images, device: &Device, size: usize, order: Vec<usize>) -> Result<Batches<'a>> {
        if size == 0 {
            return Err(Error::invalid("batches", "the batch size is 0; it must be at least 1"));
        }
        Ok(Batches { images, device: device.clone(), size, order, next: 0 })
    }

    /// How many images all batches have together.
    pub fn images(&self) -> usize {
        self.order.len()
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let rest = &self.order[self.next..];
        let indices = &rest[..rest.len().min(self.size)];
        if indices.is_empty() {
            return None;
        }
        self.next += indices.len();
        let [channels, height, width] = self.images.image_shape();
        let pixels: Vec<u8> = indices.iter().flat_map(|&index| self.images.image(index)).copied().collect();
        let labels: Vec<i32> = indices.iter().map(|&index| self.images.labels()[index]).collect();
        let batch = || {
            let shape = [indices.len(), channels, height, width];
            Ok(Batch {
                images: self.images.normalization().upload(&self.device, &pixels, shape)?,
                labels: Tensor::from_slice(&self.device, &labels, &[indices.len()])?,
            })
        };
        Some(batch())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.order.len() - self.next).div_ceil(self.size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}
