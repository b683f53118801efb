//! Batches of labelled images of one size, on the device.

use crate::error::{Error, Result};
use crate::graph::Tensor;

/// Some images and their labels, on the device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[N, C, H, W]`, f32, normalised to mean 0 and standard deviation 1 over the training set.
    pub images: Tensor,
    /// `[N]`, i32.
    pub labels: Tensor,
}

/// Images that batches are made of: those from `start` up to `end` in an order.
pub(super) trait Source {
    fn batch(&self, start: usize, end: usize) -> Result<Batch>;
}

/// An iterator over batches; the last may be shorter.
pub struct Batches<'a> {
    source: Box<dyn Source + 'a>,
    images: usize,
    size: usize,
    next: usize,
}

impl<'a> Batches<'a> {
    /// Batches of a source of `images` images.
    pub(super) fn new(source: impl Source + 'a, images: usize, size: usize) -> Result<Batches<'a>> {
        if size == 0 {
            return Err(Error::invalid("batches", "the batch size is 0; it must be at least 1"));
        }
        Ok(Batches { source: Box::new(source), images, size, next: 0 })
    }

    /// Number of images in all batches together.
    pub fn images(&self) -> usize {
        self.images
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let start = self.next;
        if start == self.images {
            return None;
        }
        self.next = self.images.min(start + self.size);
        Some(self.source.batch(start, self.next))
    }

    /// Skips batches without making them.
    fn nth(&mut self, count: usize) -> Option<Result<Batch>> {
        self.next = self.images.min(self.next.saturating_add(count.saturating_mul(self.size)));
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.images - self.next).div_ceil(self.size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}
