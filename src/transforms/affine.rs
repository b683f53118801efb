//! Random affine, rotation and perspective transforms.

use super::functional::{AffineNumbers, InterpolationMode, spread};
use super::pending::Step;
use super::{Draws, Stream, Transform, Views, check_probability, maps};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::options::options;

/// Rejects modes that can't sample at arbitrary positions.
pub(super) fn check_mode(op: &'static str, mode: InterpolationMode) -> Result<()> {
    if matches!(mode, InterpolationMode::Nearest | InterpolationMode::Bilinear) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{mode:?} is neither Nearest nor Bilinear")))
}

/// Rejects a descending range.
fn check_range(op: &'static str, name: &str, [low, high]: [f64; 2]) -> Result<()> {
    if low <= high && low.is_finite() && high.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is [{low}, {high}]; it must ascend")))
}

options! {
    /// Options of [`RandomAffine`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomAffineOptions {
        /// Largest moves to either side, as shares of the width and of the height.
        translate: [f64; 2] = [0.0; 2],
        /// Least and largest factor.
        scale: [f64; 2] = [1.0; 2],
        /// Least and largest angle by which x leans along y, and y along x, in degrees:
        /// `[x low, x high, y low, y high]`.
        shear: [f64; 4] = [0.0; 4],
        /// Interpolation between elements: nearest or bilinear.
        interpolation: InterpolationMode = InterpolationMode::Nearest,
        /// Values past the edges: one number, or one per channel.
        fill: Vec<f32> = vec![0.0],
        /// The fixed point, `[x, y]`; the middle if left out.
        center: Option<[f64; 2]> = None,
    }
}

/// Rotates, moves, scales and shears each image by random numbers, all drawn uniformly. Moves are of whole elements.
///
/// ```
/// use wgrad::transforms::{Draws, RandomAffine, RandomAffineOptions, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let affine = RandomAffine::new([-10.0, 10.0], RandomAffineOptions::default().translate([0.1, 0.1]))?;
/// let mut views = Views::new(Tensor::ones(&Device::reference(), &[2, 3, 32, 32])?)?;
/// affine.apply(&mut views, &mut Draws::new(0, 0, &[0, 1]))?;
/// assert_eq!(views.images()?.shape()[..], [2, 3, 32, 32]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomAffine {
    degrees: [f64; 2],
    options: RandomAffineOptions,
}

impl RandomAffine {
    /// With the least and the largest angle, clockwise and in degrees.
    ///
    /// # Errors
    /// [`Error::Invalid`] for ranges that descend, shares that are not between 0 and 1, factors that are not positive, and modes
    /// other than nearest and bilinear.
    pub fn new(degrees: [f64; 2], options: RandomAffineOptions) -> Result<RandomAffine> {
        const OP: &str = "RandomAffine";
        check_mode(OP, options.interpolation)?;
        let [x0, x1, y0, y1] = options.shear;
        let ranges = [("degrees", degrees), ("scale", options.scale), ("shear", [x0, x1]), ("shear", [y0, y1])];
        ranges.into_iter().try_for_each(|(name, range)| check_range(OP, name, range))?;
        if options.scale[0] <= 0.0 || !options.translate.iter().all(|share| (0.0..=1.0).contains(share)) {
            let rule = format!(
                "scale is {:?} and translate {:?}; factors must be positive, and shares between 0 and 1",
                options.scale, options.translate
            );
            return Err(Error::invalid(OP, rule));
        }
        Ok(RandomAffine { degrees, options })
    }

    fn numbers(&self, image: &mut Stream, [height, width]: [usize; 2]) -> AffineNumbers {
        let RandomAffineOptions { translate, scale, shear, .. } = self.options;
        let angle = image.uniform(self.degrees[0], self.degrees[1]);
        let most = [translate[0] * width as f64, translate[1] * height as f64];
        let translate = most.map(|most| image.uniform(-most, most).round_ties_even());
        let scale = image.uniform(scale[0], scale[1]);
        let shear = [image.uniform(shear[0], shear[1]), image.uniform(shear[2], shear[3])];
        AffineNumbers { angle, translate, scale, shear }
    }
}

impl Transform for RandomAffine {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let fill = spread("RandomAffine", &self.options.fill, views.channels())?;
        let mut sizes = views.sizes().into_iter();
        let steps = draws.each(|image| {
            let Some(size) = sizes.next() else { return Step::Stay };
            let map = maps::affine(&self.numbers(image, size), self.options.center, size);
            Step::Warp(map, size, Some(fill.clone()))
        });
        views.step(steps, self.options.interpolation, false)
    }
}

options! {
    /// Options of [`RandomRotation`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomRotationOptions {
        /// Interpolation between elements: nearest or bilinear.
        interpolation: InterpolationMode = InterpolationMode::Nearest,
        /// Enlarges the result to hold all corners. The sizes of images then differ.
        expand: bool = false,
        /// The fixed point, `[x, y]`; the middle if left out.
        center: Option<[f64; 2]> = None,
        /// Values past the edges: one number, or one per channel.
        fill: Vec<f32> = vec![0.0],
    }
}

/// Rotates each image by a random angle.
#[derive(Clone, Debug)]
pub struct RandomRotation {
    degrees: [f64; 2],
    options: RandomRotationOptions,
}

impl RandomRotation {
    /// With the least and the largest angle, anticlockwise and in degrees.
    ///
    /// # Errors
    /// [`Error::Invalid`] for angles that descend, and for modes other than nearest and bilinear.
    pub fn new(degrees: [f64; 2], options: RandomRotationOptions) -> Result<RandomRotation> {
        const OP: &str = "RandomRotation";
        check_mode(OP, options.interpolation)?;
        check_range(OP, "degrees", degrees)?;
        Ok(RandomRotation { degrees, options })
    }
}

impl Transform for RandomRotation {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let RandomRotationOptions { interpolation, expand, center, ref fill } = self.options;
        let fill = spread("RandomRotation", fill, views.channels())?;
        let mut sizes = views.sizes().into_iter();
        let steps = draws.each(|image| {
            let Some(size) = sizes.next() else { return Step::Stay };
            let angle = image.uniform(self.degrees[0], self.degrees[1]);
            let (map, out) = maps::rotation(angle, center, expand, size);
            Step::Warp(map, out, Some(fill.clone()))
        });
        views.step(steps, interpolation, false)
    }
}

options! {
    /// Options of [`RandomPerspective`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomPerspectiveOptions {
        /// Largest move of a corner, as a fraction of half the sides.
        distortion_scale: f64 = 0.5,
        /// Probability.
        p: f64 = 0.5,
        /// Interpolation between elements: nearest or bilinear.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Values past the edges: one number, or one per channel.
        fill: Vec<f32> = vec![0.0],
    }
}

/// Each image in a random perspective, with a probability: its corners move inwards by random numbers of elements.
#[derive(Clone, Debug)]
pub struct RandomPerspective {
    options: RandomPerspectiveOptions,
}

impl RandomPerspective {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a probability or a distortion that is not between 0 and 1, and for modes other than nearest and
    /// bilinear.
    pub fn new(options: RandomPerspectiveOptions) -> Result<RandomPerspective> {
        const OP: &str = "RandomPerspective";
        check_mode(OP, options.interpolation)?;
        check_probability(OP, options.p)?;
        if !(0.0..=1.0).contains(&options.distortion_scale) {
            let rule = format!("distortion_scale is {}; it must be between 0 and 1", options.distortion_scale);
            return Err(Error::invalid(OP, rule));
        }
        Ok(RandomPerspective { options })
    }

    /// The new positions of the four corners.
    fn corners(&self, image: &mut Stream, [height, width]: [usize; 2]) -> [[f64; 2]; 4] {
        let bound = |size: usize| nearest::<usize>(self.options.distortion_scale * (size / 2) as f64) + 1;
        let mut near = |size: usize| image.below(bound(size)) as f64;
        let far = |size: usize, near: f64| size as f64 - 1.0 - near;
        let upper_left = [near(width), near(height)];
        let upper_right = [far(width, near(width)), near(height)];
        let lower_right = [far(width, near(width)), far(height, near(height))];
        let lower_left = [near(width), far(height, near(height))];
        [upper_left, upper_right, lower_right, lower_left]
    }
}

impl Transform for RandomPerspective {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let fill = spread("RandomPerspective", &self.options.fill, views.channels())?;
        let mut sizes = views.sizes().into_iter();
        let steps = draws.each(|image| {
            let Some(size) = sizes.next().filter(|_| image.chance(self.options.p)) else { return Ok(Step::Stay) };
            let [right, bottom] = [size[1] as f64 - 1.0, size[0] as f64 - 1.0];
            let start = [[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]];
            let map = maps::perspective(&start, &self.corners(image, size))?;
            Ok(Step::Warp(map, size, Some(fill.clone())))
        });
        views.step(steps.into_iter().collect::<Result<_>>()?, self.options.interpolation, false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{check, check_frequency, drawn};
    use super::*;

    /// One of the numbers of an affine transform.
    type Number = fn(&AffineNumbers) -> f64;

    /// The mean and the deviation of numbers drawn evenly between two.
    fn even(low: f64, high: f64) -> (f64, f64) {
        ((low + high) / 2.0, (high - low) / 12.0f64.sqrt())
    }

    #[test]
    fn numbers_are_even_within_their_ranges() {
        let options =
            RandomAffineOptions::default().translate([0.1, 0.3]).scale([0.5, 1.5]).shear([-5.0, 5.0, 10.0, 20.0]);
        let affine = RandomAffine::new([-30.0, 30.0], options).unwrap();
        let numbers = drawn(|image| affine.numbers(image, [48, 64]));
        let all: [(&str, Number, (f64, f64)); 6] = [
            ("angle", |n| n.angle, even(-30.0, 30.0)),
            ("x", |n| n.translate[0], even(-6.4, 6.4)),
            ("y", |n| n.translate[1], even(-14.4, 14.4)),
            ("scale", |n| n.scale, even(0.5, 1.5)),
            ("shear x", |n| n.shear[0], even(-5.0, 5.0)),
            ("shear y", |n| n.shear[1], even(10.0, 20.0)),
        ];
        for (what, number, (mean, std)) in all {
            check(what, numbers.iter().map(number), mean, std);
        }
        assert!(numbers.iter().all(|numbers| numbers.translate.iter().all(|by| by.fract() == 0.0)));
    }

    /// Corners move by 0 to 16 elements in x and 0 to 12 in y, each as likely.
    #[test]
    fn corners_move_inwards() {
        let perspective = RandomPerspective::new(RandomPerspectiveOptions::default()).unwrap();
        let corners = drawn(|image| perspective.corners(image, [48, 64]));
        let start = [[0.0, 0.0], [63.0, 0.0], [63.0, 47.0], [0.0, 47.0]];
        for (at, start) in start.into_iter().enumerate() {
            for (d, count) in [17.0f64, 13.0].into_iter().enumerate() {
                let by = corners.iter().map(|corners| (corners[at][d] - start[d]).abs());
                check("corner", by, (count - 1.0) / 2.0, ((count * count - 1.0) / 12.0).sqrt());
            }
        }
        let mut views =
            Views::new(crate::Tensor::ones(&crate::Device::reference(), &[1000, 1, 8, 8]).unwrap()).unwrap();
        let some = RandomPerspective::new(RandomPerspectiveOptions::default().p(0.3).fill([-1.0])).unwrap();
        some.apply(&mut views, &mut Draws::new(0, 0, &(0..1000).collect::<Vec<_>>())).unwrap();
        // Any perspective changes some corner elements of an image, with few exceptions.
        let pixels = views.images().unwrap().to_vec::<f32>().unwrap();
        check_frequency("p", pixels.chunks(64).map(|image| image.iter().any(|&pixel| pixel != 1.0)), 0.3);
    }
}
