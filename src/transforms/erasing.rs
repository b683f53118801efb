//! Rectangles cut out of images.

use super::blur::{noise, noise_keys};
use super::functional::{Rectangle, erase};
use super::{Draws, Stream, Transform, Views, check_probability};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::options::options;

/// The content of an erased rectangle.
#[derive(Clone, Debug, PartialEq)]
pub enum ErasingValue {
    /// A number for each channel, or one for all.
    Constant(Vec<f64>),
    /// Normally distributed numbers.
    Random,
}

options! {
    /// Options of [`RandomErasing`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandomErasingOptions {
        /// Probability.
        p: f64 = 0.5,
        /// Least and largest area of the rectangle, relative to the image's.
        scale: [f64; 2] = [0.02, 0.33],
        /// Least and largest ratio of its height to its width.
        ratio: [f64; 2] = [0.3, 3.3],
        /// Content of the rectangle.
        value: ErasingValue = ErasingValue::Constant(vec![0.0]),
    }
}

/// Erases a rectangle of each image: top, left, height and width. One of no height changes nothing.
fn erased(views: &mut Views, rectangles: &[[usize; 4]], value: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    views.change_images(|images| erase(images, &Rectangle::each(images, rectangles)?, &value(images)?))
}

/// A rectangle of each image erased with a probability, by Zhong et al., "Random Erasing Data Augmentation", 2017.
///
/// Its area is drawn evenly, and its ratio evenly on a logarithmic scale; where none of ten such rectangles fits into
/// the image, it stays as it is.
///
/// ```
/// use wgrad::transforms::{Draws, RandomErasing, RandomErasingOptions, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let erasing = RandomErasing::new(RandomErasingOptions::default().p(1.0))?;
/// let mut views = Views::new(Tensor::ones(&Device::reference(), &[1, 3, 16, 16])?)?;
/// erasing.apply(&mut views, &mut Draws::new(0, 0, &[0]))?;
/// assert!(views.images()?.to_vec::<f32>()?.contains(&0.0));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomErasing {
    options: RandomErasingOptions,
}

impl RandomErasing {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a probability that is not between 0 and 1, areas that descend or are outside 0 to 1, and ratios
    /// that descend or are not positive.
    pub fn new(options: RandomErasingOptions) -> Result<RandomErasing> {
        const OP: &str = "RandomErasing";
        check_probability(OP, options.p)?;
        let ([smallest, largest], [flat, steep]) = (options.scale, options.ratio);
        let is_scale = 0.0 <= smallest && smallest <= largest && largest <= 1.0;
        if !is_scale {
            return Err(Error::invalid(OP, format!("scale is {:?}; it must ascend from 0 to 1", options.scale)));
        }
        let is_ratio = 0.0 < flat && flat <= steep && steep.is_finite();
        if !is_ratio {
            return Err(Error::invalid(OP, format!("ratio is {:?}; it must be positive and ascend", options.ratio)));
        }
        Ok(RandomErasing { options })
    }

    /// Top, left, height and width in an image.
    fn rectangle(&self, image: &mut Stream, [height, width]: [usize; 2]) -> [usize; 4] {
        let RandomErasingOptions { p, scale, ratio, .. } = self.options;
        if !image.chance(p) {
            return [0; 4];
        }
        for _ in 0..10 {
            let area = (height * width) as f64 * image.uniform(scale[0], scale[1]);
            let ratio = image.uniform(ratio[0].ln(), ratio[1].ln()).exp();
            let [h, w] = [area * ratio, area / ratio].map(|square| nearest::<usize>(square.sqrt().round_ties_even()));
            if h < height && w < width {
                return [image.below(height - h + 1), image.below(width - w + 1), h, w];
            }
        }
        [0; 4]
    }
}

impl Transform for RandomErasing {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let mut sizes = views.sizes().into_iter();
        let rectangles = draws.each(|image| self.rectangle(image, sizes.next().unwrap_or_default()));
        let keys = noise_keys(draws);
        erased(views, &rectangles, |images| match &self.options.value {
            ErasingValue::Random => noise(images, &keys),
            ErasingValue::Constant(values) if [1, images.shape()[1]].contains(&values.len()) => {
                Tensor::from_f64(images.device(), values, &[1, values.len(), 1, 1])
            }
            ErasingValue::Constant(values) => {
                let rule =
                    format!("{} values for images {}; expected one a channel, or one", values.len(), images.shape());
                Err(Error::invalid("RandomErasing", rule))
            }
        })
    }
}

/// Sets a square of each image to 0, by DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
/// Cutout", 2017: its centre is any pixel, so a part of it may be outside.
#[derive(Clone, Copy, Debug)]
pub struct Cutout {
    length: usize,
}

impl Cutout {
    /// With the square's length; the paper takes 16 of CIFAR-10's 32 pixels.
    pub fn new(length: usize) -> Cutout {
        Cutout { length }
    }
}

impl Transform for Cutout {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let reach = self.length / 2;
        let span = |image: &mut Stream, size: usize| {
            let middle = image.below(size);
            let start = middle.saturating_sub(reach);
            [start, (middle + self.length - reach).min(size) - start]
        };
        let mut sizes = views.sizes().into_iter();
        let rectangles = draws.each(|image| {
            let [height, width] = sizes.next().unwrap_or_default();
            let ([top, rows], [left, columns]) = (span(image, height), span(image, width));
            [top, left, rows, columns]
        });
        erased(views, &rectangles, |images| Tensor::zeros(images.device(), &[1, 1, 1, 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{check, check_frequency, drawn};
    use super::*;

    /// Moments of 40,000 rectangles that torchvision 0.29 draws for images of 32 x 24 pixels.
    #[test]
    fn rectangles_are_torchvisions() {
        let erasing = RandomErasing::new(RandomErasingOptions::default().p(1.0)).unwrap();
        let rectangles = drawn(|image| erasing.rectangle(image, [32, 24]));
        let expected =
            [("top", 10.044, 6.878), ("left", 6.351, 4.844), ("height", 11.912, 5.498), ("width", 11.351, 4.886)];
        for (at, (what, mean, std)) in expected.into_iter().enumerate() {
            check(what, rectangles.iter().map(|rectangle| rectangle[at] as f64), mean, std);
        }
        check("area", rectangles.iter().map(|rectangle| (rectangle[2] * rectangle[3]) as f64), 131.43, 67.80);
        let some = RandomErasing::new(RandomErasingOptions::default().p(0.3)).unwrap();
        check_frequency("p", drawn(|image| some.rectangle(image, [32, 24])[2] > 0), 0.3);
    }
}
