//! Crops of images, and padding around them.

use super::functional::{InterpolationMode, PaddingMode, Region, spread};
use super::pending::Step;
use super::{Draws, Stream, Transform, Views, check_probability};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::options::options;

/// The centre of each image, with zeros around smaller images.
#[derive(Clone, Copy, Debug)]
pub struct CenterCrop {
    size: [usize; 2],
}

impl CenterCrop {
    /// With a height and a width.
    pub fn new(size: [usize; 2]) -> CenterCrop {
        CenterCrop { size }
    }
}

impl Transform for CenterCrop {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        let fill = vec![0.0; views.channels()];
        let cut = |&size: &[usize; 2]| Step::Cut(Region::central(size, self.size), Some(fill.clone()));
        views.step(views.sizes().iter().map(cut).collect(), InterpolationMode::Nearest, false)
    }
}

/// Widths of a border: `[left, top, right, bottom]`.
type Border = [usize; 4];

/// Each image with a border.
#[derive(Clone, Debug)]
pub struct Pad {
    padding: Border,
    mode: PaddingMode,
}

impl Pad {
    /// With the border's widths `[left, top, right, bottom]`, and its content.
    pub fn new(padding: [usize; 4], mode: PaddingMode) -> Pad {
        Pad { padding, mode }
    }
}

impl Transform for Pad {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        let PaddingMode::Constant(fill) = &self.mode else { return views.pad_now(self.padding, &self.mode) };
        let fill = spread("Pad", fill, views.channels())?;
        let cut = |&size: &[usize; 2]| Step::Cut(Region::bordered(size, self.padding), Some(fill.clone()));
        views.step(views.sizes().iter().map(cut).collect(), InterpolationMode::Nearest, false)
    }
}

options! {
    /// Options of [`RandomCrop`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomCropOptions {
        /// A border that is added first: `[left, top, right, bottom]`.
        padding: [usize; 4] = [0; 4],
        /// Widens the border on both sides by as much as an image is too small.
        pad_if_needed: bool = false,
        /// Content of the border.
        padding_mode: PaddingMode = PaddingMode::default(),
    }
}

/// A random crop of given size of each image with padding around it.
///
/// ```
/// use wgrad::transforms::{Draws, RandomCrop, RandomCropOptions, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let crop = RandomCrop::new([32, 32], RandomCropOptions::default().padding([4; 4]));
/// let mut views = Views::new(Tensor::ones(&Device::reference(), &[2, 3, 32, 32])?)?;
/// crop.apply(&mut views, &mut Draws::new(0, 0, &[0, 1]))?;
/// assert_eq!(views.images()?.shape()[..], [2, 3, 32, 32]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomCrop {
    size: [usize; 2],
    options: RandomCropOptions,
}

impl RandomCrop {
    /// With a height and a width.
    pub fn new(size: [usize; 2], options: RandomCropOptions) -> RandomCrop {
        RandomCrop { size, options }
    }

    /// The padding around an image of a size.
    fn border(&self, [height, width]: [usize; 2]) -> Result<Border> {
        let [mut left, mut top, mut right, mut bottom] = self.options.padding;
        let short =
            |size: usize, before: usize, after: usize, wanted: usize| wanted.saturating_sub(size + before + after);
        let (rows, columns) = (short(height, top, bottom, self.size[0]), short(width, left, right, self.size[1]));
        if self.options.pad_if_needed {
            (top, bottom, left, right) = (top + rows, bottom + rows, left + columns, right + columns);
        } else if rows + columns > 0 {
            let rule = format!(
                "a crop of {:?} from an image of {height} x {width} with padding {:?}; pad_if_needed adds what is missing",
                self.size, self.options.padding
            );
            return Err(Error::invalid("RandomCrop", rule));
        }
        Ok([left, top, right, bottom])
    }

    /// The upper left corner of the part, in an image with its border.
    fn corner(&self, image: &mut Stream, [height, width]: [usize; 2]) -> [usize; 2] {
        let first = |image: &mut Stream, rest: usize| if rest > 0 { image.below(rest + 1) } else { 0 };
        let top = first(image, height - self.size[0]);
        [top, first(image, width - self.size[1])]
    }
}

impl Transform for RandomCrop {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let borders = views.sizes().into_iter().map(|size| self.border(size)).collect::<Result<Vec<_>>>()?;
        let fill = match &self.options.padding_mode {
            PaddingMode::Constant(_) if self.options.padding == [0; 4] && !self.options.pad_if_needed => None,
            PaddingMode::Constant(fill) => Some(spread("RandomCrop", fill, views.channels())?),
            mode => {
                if let Some(&border) = borders.first() {
                    views.pad_now(border, mode)?;
                }
                None
            }
        };
        let is_padded = !matches!(self.options.padding_mode, PaddingMode::Constant(_));
        let mut sizes = views.sizes().into_iter().zip(borders);
        let steps = draws.each(|image| {
            let Some((size, border)) = sizes.next() else { return Step::Stay };
            let whole = if is_padded { Region::bordered(size, [0; 4]) } else { Region::bordered(size, border) };
            let [top, left] = self.corner(image, [whole.height, whole.width]);
            let (top, left) = (whole.top + top as isize, whole.left + left as isize);
            Step::Cut(Region { top, left, height: self.size[0], width: self.size[1] }, fill.clone())
        });
        views.step(steps, InterpolationMode::Nearest, false)
    }
}

options! {
    /// Options of [`RandomZoomOut`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomZoomOutOptions {
        /// Values around the image: one number, or one per channel.
        fill: Vec<f32> = vec![0.0],
        /// Least and largest side of the result, relative to the image's.
        side_range: [f64; 2] = [1.0, 4.0],
        /// Probability.
        p: f64 = 0.5,
    }
}

/// Each image anywhere in a larger one, with a probability (Liu et al., "SSD: Single Shot MultiBox Detector", 2016).
/// The sizes of images then differ.
#[derive(Clone, Debug)]
pub struct RandomZoomOut {
    options: RandomZoomOutOptions,
}

impl RandomZoomOut {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a probability that is not between 0 and 1, and for sides that descend or are below 1.
    pub fn new(options: RandomZoomOutOptions) -> Result<RandomZoomOut> {
        const OP: &str = "RandomZoomOut";
        check_probability(OP, options.p)?;
        let [low, high] = options.side_range;
        if !(1.0 <= low && low <= high && high.is_finite()) {
            return Err(Error::invalid(OP, format!("side_range is {:?}; it must ascend from 1", options.side_range)));
        }
        Ok(RandomZoomOut { options })
    }

    fn border(&self, image: &mut Stream, [height, width]: [usize; 2]) -> Border {
        if !image.chance(self.options.p) {
            return [0; 4];
        }
        let side = image.uniform(self.options.side_range[0], self.options.side_range[1]);
        let rest = |size: usize| nearest::<usize>(size as f64 * side) - size;
        let before = |image: &mut Stream, rest: usize| nearest::<usize>(rest as f64 * image.uniform(0.0, 1.0));
        let (columns, rows) = (rest(width), rest(height));
        let left = before(image, columns);
        let top = before(image, rows);
        [left, top, columns - left, rows - top]
    }
}

impl Transform for RandomZoomOut {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let fill = spread("RandomZoomOut", &self.options.fill, views.channels())?;
        let mut sizes = views.sizes().into_iter();
        let steps = draws.each(|image| {
            let Some(size) = sizes.next() else { return Step::Stay };
            Step::Cut(Region::bordered(size, self.border(image, size)), Some(fill.clone()))
        });
        views.step(steps, InterpolationMode::Nearest, false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{check, check_frequency, drawn};
    use super::*;

    /// Corners are even among all possible ones: `(n^2 - 1) / 12` is the variance of `n` whole numbers.
    #[test]
    fn crops_are_anywhere() {
        let crop = RandomCrop::new([40, 50], RandomCropOptions::default().padding([3, 4, 5, 6]));
        assert_eq!(crop.border([48, 64]).unwrap(), [3, 4, 5, 6]);
        let corners = drawn(|image| crop.corner(image, [58, 72]));
        for (at, rest) in [18.0f64, 22.0].into_iter().enumerate() {
            let std = (((rest + 1.0).powi(2) - 1.0) / 12.0).sqrt();
            check("corner", corners.iter().map(|corner| corner[at] as f64), rest / 2.0, std);
        }
        let larger = RandomCrop::new([60, 10], RandomCropOptions::default().pad_if_needed(true));
        assert_eq!(larger.border([48, 64]).unwrap(), [0, 12, 0, 12]);
    }

    /// Moments of 40,000 borders that torchvision 0.29 draws for images of 48 x 64.
    #[test]
    fn borders_are_torchvisions() {
        let zoom = RandomZoomOut::new(RandomZoomOutOptions::default().p(1.0)).unwrap();
        let borders = drawn(|image| zoom.border(image, [48, 64]));
        for (at, (mean, std)) in [(46.9, 42.0), (35.3, 31.6), (48.1, 42.4), (35.9, 31.6)].into_iter().enumerate() {
            check("border", borders.iter().map(|border| border[at] as f64), mean, std);
        }
        let some = RandomZoomOut::new(RandomZoomOutOptions::default().p(0.3).side_range([2.0, 3.0])).unwrap();
        check_frequency("p", drawn(|image| some.border(image, [48, 64]) != [0; 4]), 0.3);
    }
}
