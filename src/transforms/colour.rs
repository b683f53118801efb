//! Colours changed with a probability.

use super::{Draws, Transform, Views, check_probability};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::ColourStep;

/// A step that each image gets with probability `p`.
fn some(draws: &mut Draws, p: f64, step: ColourStep) -> Vec<Vec<ColourStep>> {
    draws.each(|image| if image.chance(p) { vec![step] } else { Vec::new() })
}

/// A transform of one step without numbers.
macro_rules! by_chance {
    ($($(#[$about:meta])* $name:ident $default:literal $step:expr;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            p: f64,
        }

        impl $name {
            #[doc = concat!("With a probability; torchvision's default is ", $default, ".")]
            ///
            /// # Errors
            /// [`Error::Invalid`] if it is not between 0 and 1.
            pub fn new(p: f64) -> Result<$name> {
                Ok($name { p: check_probability(stringify!($name), p)? })
            }
        }

        impl Transform for $name {
            fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
                views.recolour(some(draws, self.p, $step))
            }
        }
    )*};
}

by_chance! {
    /// Each image inverted with probability `p`; see [`invert`](super::functional::invert).
    RandomInvert "0.5" ColourStep::Invert;
    /// Each image equalized with probability `p`; see [`equalize`](super::functional::equalize).
    RandomEqualize "0.5" ColourStep::Equalize;
    /// The contrast of each image stretched with probability `p`; see [`autocontrast`](super::functional::autocontrast).
    RandomAutocontrast "0.5" ColourStep::Autocontrast;
    /// Each image grey with probability `p`, in as many channels as before; see
    /// [`rgb_to_grayscale`](super::functional::rgb_to_grayscale).
    RandomGrayscale "0.1" ColourStep::Grayscale;
}

/// Each image reduced to fewer bits with probability `p`; see [`posterize`](super::functional::posterize).
#[derive(Clone, Copy, Debug)]
pub struct RandomPosterize {
    bits: f32,
    p: f64,
}

impl RandomPosterize {
    /// With a number of bits and a probability; torchvision's default is 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 8 bits, and a probability that is not between 0 and 1.
    pub fn new(bits: usize, p: f64) -> Result<RandomPosterize> {
        const OP: &str = "RandomPosterize";
        if bits > 8 {
            return Err(Error::invalid(OP, format!("bits is {bits}; a byte has 8")));
        }
        Ok(RandomPosterize { bits: nearest(bits as f64), p: check_probability(OP, p)? })
    }
}

impl Transform for RandomPosterize {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.recolour(some(draws, self.p, ColourStep::Posterize(self.bits)))
    }
}

/// Each image with its values at or above a threshold inverted, with probability `p`; see
/// [`solarize`](super::functional::solarize).
#[derive(Clone, Copy, Debug)]
pub struct RandomSolarize {
    threshold: f32,
    p: f64,
}

impl RandomSolarize {
    /// With a threshold, in 0 to 1 for images of floats and in 0 to 255 for bytes, and a probability; torchvision's default is
    /// 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the probability is not between 0 and 1, or the threshold is not a number.
    pub fn new(threshold: f64, p: f64) -> Result<RandomSolarize> {
        const OP: &str = "RandomSolarize";
        if threshold.is_nan() {
            return Err(Error::invalid(OP, "the threshold is no number"));
        }
        Ok(RandomSolarize { threshold: nearest(threshold), p: check_probability(OP, p)? })
    }
}

impl Transform for RandomSolarize {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.recolour(some(draws, self.p, ColourStep::Solarize(self.threshold)))
    }
}

/// The channels of each image in a random order.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomChannelPermutation;

impl RandomChannelPermutation {
    /// For images of any number of channels.
    pub fn new() -> RandomChannelPermutation {
        RandomChannelPermutation
    }
}

impl Transform for RandomChannelPermutation {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let channels = views.channels();
        let orders = draws.each(|image| image.permutation(channels));
        if let Some(steps) = orders.iter().map(|order| permuted(order)).collect::<Option<Vec<_>>>() {
            return views.recolour(steps.into_iter().map(|step| vec![step]).collect());
        }
        // Planes of all images, in the order in which they are taken.
        let from = orders.iter().enumerate().flat_map(|(image, order)| order.iter().map(move |c| image * channels + c));
        let from: Vec<i32> = from.map(nearest).collect();
        views.change_images(|images| {
            let from = crate::Tensor::from_slice(images.device(), &from, &[from.len()])?;
            images.flatten(0, 1)?.index_select(0, &from)?.reshape_to(*images.shape())
        })
    }
}

/// The step that puts three channels in an order.
pub(super) fn permuted(order: &[usize]) -> Option<ColourStep> {
    match *order {
        [x, y, z] => Some(ColourStep::Permute([x, y, z].map(|channel| nearest(channel as f64)))),
        _ => None,
    }
}
