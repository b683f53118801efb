//! Snow, frost and fog.

use super::Severity;
use super::blur::moved;
use super::zoom::zoomed;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::shape::Shape;

/// Ice crystals of an image's frost.
pub(super) const CRYSTALS: usize = 24;

/// The side of the plasma that covers an image.
pub(super) fn side(height: usize, width: usize) -> usize {
    height.max(width).next_power_of_two()
}

pub(super) fn snow(images: &Tensor, severity: Severity, normal: &Tensor, uniform: &Tensor) -> Result<Tensor> {
    // Mean and deviation of the flakes, their size, the least brightness, their motion blur, and the weight of the colour.
    let (mean, deviation, zoom, least, (radius, sigma), colour) = severity.of(
        [
            (0.1, 0.3, 3.0, 0.5, (10, 4.0), 0.8),
            (0.2, 0.3, 2.0, 0.5, (12, 4.0), 0.7),
            (0.55, 0.3, 4.0, 0.9, (12, 8.0), 0.7),
            (0.55, 0.3, 4.5, 0.85, (12, 8.0), 0.65),
            (0.55, 0.3, 2.5, 0.85, (12, 12.0), 0.55),
        ],
        [
            (0.1, 0.2, 1.0, 0.6, (8, 3.0), 0.95),
            (0.1, 0.2, 1.0, 0.5, (10, 4.0), 0.9),
            (0.15, 0.3, 1.75, 0.55, (10, 4.0), 0.9),
            (0.25, 0.3, 2.25, 0.6, (12, 6.0), 0.85),
            (0.3, 0.3, 1.25, 0.65, (14, 12.0), 0.8),
        ],
    );
    let flakes = zoomed(&((normal * deviation)? + mean)?, zoom)?;
    let flakes = flakes.lt_scalar(least)?.where_(&flakes.zeros_like()?, &flakes)?.clamp(Some(0.0), Some(1.0))?;
    let fallen = moved(&flakes, radius, sigma, &((uniform * 90.0)? - 135.0)?)?;
    let pale = images.maximum(&((grey(images)? * 1.5)? + 0.5)?)?;
    let paler = ((images * colour)? + (pale * (1.0 - colour))?)?;
    (paler + &fallen)? + fallen.flip([2, 3])?
}

/// The brightness of each pixel, `[N, 1, H, W]`.
fn grey(images: &Tensor) -> Result<Tensor> {
    if images.shape()[1] == 1 {
        return Ok(images.clone());
    }
    let weights = Tensor::from_f64(images.device(), &[0.299, 0.587, 0.114], &[3, 1, 1])?;
    (images * weights)?.sum_keepdim(1)
}

pub(super) fn fog(images: &Tensor, severity: Severity, uniform: &Tensor) -> Result<Tensor> {
    let (density, decay) = severity.of(
        [(1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)],
        [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)],
    );
    let brightest = images.amax_keepdim([1, 2, 3])?;
    let foggy = (images + (plasma(images, uniform, decay)? * density)?)?;
    (foggy * &brightest)? / (&brightest + density)?
}

/// A plasma fractal by diamonds and squares, between 0 and 1, of draws `[N, S S - 1]`, coarse ones first: `[N, 1, H, W]`.
/// Deviations become `decay` times as small from level to level, and weigh by their square.
fn plasma(images: &Tensor, uniform: &Tensor, decay: f64) -> Result<Tensor> {
    let [count, _, height, width] = [0, 1, 2, 3].map(|dim| images.shape()[dim]);
    let side = side(height, width);
    let mut corners = Tensor::zeros(images.device(), &[count, 1, 1])?;
    let (mut size, mut used, mut deviation) = (1, 0, 100.0);
    while size < side {
        let numbers = uniform.narrow(1, used, 3 * size * size)?.reshape_to(Shape::new(&[count, 3, size, size])?)?;
        let numbers = (((numbers * 2.0)? - 1.0)? * (deviation * deviation))?;
        let number = |at: usize| numbers.narrow(1, at, 1)?.reshape_to(Shape::new(&[count, size, size])?);
        let mean_of_four = |sum: Tensor, at: usize| (sum / 4.0)? + number(at)?;
        let above = (&corners + corners.roll(&[-1], &[1])?)?;
        let middle = mean_of_four((&above + above.roll(&[-1], &[2])?)?, 0)?;
        let beside = (&corners + corners.roll(&[-1], &[2])?)?;
        let upper = mean_of_four(((&middle + middle.roll(&[1], &[1])?)? + beside)?, 1)?;
        let left = mean_of_four(((&middle + middle.roll(&[1], &[2])?)? + above)?, 2)?;
        let rows = [Tensor::stack(&[&corners, &upper], 3)?, Tensor::stack(&[&left, &middle], 3)?];
        used += 3 * size * size;
        size *= 2;
        deviation /= decay;
        corners = Tensor::stack(&[&rows[0], &rows[1]], 2)?.reshape_to(Shape::new(&[count, size, size])?)?;
    }
    let (low, high) = (corners.amin_keepdim([1, 2])?, corners.amax_keepdim([1, 2])?);
    let scaled = ((corners - &low)? / (high - &low)?)?;
    scaled.narrow(1, 0, height)?.narrow(2, 0, width)?.reshape_to(Shape::new(&[count, 1, height, width])?)
}

pub(super) fn frost(images: &Tensor, severity: Severity, crystals: &Tensor, uniform: &Tensor) -> Result<Tensor> {
    let (clear, frozen) = severity.of(
        [(1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
        [(1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
    );
    let texture = ((ridges(images, crystals)? + plasma(images, uniform, 2.0)?)? * 0.5)?;
    // Ice is a little blue.
    let tint = if images.shape()[1] == 3 { vec![0.88, 0.95, 1.0] } else { vec![0.95] };
    let tint = Tensor::from_f64(images.device(), &tint, &[tint.len(), 1, 1])?;
    (images * clear)? + ((texture * tint)? * frozen)?
}

/// The ridges between crystals that grow from points `[N, 24, 2]`, `exp(-40 (d2 - d1))` with the distances from the nearest two
/// in units of the image: `[N, 1, H, W]`.
fn ridges(images: &Tensor, points: &Tensor) -> Result<Tensor> {
    let [count, _, height, width] = [0, 1, 2, 3].map(|dim| images.shape()[dim]);
    let places = |size: usize| {
        let places = Tensor::arange(images.device(), 0.5, size as f64, 1.0, DType::F32)?;
        places.div_scalar(size as f64)
    };
    let (rows, columns) = (places(height)?.reshape(&[1, 1, -1, 1])?, places(width)?.reshape(&[1, 1, 1, -1])?);
    let far = Tensor::full(images.device(), &[1, 1, 1, 1], 2.0f32)?;
    let (mut nearest, mut second) = (far.clone(), far);
    for crystal in 0..CRYSTALS {
        let at = |axis: usize| {
            let place = points.narrow(1, crystal, 1)?.narrow(2, axis, 1)?;
            place.reshape_to(Shape::new(&[count, 1, 1, 1])?)
        };
        let distance = ((&columns - at(0)?)?.square()? + (&rows - at(1)?)?.square()?)?.sqrt()?;
        second = second.minimum(&nearest.maximum(&distance)?)?;
        nearest = nearest.minimum(&distance)?;
    }
    ((second - nearest)? * -40.0)?.exp()
}
