//! Small random moves that an image should withstand.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::explain::ablation::sizes;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{GridSampleOptions, GridSamplePadding};
use crate::options::options;

options! {
    /// The moves of each step, drawn on the device: an image that excites a network only in its exact position, pixel for pixel,
    /// is noise (Olah et al., "Feature Visualization", 2017, whose numbers are the defaults, for images of about 224 x 224).
    #[derive(Clone, Copy, Debug)]
    Transformations {
        /// Largest shift of all images in pixels in each direction; pixels that leave at one edge enter at the other.
        jitter: usize = 8,
        /// The largest change of an image's scale: 0.1 for factors from 0.9 to 1.1.
        scale: f64 = 0.1,
        /// The largest angle in degrees.
        rotation: f64 = 10.0,
    }
}

impl Transformations {
    /// The images where they are.
    pub fn none() -> Transformations {
        Transformations { jitter: 0, scale: 0.0, rotation: 0.0 }
    }

    /// The images moved at random.
    pub(super) fn apply(&self, op: &'static str, images: &Tensor) -> Result<Tensor> {
        let [count, channels, height, width] = sizes(op, images)?;
        let Transformations { jitter, scale, rotation } = *self;
        if !((0.0..1.0).contains(&scale) && rotation >= 0.0 && rotation.is_finite()) {
            let rule = format!(
                "a scale that changes by {scale} and angles up to {rotation}; expected 0 to 1, and no less than 0"
            );
            return Err(Error::invalid(op, rule));
        }
        let images = jittered(images, jitter)?;
        if scale == 0.0 && rotation == 0.0 {
            return Ok(images);
        }
        let device = images.device();
        let drawn = |largest: f64| Tensor::uniform(device, &[count], -largest, largest);
        let (angle, factor) = (drawn(rotation.to_radians())?, (1.0 + drawn(scale)?)?);
        let (cos, sin) = ((angle.cos()? / &factor)?, (angle.sin()? / &factor)?);
        // Places run from -1 to 1 along both sides.
        let aspect = height as f64 / width as f64;
        let zero = cos.zeros_like()?;
        let rows = [[cos.clone(), (&sin * -aspect)?, zero.clone()], [(&sin * (1.0 / aspect))?, cos, zero]];
        let rows = rows.map(|row| Tensor::stack(&row.each_ref(), 1));
        let [first, second] = rows;
        let theta = Tensor::stack(&[&first?, &second?], 1)?;
        let grid = theta.affine_grid(&[count, channels, height, width], false)?;
        images.grid_sample(&grid, &GridSampleOptions::default().padding_mode(GridSamplePadding::Reflection))
    }
}

/// Images `[N, C, H, W]` rolled by one random number of pixels along each side, `-pixels` to `pixels`. The number stays on the
/// device, so that all shifts are one plan.
pub(super) fn jittered(images: &Tensor, pixels: usize) -> Result<Tensor> {
    if pixels == 0 {
        return Ok(images.clone());
    }
    let (device, most) = (images.device(), nearest::<i32>(pixels));
    let rolled = |images: &Tensor, dim: usize| {
        let size = images.shape()[dim];
        let places = Tensor::arange(device, 0.0, size as f64, 1.0, DType::I32)?;
        let shifted = (places + Tensor::randint(device, -most, most.saturating_add(1), &[1])?)?;
        images.index_select(dim, &shifted.remainder_scalar(size as f64)?)
    };
    rolled(&rolled(images, 2)?, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Device;

    fn ramp(device: &Device, [height, width]: [usize; 2]) -> Tensor {
        let values: Vec<f64> = (0..height * width).map(|at| (3 * (at / width) + at % width) as f64).collect();
        Tensor::from_f64(device, &values, &[1, 1, height, width]).unwrap()
    }

    #[test]
    fn jitter_rolls_by_no_more_than_its_pixels() {
        let device = Device::reference();
        let image = ramp(&device, [4, 7]);
        let expected = |down: isize, across: isize| image.roll(&[down, across], &[2, 3]).unwrap().to_f64().unwrap();
        let all: Vec<_> = (-2..=2).flat_map(|down| (-2..=2).map(move |across| (down, across))).collect();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..60 {
            let got = jittered(&image, 2).unwrap().to_f64().unwrap();
            seen.insert(all.iter().position(|&(down, across)| expected(down, across) == got).expect("a roll"));
        }
        // In a height of 4, two pixels up are two down.
        assert!(seen.len() > 15, "{seen:?}");
    }

    /// A linear image is rotated and scaled exactly, away from its edges.
    #[test]
    fn turns_and_scales_are_those_that_are_drawn() {
        let device = Device::reference();
        let size = [21, 31];
        let image = ramp(&device, size);
        let moves = Transformations::none().scale(0.3).rotation(20.0);
        device.manual_seed(8);
        let got = moves.apply("test", &image).unwrap().to_f64().unwrap();
        device.manual_seed(8);
        let drawn = |largest: f64| Tensor::uniform(&device, &[1], -largest, largest).unwrap().to_f64().unwrap()[0];
        let (angle, factor) = (drawn(20.0f64.to_radians()), 1.0 + drawn(0.3));
        for (y, x) in [(10, 15), (8, 15), (10, 18), (12, 11)] {
            let (down, across) = (y as f64 - 10.0, x as f64 - 15.0);
            let from_x = 15.0 + (across * angle.cos() - down * angle.sin()) / factor;
            let from_y = 10.0 + (across * angle.sin() + down * angle.cos()) / factor;
            assert!((got[y * 31 + x] - (3.0 * from_y + from_x)).abs() < 1e-6, "{y} {x}");
        }
    }
}
