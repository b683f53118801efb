//! Blurs by a lens, a glass and a movement.

use super::Severity;
use super::filter::{Ends, gaussian};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{Conv2dOptions, PadMode};
use crate::shape::Shape;

/// A disk of this radius, softened by a Gaussian of 3 x 3 weights, or 5 x 5 above a radius of 8: the weights `[size, size]`,
/// whose size is odd and no larger than it must be.
fn disk(radius: f64, softness: f64) -> (Vec<f64>, usize) {
    let reach = nearest::<isize>(radius.max(8.0));
    let width = nearest::<usize>(2 * reach + 1);
    let is_inside = |at: usize| {
        let [x, y] = [at % width, at / width].map(|at| (nearest::<isize>(at) - reach) as f64);
        x * x + y * y <= radius * radius
    };
    let inside: Vec<f64> = (0..width * width).map(|at| f64::from(u8::from(is_inside(at)))).collect();
    let area: f64 = inside.iter().sum();
    let taps: isize = if radius <= 8.0 { 1 } else { 2 };
    let weight = |offset: isize| (-0.5 * (offset as f64 / softness).powi(2)).exp();
    let sum: f64 = (-taps..=taps).map(weight).sum();
    // Past the edge a mirror that leaves out the edge itself.
    let place = |at: isize| nearest::<usize>((2 * reach - (2 * reach - at.abs()).abs()).abs());
    let mut soft = vec![0.0; width * width];
    for (at, soft) in soft.iter_mut().enumerate() {
        let [x, y] = [at % width, at / width].map(nearest::<isize>);
        for dy in -taps..=taps {
            for dx in -taps..=taps {
                let value = inside[place(y + dy) * width + place(x + dx)];
                *soft += value / area * weight(dx) * weight(dy) / (sum * sum);
            }
        }
    }
    let is_empty = |ring: usize| (0..width).all(|at| soft[ring * width + at] == 0.0);
    let empty = (0..width / 2).take_while(|&ring| is_empty(ring)).count();
    let size = width - 2 * empty;
    let rows = (empty..width - empty).flat_map(|row| soft[row * width + empty..][..size].to_vec());
    (rows.collect(), size)
}

pub(super) fn defocus(images: &Tensor, severity: Severity) -> Result<Tensor> {
    let (radius, softness) = severity.of(
        [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
        [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
    );
    let (weights, size) = disk(radius, softness);
    let channels = images.shape()[1];
    let weights = Tensor::from_f64(images.device(), &weights.repeat(channels), &[channels, 1, size, size])?;
    let reach: isize = nearest(size / 2);
    let padded = images.pad(&[reach; 4], PadMode::Reflect)?;
    padded.conv2d(&weights, None, &Conv2dOptions::default().groups(channels))
}

/// The numbers of glass blur: the Gaussian's deviation, the bound of a pixel's way, and rounds.
fn glass_numbers(severity: Severity) -> (f64, usize, usize) {
    severity.of(
        [(0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
        [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    )
}

pub(super) fn rounds(severity: Severity) -> usize {
    glass_numbers(severity).2
}

pub(super) fn glass(images: &Tensor, severity: Severity, uniform: &Tensor) -> Result<Tensor> {
    let (sigma, reach, rounds) = glass_numbers(severity);
    let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| images.shape()[dim]);
    let pixels = height * width;
    let blurred = gaussian(images, sigma, 4.0, Ends::Nearest)?;
    let mut pixel = blurred.reshape_to(Shape::new(&[count, channels, pixels])?)?;
    for round in 0..rounds {
        let ways = uniform.narrow(0, round, 1)?.reshape_to(Shape::new(&[count, 2, pixels])?)?;
        let sources = sources(&ways, [height, width], reach)?;
        let sources = sources.expand_to(Shape::new(&[count, channels, pixels])?, "glass_blur")?;
        pixel = pixel.gather(2, &sources)?;
    }
    gaussian(&pixel.reshape_to(*images.shape())?, sigma, 4.0, Ends::Nearest)
}

/// The pixels that each position holds after one round, i32 `[N, 1, H W]`, from draws `[N, 2, H W]`. From the last pixel to the
/// first, each takes the current value of a random position near it. A position later in the image has been changed already, so
/// its own source is followed: twice as far in each of `log2(H W)` steps.
fn sources(ways: &Tensor, [height, width]: [usize; 2], reach: usize) -> Result<Tensor> {
    let device = ways.device();
    let pixels = height * width;
    // Pixels nearer to an edge stay.
    let moves = |at: usize, size: usize| at > reach && at + reach <= size;
    let moves: Vec<bool> = (0..pixels).map(|at| moves(at / width, height) && moves(at % width, width)).collect();
    let moves = Tensor::from_slice(device, &moves, &[1, 1, pixels])?;
    let own: Vec<i32> = (0..pixels).map(nearest).collect();
    let own = Tensor::from_slice(device, &own, &[1, 1, pixels])?;
    let steps = ((ways * (2.0 * reach as f64))?.floor()? - reach as f64)?.to_dtype(DType::I32)?;
    let (across, down) = (steps.narrow(1, 0, 1)?, steps.narrow(1, 1, 1)?);
    let far = ((&own + down.mul_scalar(width as f64)?)? + across)?;
    let mut source = moves.where_(&far, &own)?;
    // 1 if a source has moved before: if it is further on, and moves at all.
    let moves = moves.expand_to(*source.shape(), "glass_blur")?;
    let mut goes_on = source.gt(&own)?.logical_and(&moves.gather(2, &source)?)?;
    for _ in 0..pixels.next_power_of_two().trailing_zeros() {
        let (next, then) = (source.gather(2, &source)?, goes_on.gather(2, &source)?);
        source = goes_on.where_(&next, &source)?;
        goes_on = goes_on.logical_and(&then)?;
    }
    Ok(source)
}

pub(super) fn motion(images: &Tensor, severity: Severity, uniform: &Tensor) -> Result<Tensor> {
    let (radius, sigma) = severity.of(
        [(10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)],
        [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)],
    );
    moved(images, radius, sigma, &((uniform * 90.0)? - 45.0)?)
}

/// Images moved along a line of these degrees `[N]`: the sum of `2 radius + 1` pixels on it, weighted by half a Gaussian, with
/// the edges repeated. ImageMagick's `MotionBlurImage`.
pub(super) fn moved(images: &Tensor, radius: u32, sigma: f64, degrees: &Tensor) -> Result<Tensor> {
    let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| images.shape()[dim]);
    let pixels = images.reshape_to(Shape::new(&[count, channels, height * width])?)?;
    let angle = degrees.mul_scalar(std::f64::consts::PI / 180.0)?.reshape_to(Shape::new(&[count, 1, 1])?)?;
    let places = |size: usize| Tensor::arange(images.device(), 0.0, size as f64, 1.0, DType::I32);
    let (rows, columns) = (places(height)?.reshape(&[1, -1, 1])?, places(width)?.reshape(&[1, 1, -1])?);
    let weights: Vec<f64> = (0..=2 * radius).map(|at| (-0.5 * (f64::from(at) / sigma).powi(2)).exp()).collect();
    let whole: f64 = weights.iter().sum();
    let mut sum: Option<Tensor> = None;
    for (at, weight) in (0u32..).zip(weights) {
        let way = |part: Tensor| ((part * f64::from(at))? - 0.5)?.ceil()?.to_dtype(DType::I32);
        let within = |place: Tensor, size: usize| place.clamp(Some(0.0), Some(size as f64 - 1.0));
        let row = within((&rows + way(angle.sin()?)?)?, height)?;
        let column = within((&columns + way(angle.cos()?)?)?, width)?;
        let source = (row.mul_scalar(width as f64)? + column)?.reshape_to(Shape::new(&[count, 1, height * width])?)?;
        let part = pixels.gather(2, &source.expand_to(*pixels.shape(), "motion_blur")?)?.mul_scalar(weight / whole)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    sum.unwrap_or(pixels).reshape_to(*images.shape())
}
