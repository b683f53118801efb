//! Numbers as arguments of transforms.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use std::ops::RangeInclusive;

/// A number for all images of a batch, or one for each.
///
/// ```
/// use wgrad::transforms::functional::adjust_brightness;
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let images = Tensor::full(&device, &[2, 1, 1, 1], 0.25f32)?;
/// assert_eq!(adjust_brightness(&images, 2.0)?.to_vec::<f32>()?, [0.5, 0.5]);
/// let factors = Tensor::from_slice(&device, &[1.0f32, 4.0], &[2])?;
/// assert_eq!(adjust_brightness(&images, &factors)?.to_vec::<f32>()?, [0.25, 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Numbers {
    /// One for all.
    All(f64),
    /// One for each, `[N]`. They are not checked, since that would wait for the device; numbers out of range give
    /// meaningless pixels.
    Each(Tensor),
}

impl From<f64> for Numbers {
    fn from(number: f64) -> Numbers {
        Numbers::All(number)
    }
}

impl From<&Tensor> for Numbers {
    fn from(numbers: &Tensor) -> Numbers {
        Numbers::Each(numbers.clone())
    }
}

impl Numbers {
    /// Rejects a number for all that is out of range.
    pub(super) fn check(&self, op: &'static str, name: &str, range: RangeInclusive<f64>) -> Result<()> {
        match self {
            Numbers::All(number) if !range.contains(number) => {
                let (low, high) = (range.start(), range.end());
                let rule =
                    if high.is_finite() { format!("between {low} and {high}") } else { format!("at least {low}") };
                Err(Error::invalid(op, format!("{name} is {number}; it must be {rule}")))
            }
            _ => Ok(()),
        }
    }

    /// The number for all; 0 if each image has its own.
    pub(super) fn all(&self) -> f32 {
        match self {
            Numbers::All(number) => nearest(*number),
            Numbers::Each(_) => 0.0,
        }
    }

    /// The numbers in a shape that broadcasts with images, `[N, 1, 1, 1]` or `[1, 1, 1, 1]`.
    pub(super) fn column(&self, op: &'static str, images: &Tensor) -> Result<Tensor> {
        match self {
            Numbers::All(_) => Tensor::full(images.device(), &[1, 1, 1, 1], self.all()),
            Numbers::Each(numbers) => {
                if numbers.shape()[..] != images.shape()[..1] {
                    let (numbers, images) = (numbers.shape(), images.shape());
                    return Err(Error::invalid(
                        op,
                        format!("expected a number for each of the images {images}; got {numbers}"),
                    ));
                }
                numbers.reshape(&[-1, 1, 1, 1])
            }
        }
    }
}
