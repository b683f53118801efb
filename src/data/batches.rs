//! Batches, in order or shuffled.

use super::Images;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::number::{halves, nearest};

/// Some images and their labels, on the device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[N, 1, H, W]`, f32, normalised to mean 0 and standard deviation 1 over the training set.
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
        let batch = || {
            Ok(Batch {
                images: Tensor::from_slice(&self.device, &self.images.pixels(indices), &Images::shape(indices.len()))?,
                labels: Tensor::from_slice(&self.device, &self.images.labels(indices), &[indices.len()])?,
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

/// SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The numbers below `count` in a random order: Fisher and Yates' shuffle, from the last place down.
///
/// Word `i` is `mix(key + i * golden)` with `key = mix(mix(seed + golden) + epoch)`: a counter and no state, so that
/// a resumed run needs the seed and the epoch and nothing else. A word becomes an index by multiplication.
pub(super) fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let key = mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(epoch));
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        let word = mix(key.wrapping_add((i as u64).wrapping_mul(GOLDEN)));
        let [_, below] = halves(u128::from(word) * (i as u128 + 1));
        order.swap(i, nearest(below));
    }
    order
}
