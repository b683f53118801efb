//! Evenly drawn operations.

use super::operation::{Applied, Moves, carry_out};
use super::space::{OPERATIONS, USUAL, WIDE};
use crate::error::{Error, Result};
use crate::options::options;
use crate::transforms::functional::InterpolationMode;
use crate::transforms::{Draws, Stream, Transform, Views};

options! {
    /// Options of [`RandAugment`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    RandAugmentOptions {
        /// Operations per image.
        num_ops: usize = 2,
        /// Their strength: a step below `num_magnitude_bins`.
        magnitude: usize = 9,
        /// Steps from the weakest to the strongest.
        num_magnitude_bins: usize = 31,
        /// Interpolation of moved pixels.
        interpolation: InterpolationMode = InterpolationMode::Nearest,
        /// Values past the edges of moved images: one number, or one per channel. Zeros if left out.
        fill: Option<Vec<f32>> = None,
    }

    /// Options of [`TrivialAugmentWide`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    TrivialAugmentWideOptions {
        /// Steps from the weakest to the strongest.
        num_magnitude_bins: usize = 31,
        /// As [`RandAugmentOptions::interpolation`].
        interpolation: InterpolationMode = InterpolationMode::Nearest,
        /// As [`RandAugmentOptions::fill`].
        fill: Option<Vec<f32>> = None,
    }
}

/// Applies some random operations to each image, all of one strength, by Cubuk et al., "RandAugment: Practical automated data
/// augmentation with a reduced search space", 2019.
///
/// An operation is one of 14, each equally likely: shears, translations, rotation, brightness, saturation, contrast,
/// sharpness, posterize, solarize, autocontrast, equalize, and none.
///
/// ```
/// use wgrad::transforms::{Draws, RandAugment, RandAugmentOptions, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let augment = RandAugment::new(RandAugmentOptions::default().magnitude(15))?;
/// let mut views = Views::new(Tensor::rand(&Device::reference(), &[4, 3, 8, 8])?)?;
/// augment.apply(&mut views, &mut Draws::new(0, 0, &[0, 1, 2, 3]))?;
/// assert_eq!(views.images()?.shape()[..], [4, 3, 8, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandAugment {
    num_ops: usize,
    bin: [usize; 2],
    moves: Moves,
}

impl RandAugment {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the magnitude is not below the number of steps.
    pub fn new(options: RandAugmentOptions) -> Result<RandAugment> {
        let RandAugmentOptions { num_ops, magnitude, num_magnitude_bins, interpolation, fill } = options;
        if magnitude >= num_magnitude_bins {
            let rule = format!("magnitude is {magnitude}; it must be below the number of steps, {num_magnitude_bins}");
            return Err(Error::invalid("RandAugment", rule));
        }
        Ok(RandAugment { num_ops, bin: [magnitude, num_magnitude_bins], moves: Moves { interpolation, fill } })
    }

    fn draw(&self, image: &mut Stream, size: [usize; 2]) -> Applied {
        let operation = OPERATIONS[image.below(OPERATIONS.len())];
        USUAL.applied(image, operation, self.bin, size)
    }
}

impl Transform for RandAugment {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.images_alone("RandAugment")?;
        views.one_size("RandAugment")?;
        let size = views.size();
        for _ in 0..self.num_ops {
            carry_out(views, &draws.each(|image| self.draw(image, size)), &self.moves)?;
        }
        Ok(())
    }
}

/// Applies one random operation to each image, of any strength, by Müller and Hutter, "TrivialAugment: Tuning-free Yet
/// State-of-the-Art Data Augmentation", 2021. The operations are those of [`RandAugment`], over wider ranges of strength.
///
/// ```
/// use wgrad::transforms::{Draws, Transform, TrivialAugmentWide, TrivialAugmentWideOptions, Views};
/// use wgrad::{Device, Tensor};
/// let augment = TrivialAugmentWide::new(TrivialAugmentWideOptions::default())?;
/// let mut views = Views::new(Tensor::rand(&Device::reference(), &[4, 3, 8, 8])?)?;
/// augment.apply(&mut views, &mut Draws::new(0, 0, &[0, 1, 2, 3]))?;
/// assert_eq!(views.images()?.shape()[..], [4, 3, 8, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrivialAugmentWide {
    bins: usize,
    moves: Moves,
}

impl TrivialAugmentWide {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no steps.
    pub fn new(options: TrivialAugmentWideOptions) -> Result<TrivialAugmentWide> {
        let TrivialAugmentWideOptions { num_magnitude_bins, interpolation, fill } = options;
        if num_magnitude_bins == 0 {
            return Err(Error::invalid("TrivialAugmentWide", "num_magnitude_bins is 0; there must be a step"));
        }
        Ok(TrivialAugmentWide { bins: num_magnitude_bins, moves: Moves { interpolation, fill } })
    }

    fn draw(&self, image: &mut Stream, size: [usize; 2]) -> Applied {
        let operation = OPERATIONS[image.below(OPERATIONS.len())];
        let bin = image.below(self.bins);
        WIDE.applied(image, operation, [bin, self.bins], size)
    }
}

impl Transform for TrivialAugmentWide {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.images_alone("TrivialAugmentWide")?;
        views.one_size("TrivialAugmentWide")?;
        let size = views.size();
        carry_out(views, &draws.each(|image| self.draw(image, size)), &self.moves)
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::Operation::*;
    use super::*;
    use crate::transforms::moments::{check, check_frequency, drawn};

    #[test]
    fn operations_are_as_likely_as_one_another_and_so_are_signs() {
        let augment = RandAugment::new(RandAugmentOptions::default()).unwrap();
        let applied = drawn(|image| augment.draw(image, [100, 200]));
        for operation in OPERATIONS {
            check_frequency(&format!("{operation:?}"), applied.iter().map(|one| one.0 == operation), 1.0 / 14.0);
        }
        // Step 9 of 30, in both directions.
        for (operation, size) in
            [(ShearX, 0.09), (TranslateX, 0.3 * 150.0 / 331.0 * 200.0), (Rotate, 9.0), (Color, 0.27)]
        {
            let magnitudes = applied.iter().filter(|one| one.0 == operation).map(|one| one.1);
            check(&format!("{operation:?}"), magnitudes, 0.0, size);
        }
        assert!(applied.iter().filter(|one| one.0 == Solarize).all(|one| one.1 == 0.7));
    }

    /// Steps are drawn evenly: magnitudes are even between the largest in both directions, with a slightly larger
    /// spread than usual.
    #[test]
    fn trivial_augment_draws_any_strength() {
        let augment = TrivialAugmentWide::new(TrivialAugmentWideOptions::default()).unwrap();
        let applied = drawn(|image| augment.draw(image, [100, 200]));
        let spread = (0..31).map(|bin| (f64::from(bin) / 30.0).powi(2)).sum::<f64>() / 31.0;
        for (operation, largest) in [(ShearY, 0.99), (TranslateY, 32.0), (Rotate, 135.0), (Contrast, 0.99)] {
            let magnitudes = applied.iter().filter(|one| one.0 == operation).map(|one| one.1);
            check(&format!("{operation:?}"), magnitudes, 0.0, largest * spread.sqrt());
        }
        let solarized = applied.iter().filter(|one| one.0 == Solarize).map(|one| one.1);
        check("Solarize", solarized, 0.5, (spread - 0.25).sqrt());
    }
}
