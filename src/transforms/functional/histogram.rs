//! Values spread over their range, by channel.

use super::colour::{check_channels, step};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::ColourStep;

/// Each channel of each image stretched, so that its least value becomes 0 and its largest the largest possible one.
/// Channels of one value stay. No gradient.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for images that are not `[N, C, H, W]` of 1 or 3 channels;
/// [`Error::WrongDType`](crate::Error::WrongDType) for types other than f32 and i32.
///
/// ```
/// use wgrad::transforms::functional::autocontrast;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[100, 150, 200], &[1, 1, 1, 3])?;
/// assert_eq!(autocontrast(&images)?.to_vec::<i32>()?, [0, 127, 255]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn autocontrast(images: &Tensor) -> Result<Tensor> {
    const OP: &str = "autocontrast";
    check_channels(OP, images)?;
    step(OP, images, ColourStep::Autocontrast, &[])
}

/// Each channel of each image equalized by the histogram of its bytes, so that all values become about equally
/// frequent, as in Pillow; floats are rounded down to 256 levels. No gradient.
///
/// # Errors
/// As [`autocontrast`], for any number of channels.
///
/// ```
/// use wgrad::transforms::functional::equalize;
/// use wgrad::{Device, Tensor};
/// let values: Vec<i32> = (0..1024).map(|at| at / 16).collect();
/// let images = Tensor::from_slice(&Device::reference(), &values, &[1, 1, 32, 32])?;
/// assert_eq!(equalize(&images)?.to_vec::<i32>()?[1008..], [255; 16]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn equalize(images: &Tensor) -> Result<Tensor> {
    step("equalize", images, ColourStep::Equalize, &[])
}
