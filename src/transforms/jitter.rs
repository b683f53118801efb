//! Brightness, contrast, saturation and hue, at random.

use super::colour::permuted;
use super::{Draws, Stream, Transform, Views, check_probability};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::ColourStep;
use crate::options::{As, options};

/// The range of a random number: an amount to either side of the middle, or between two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// From the middle minus the amount to the middle plus the amount.
    By(f64),
    /// From the first to the second.
    Between(f64, f64),
}

impl As<Option<Jitter>> for f64 {
    fn convert(self) -> Option<Jitter> {
        Some(Jitter::By(self))
    }
}

impl As<Option<Jitter>> for [f64; 2] {
    fn convert(self) -> Option<Jitter> {
        Some(Jitter::Between(self[0], self[1]))
    }
}

options! {
    /// Options of [`ColorJitter`]; properties that are left out are unchanged.
    #[derive(Clone, Copy, Debug, PartialEq)]
    ColorJitterOptions {
        /// Factors of [`adjust_brightness`](super::functional::adjust_brightness): `b` for those from `max(0, 1 - b)`
        /// to `1 + b`.
        brightness: Option<Jitter> = None,
        /// Factors of [`adjust_contrast`](super::functional::adjust_contrast).
        contrast: Option<Jitter> = None,
        /// Factors of [`adjust_saturation`](super::functional::adjust_saturation).
        saturation: Option<Jitter> = None,
        /// Parts of a turn for [`adjust_hue`](super::functional::adjust_hue): `h` for those from `-h` to `h`, at most 0.5.
        hue: Option<Jitter> = None,
    }

    /// Options of [`RandomPhotometricDistort`], with torchvision's defaults.
    #[derive(Clone, Copy, Debug, PartialEq)]
    RandomPhotometricDistortOptions {
        /// Least and largest factor of the brightness.
        brightness: [f64; 2] = [0.875, 1.125],
        /// Least and largest factor of the contrast.
        contrast: [f64; 2] = [0.5, 1.5],
        /// Least and largest factor of the saturation.
        saturation: [f64; 2] = [0.5, 1.5],
        /// Least and largest part of a turn of the hue.
        hue: [f64; 2] = [-0.05, 0.05],
        /// Probability of each of the changes.
        p: f64 = 0.5,
    }
}

type Range = Option<[f64; 2]>;

/// The range of a factor around 1, at least 0, or of a fraction of a turn around 0, at most half a turn.
fn range(op: &'static str, name: &str, jitter: Option<Jitter>, is_hue: bool) -> Result<Range> {
    let (middle, bounds) = if is_hue { (0.0, [-0.5, 0.5]) } else { (1.0, [0.0, f64::INFINITY]) };
    let [low, high] = match jitter {
        None => return Ok(None),
        Some(Jitter::By(by)) if by < 0.0 => {
            return Err(Error::invalid(op, format!("{name} is {by}; it must not be negative")));
        }
        Some(Jitter::By(by)) if is_hue => [-by, by],
        Some(Jitter::By(by)) => [(middle - by).max(0.0), middle + by],
        Some(Jitter::Between(low, high)) => [low, high],
    };
    let is_ordered = bounds[0] <= low && low <= high && high <= bounds[1];
    if !is_ordered || !high.is_finite() {
        let rule = format!("{name} from {low} to {high} must ascend and lie between {} and {}", bounds[0], bounds[1]);
        return Err(Error::invalid(op, rule));
    }
    Ok((low < high || low != middle).then_some([low, high]))
}

fn draw(image: &mut Stream, [low, high]: [f64; 2]) -> f32 {
    nearest(image.uniform(low, high))
}

/// Changes brightness, contrast, saturation and hue of each image by its own random numbers, in its own random order.
///
/// ```
/// use wgrad::transforms::{ColorJitter, ColorJitterOptions, Draws, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let jitter = ColorJitter::new(ColorJitterOptions::default().brightness(0.4).contrast(0.4).saturation(0.4).hue(0.1))?;
/// let mut views = Views::new(Tensor::rand(&Device::reference(), &[4, 3, 8, 8])?)?;
/// jitter.apply(&mut views, &mut Draws::new(0, 0, &[0, 1, 2, 3]))?;
/// assert_eq!(views.images()?.shape()[..], [4, 3, 8, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ColorJitter {
    brightness: Range,
    contrast: Range,
    saturation: Range,
    hue: Range,
}

impl ColorJitter {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for ranges that descend or reach below 0, and for hues past half a turn.
    pub fn new(options: ColorJitterOptions) -> Result<ColorJitter> {
        const OP: &str = "ColorJitter";
        Ok(ColorJitter {
            brightness: range(OP, "brightness", options.brightness, false)?,
            contrast: range(OP, "contrast", options.contrast, false)?,
            saturation: range(OP, "saturation", options.saturation, false)?,
            hue: range(OP, "hue", options.hue, true)?,
        })
    }

    fn steps(&self, image: &mut Stream) -> Vec<ColourStep> {
        let order = image.permutation(4);
        let steps = [
            self.brightness.map(|range| ColourStep::Brightness(draw(image, range))),
            self.contrast.map(|range| ColourStep::Contrast(draw(image, range))),
            self.saturation.map(|range| ColourStep::Saturation(draw(image, range))),
            self.hue.map(|range| ColourStep::Hue(draw(image, range))),
        ];
        order.into_iter().filter_map(|at| steps[at]).collect()
    }
}

impl Transform for ColorJitter {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.recolour(draws.each(|image| self.steps(image)))
    }
}

/// Brightness, contrast, saturation, hue and the order of the channels of each image changed, each with a probability, as Liu
/// et al. do for SSD ("SSD: Single Shot MultiBox Detector", 2016).
#[derive(Clone, Copy, Debug)]
pub struct RandomPhotometricDistort {
    options: RandomPhotometricDistortOptions,
}

impl RandomPhotometricDistort {
    /// From options.
    ///
    /// # Errors
    /// As [`ColorJitter::new`]; [`Error::Invalid`] for a probability that is not between 0 and 1.
    pub fn new(options: RandomPhotometricDistortOptions) -> Result<RandomPhotometricDistort> {
        const OP: &str = "RandomPhotometricDistort";
        let o = &options;
        for (name, [low, high]) in
            [("brightness", o.brightness), ("contrast", o.contrast), ("saturation", o.saturation), ("hue", o.hue)]
        {
            range(OP, name, Some(Jitter::Between(low, high)), name == "hue")?;
        }
        check_probability(OP, o.p)?;
        Ok(RandomPhotometricDistort { options })
    }

    fn steps(&self, image: &mut Stream, channels: usize) -> Vec<ColourStep> {
        let o = &self.options;
        let mut some = |range| {
            let (is_chosen, number) = (image.chance(o.p), draw(image, range));
            is_chosen.then_some(number)
        };
        let [brightness, contrast, saturation, hue] = [o.brightness, o.contrast, o.saturation, o.hue].map(&mut some);
        let contrast = contrast.map(ColourStep::Contrast);
        let is_before = image.chance(0.5);
        let permutation = if image.chance(o.p) { permuted(&image.permutation(channels)) } else { None };
        [
            brightness.map(ColourStep::Brightness),
            contrast.filter(|_| is_before),
            saturation.map(ColourStep::Saturation),
            hue.map(ColourStep::Hue),
            contrast.filter(|_| !is_before),
            permutation,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Transform for RandomPhotometricDistort {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let channels = views.channels();
        views.recolour(draws.each(|image| self.steps(image, channels)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{check, check_frequency, drawn};
    use super::*;

    /// Checks the mean and the deviation of numbers drawn evenly between two.
    fn check_even(what: &str, numbers: Vec<f32>, [low, high]: [f64; 2]) {
        assert!(numbers.iter().all(|&number| (low..=high).contains(&f64::from(number))), "{what}");
        check(what, numbers.into_iter().map(f64::from), (low + high) / 2.0, (high - low) / 12f64.sqrt());
    }

    #[test]
    fn jitter_draws_numbers_and_orders_evenly() {
        let options = ColorJitterOptions::default().brightness(0.4).contrast(1.5).saturation([0.2, 0.9]).hue(0.1);
        let jitter = ColorJitter::new(options).unwrap();
        let programs = drawn(|image| jitter.steps(image));
        let of =
            |number: fn(&ColourStep) -> Option<f32>| programs.iter().flatten().filter_map(number).collect::<Vec<_>>();
        check_even("brightness", of(|s| if let ColourStep::Brightness(x) = s { Some(*x) } else { None }), [0.6, 1.4]);
        check_even("contrast", of(|s| if let ColourStep::Contrast(x) = s { Some(*x) } else { None }), [0.0, 2.5]);
        check_even("saturation", of(|s| if let ColourStep::Saturation(x) = s { Some(*x) } else { None }), [0.2, 0.9]);
        check_even("hue", of(|s| if let ColourStep::Hue(x) = s { Some(*x) } else { None }), [-0.1, 0.1]);
        let mut counts = std::collections::HashMap::new();
        for program in &programs {
            let order: Vec<_> = program.iter().map(std::mem::discriminant).collect();
            *counts.entry(order).or_insert(0) += 1;
        }
        // 417 of each on average, with a deviation of 20.
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| (317..517).contains(count)), "{:?}", counts.values());
    }

    #[test]
    fn distortions_come_each_with_their_probability() {
        let options = RandomPhotometricDistortOptions::default().p(0.3);
        let distort = RandomPhotometricDistort::new(options).unwrap();
        let programs = drawn(|image| distort.steps(image, 3));
        let kinds: [fn(&ColourStep) -> bool; 5] = [
            |step| matches!(step, ColourStep::Brightness(_)),
            |step| matches!(step, ColourStep::Contrast(_)),
            |step| matches!(step, ColourStep::Saturation(_)),
            |step| matches!(step, ColourStep::Hue(_)),
            |step| matches!(step, ColourStep::Permute(_)),
        ];
        for (at, is_kind) in kinds.into_iter().enumerate() {
            check_frequency(&format!("kind {at}"), programs.iter().map(|steps| steps.iter().any(is_kind)), 0.3);
        }
        // If both occur, the contrast comes before the saturation as often as after it.
        let place = |steps: &Vec<ColourStep>, is_kind: fn(&ColourStep) -> bool| steps.iter().position(is_kind);
        let both = programs.iter().filter_map(|steps| Some(place(steps, kinds[1])? < place(steps, kinds[2])?));
        check_frequency("contrast before", both, 0.5);
    }

    #[test]
    fn ranges_are_checked() {
        let of = |options: ColorJitterOptions| ColorJitter::new(options);
        assert!(of(ColorJitterOptions::default().brightness(-0.1)).is_err());
        assert!(of(ColorJitterOptions::default().contrast([1.5, 0.5])).is_err());
        assert!(of(ColorJitterOptions::default().saturation([-0.5, 0.5])).is_err());
        assert!(of(ColorJitterOptions::default().hue(0.6)).is_err());
    }
}
