//! Random numbers for the images of a batch.

use crate::data::random::Words;
use crate::error::{Error, Result};
use crate::number::low_word;
use rand::RngCore;
use rand_distr::{Beta, Distribution, StandardNormal};

/// Random numbers for a batch: a [`Stream`] for each image, and one for all of them.
///
/// An image's numbers depend on the seed, the epoch, its number in the set and the transform's position in the composition
/// alone: neither on its batch nor on threads or adapters.
#[derive(Clone, Debug)]
pub struct Draws {
    images: Vec<Stream>,
    batch: Stream,
}

impl Draws {
    /// Numbers for some items of a set. If a sampler repeats items, pass their positions in the epoch, since equal
    /// items draw equal numbers.
    pub fn new(seed: u64, epoch: u64, items: &[usize]) -> Draws {
        let words = Words::new(seed, epoch);
        // Items take the even numbers, so that the batch's own number is unique.
        let images = items.iter().map(|&item| Stream::new(words.under(2 * item as u64))).collect();
        let first = items.first().map_or(0, |&item| 2 * item as u64);
        Draws { images, batch: Stream::new(words.under(first + 1)) }
    }

    /// The number of images in the batch.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// True for an empty batch.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Draws for a part of a transform: other numbers for each place, however many were drawn before.
    #[must_use]
    pub fn at(&self, place: usize) -> Draws {
        let under = |stream: &Stream| Stream::new(stream.words.under(place as u64));
        Draws { images: self.images.iter().map(under).collect(), batch: under(&self.batch) }
    }

    /// A value for each image, made from its own random numbers.
    pub fn each<T>(&mut self, draw: impl FnMut(&mut Stream) -> T) -> Vec<T> {
        self.images.iter_mut().map(draw).collect()
    }

    /// The numbers of the whole batch, for transforms that mix its images; they depend on its first item.
    pub fn batch(&mut self) -> &mut Stream {
        &mut self.batch
    }
}

/// A stream of random numbers by SplitMix64, also a generator for the crate `rand`.
#[derive(Clone, Debug)]
pub struct Stream {
    words: Words,
    next: usize,
}

impl Stream {
    fn new(words: Words) -> Stream {
        Stream { words, next: 0 }
    }

    /// The place of the next word.
    fn place(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// A number evenly distributed from `low` up to but not including `high`, with 53 bits; `low` where both are equal.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.words.unit(self.place())
    }

    /// A normally distributed number.
    pub fn normal(&mut self, mean: f64, std: f64) -> f64 {
        let normal: f64 = StandardNormal.sample(self);
        mean + std * normal
    }

    /// A beta-distributed number.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a shape is not a positive number.
    pub fn beta(&mut self, alpha: f64, beta: f64) -> Result<f64> {
        let distribution = Beta::new(alpha, beta)
            .map_err(|_| Error::invalid("beta", format!("the shapes {alpha} and {beta} must be positive numbers")))?;
        Ok(distribution.sample(self))
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform(0.0, 1.0) < p
    }

    /// A whole number below `end`, each equally likely; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.words.below(self.place(), end)
    }

    /// A position in `weights`, with a probability in proportion to its weight; the last where all are 0.
    pub fn choice(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform(0.0, weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        weights.len().saturating_sub(1)
    }

    /// The numbers below `count` in a random order.
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        self.words.under(self.place() as u64).shuffle(&mut order);
        order
    }
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        low_word(self.next_u64())
    }

    fn next_u64(&mut self) -> u64 {
        self.words.word(self.place())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}
