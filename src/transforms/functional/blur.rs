//! Each pixel mixed with its neighbours.

use super::colour::check_channels;
use super::{Numbers, is_images};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{Conv2dOptions, PadMode};
use crate::options::As;

/// Images convolved with a Gaussian, with reflected borders.
///
/// The weight at distance `x` from the middle is proportional to `exp(-x^2 / (2 sigma^2))`, in each of the two
/// directions. `kernel_size` and `sigma` are given for x and y; sigma defaults to `0.15 kernel_size + 0.35`. Bytes are
/// rounded.
///
/// # Errors
/// [`Error::Invalid`] for an even kernel size, a sigma that is not positive, and images that are not `[N, C, H, W]` or
/// smaller than half of the kernel; [`Error::WrongDType`] for types other than f32 and i32.
///
/// ```
/// use wgrad::transforms::functional::gaussian_blur;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0, 0, 255, 0, 0], &[1, 1, 1, 5])?;
/// assert_eq!(gaussian_blur(&images, [3, 1], Some([1.0.into(), 1.0.into()]))?.to_vec::<i32>()?, [0, 70, 115, 70, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn gaussian_blur(images: &Tensor, kernel_size: impl As<[usize; 2]>, sigma: Option<[Numbers; 2]>) -> Result<Tensor> {
    const OP: &str = "gaussian_blur";
    is_images(OP, images)?;
    let kernel_size = kernel_size.convert();
    if kernel_size.iter().any(|size| size % 2 == 0) {
        return Err(Error::invalid(OP, format!("the kernel's sizes {kernel_size:?} must be odd")));
    }
    let [x, y] = kernel_size.map(|size| nearest::<isize>(size / 2));
    let padded = images.to_dtype(DType::F32)?.pad(&[x, x, y, y], PadMode::Reflect)?;
    let sigma = sigma.unwrap_or(kernel_size.map(|size| Numbers::All(0.15 * size as f64 + 0.35)));
    let [along_x, along_y] = [0, 1].map(|axis| {
        let Numbers::All(number) = sigma[axis] else { return gaussian(images, kernel_size[axis], &sigma[axis]) };
        if number.is_nan() || number <= 0.0 {
            return Err(Error::invalid(OP, format!("sigma is {number}; it must be positive")));
        }
        gaussian(images, kernel_size[axis], &sigma[axis])
    });
    let blurred = padded.correlate1d(&along_x?, 3)?.correlate1d(&along_y?, 2)?;
    if images.dtype().is_float() { Ok(blurred) } else { blurred.round()?.to_dtype(images.dtype()) }
}

/// The weights of a Gaussian for each image, `[N, size]` or `[1, size]`.
fn gaussian(images: &Tensor, size: usize, sigma: &Numbers) -> Result<Tensor> {
    // Distances in units of sigma times the root of 2.
    let distance = |at: usize| (at as f64 - (size - 1) as f64 / 2.0) * std::f64::consts::FRAC_1_SQRT_2;
    let distances: Vec<f64> = (0..size).map(distance).collect();
    let distances = Tensor::from_f64(images.device(), &distances, &[1, size])?;
    let sigma = sigma.column("gaussian_blur", images)?.reshape(&[-1, 1])?;
    distances.div(&sigma)?.square()?.neg()?.softmax(1)
}

/// Images blurred or sharpened: 0 gives the image blurred by the kernel `[[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13`, 1 the
/// image itself, a larger factor a sharper one: `output = clamp(blurred + factor (images - blurred))`. The outermost
/// pixels stay, and so do images of fewer than three rows or columns.
///
/// # Errors
/// [`Error::Invalid`] for a negative factor, and for images that are not `[N, C, H, W]` of 1 or 3 channels;
/// [`Error::WrongDType`] for types other than f32 and i32.
///
/// ```
/// use wgrad::transforms::functional::adjust_sharpness;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0, 0, 0, 0, 130, 0, 0, 0, 0], &[1, 1, 3, 3])?;
/// assert_eq!(adjust_sharpness(&images, 0.0)?.to_vec::<i32>()?[4], 50);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn adjust_sharpness(images: &Tensor, sharpness_factor: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "adjust_sharpness";
    let factor = sharpness_factor.into();
    factor.check(OP, "sharpness_factor", 0.0..=f64::INFINITY)?;
    check_channels(OP, images)?;
    let [channels, height, width] = [1, 2, 3].map(|dim| images.shape()[dim]);
    if height <= 2 || width <= 2 {
        return Ok(images.clone());
    }
    let x = images.to_dtype(DType::F32)?;
    let weights: Vec<f64> = (0..9 * channels).map(|at| if at % 9 == 4 { 5.0 / 13.0 } else { 1.0 / 13.0 }).collect();
    let weights = Tensor::from_f64(images.device(), &weights, &[channels, 1, 3, 3])?;
    let mut blurred = x.conv2d(&weights, None, &Conv2dOptions::default().groups(channels))?;
    if !images.dtype().is_float() {
        blurred = blurred.round()?;
    }
    let inner = x.narrow(2, 1, height - 2)?.narrow(3, 1, width - 2)?;
    let share = factor.column(OP, images)?.neg()?.add_scalar(1.0)?;
    let change = blurred.sub(&inner)?.mul(&share)?.pad(&[1, 1, 1, 1], PadMode::Constant(0.0))?;
    if images.dtype().is_float() {
        return x.add(&change)?.clamp(Some(0.0), Some(1.0));
    }
    x.add(&change)?.clamp(Some(0.0), Some(255.0))?.to_dtype(images.dtype())
}

/// Images with normally distributed noise from the device's random stream: `output = images + mean + sigma * noise`,
/// between 0 and 1 where `clip` is set. For bytes, mean and sigma are multiplied by 255, and noise is cut to whole
/// numbers.
///
/// # Errors
/// As [`gaussian_blur`]; [`Error::Invalid`] for a negative sigma.
///
/// ```
/// use wgrad::transforms::functional::gaussian_noise;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::full(&Device::reference(), &[1, 1, 2, 2], 0.5f32)?;
/// assert_eq!(gaussian_noise(&images, 0.25, 0.0, true)?.to_vec::<f32>()?, [0.75; 4]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn gaussian_noise(
    images: &Tensor,
    mean: impl Into<Numbers>,
    sigma: impl Into<Numbers>,
    clip: bool,
) -> Result<Tensor> {
    const OP: &str = "gaussian_noise";
    is_images(OP, images)?;
    let (mean, sigma) = (mean.into(), sigma.into());
    sigma.check(OP, "sigma", 0.0..=f64::INFINITY)?;
    let noise = Tensor::randn(images.device(), images.shape())?;
    let noise = noise.mul(&sigma.column(OP, images)?)?.add(&mean.column(OP, images)?)?;
    add_noise(images, &noise, clip)
}

/// Adds noise, in units of the images' range.
pub(in crate::transforms) fn add_noise(images: &Tensor, noise: &Tensor, clip: bool) -> Result<Tensor> {
    let is_float = images.dtype().is_float();
    let noisy = match is_float {
        true => images.add(noise)?,
        false => images.to_dtype(DType::F32)?.add(&noise.mul_scalar(255.0)?.trunc()?)?,
    };
    let bound = if is_float { 1.0 } else { 255.0 };
    let noisy = if clip { noisy.clamp(Some(0.0), Some(bound))? } else { noisy };
    noisy.to_dtype(images.dtype())
}
