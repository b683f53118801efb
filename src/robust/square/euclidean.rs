//! The search within a Euclidean length: mass moves from one square to another.

use super::{place, signs, window};
use crate::error::Result;
use crate::graph::Tensor;
use crate::robust::{lengths, of_each};

/// Added to lengths that are divided by.
const TINY: f64 = 1e-12;

/// Images, and the largest length of a change.
pub(super) struct Euclidean<'a> {
    pub images: &'a Tensor,
    pub eps: f64,
}

impl Euclidean<'_> {
    /// Images with a grid of bumps, five along the height.
    pub fn start(&self, draw: &mut dyn FnMut() -> f64) -> Result<Tensor> {
        let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| self.images.shape()[dim]);
        let side = (height / 5).max(1);
        let first = height.saturating_sub(5 * side) / 2;
        let mut change = self.images.zeros_like()?;
        for row in 0..height / side {
            for column in 0..width / side {
                let bump = self.bump(side, [first + row * side, first + column * side], draw)?;
                change = (change + (bump * signs(self.images, [count, channels, 1, 1], draw)?)?)?;
            }
        }
        self.bounded(&change)
    }

    /// Images with a new bump in a square, made of its own mass and that of another square, which is emptied.
    pub fn tried(&self, near: &Tensor, side: usize, draw: &mut dyn FnMut() -> f64) -> Result<Tensor> {
        let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| self.images.shape()[dim]);
        // Odd, so that the two halves of a bump differ.
        let side = (side.max(3) | 1).min(height.min(width));
        let change = (near - self.images)?;
        let to = place([height, width], side, draw);
        let from = place([height, width], side, draw);
        let (into, out_of) = (window(self.images, to, side)?, window(self.images, from, side)?);
        let of_planes = |values: &Tensor| values.square()?.sum_keepdim([2, 3])?.sqrt();
        let old = (&change * &into)?;
        let old = (&old / (of_planes(&old)? + TINY)?)?;
        let bump = (self.bump(side, to, draw)? * signs(self.images, [count, channels, 1, 1], draw)?)?;
        let new = (bump + old)?;
        let unit = (&new / (of_planes(&new)? + TINY)?)?;
        // The mass of both squares, and an equal part of what the bound leaves.
        let left = (self.eps * self.eps - lengths(&change)?.square()?)?.relu()?;
        let both = lengths(&(&change * into.maximum(&out_of)?)?)?.square()?;
        let mass = of_each(&((left / channels as f64)? + both)?.sqrt()?, self.images)?;
        let rest = ((&change * (1.0 - &into)?)? * (1.0 - &out_of)?)?;
        self.bounded(&((unit * mass)? + rest)?)
    }

    /// Images with a change that is scaled to the bound.
    fn bounded(&self, change: &Tensor) -> Result<Tensor> {
        let unit = (change / of_each(&(lengths(change)? + TINY)?, self.images)?)?;
        (self.images + (unit * self.eps)?)?.clamp(Some(0.0), Some(1.0))
    }

    /// A bump and a dent side by side in a square of the images, `[1, 1, H, W]`, of length 1; upright or lying by a draw.
    fn bump(&self, side: usize, at: [usize; 2], draw: &mut dyn FnMut() -> f64) -> Result<Tensor> {
        let [height, width] = [self.images.shape()[2], self.images.shape()[3]];
        let half = side / 2;
        let (upper, lower) = (pyramid(half, side), pyramid(side - half, side));
        let both: Vec<f64> = upper.into_iter().chain(lower.into_iter().map(|value| -value)).collect();
        let length = both.iter().map(|value| value * value).sum::<f64>().sqrt();
        let is_lying = draw() > 0.5;
        let mut plane = vec![0.0f32; height * width];
        for (index, value) in both.iter().enumerate() {
            let (row, column) = if is_lying { (index % side, index / side) } else { (index / side, index % side) };
            let (row, column) = (at[0] + row, at[1] + column);
            if row < height && column < width {
                plane[row * width + column] = crate::number::nearest(value / length);
            }
        }
        Tensor::from_slice(self.images.device(), &plane, &[1, 1, height, width])
    }
}

/// Rectangles around the middle of one, each larger than the one before and lower, `1 / n^2`; of length 1 in total.
fn pyramid(height: usize, width: usize) -> Vec<f64> {
    let mut values = vec![0.0; height * width];
    let middle = [height / 2, width / 2];
    for turn in 0..=middle[0].max(middle[1]) {
        let within = |middle: usize, x: usize| x + turn >= middle && x <= middle + turn;
        for (index, value) in values.iter_mut().enumerate() {
            if within(middle[0], index / width) && within(middle[1], index % width) {
                *value += 1.0 / ((turn + 1) * (turn + 1)) as f64;
            }
        }
    }
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.iter().map(|value| value / length).collect()
}
