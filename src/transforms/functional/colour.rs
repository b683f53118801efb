//! Colours changed pixel by pixel.
//!
//! Each function is a program of one step, without a gradient.

use super::{Numbers, is_images};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::ColourStep;

/// Rejects images with neither one channel nor three.
pub(super) fn check_channels(op: &'static str, images: &Tensor) -> Result<()> {
    is_images(op, images)?;
    match images.shape()[1] {
        1 | 3 => Ok(()),
        _ => Err(Error::invalid(op, format!("images have 1 or 3 channels; got {}", images.shape()))),
    }
}

/// Images after one step, with the same numbers for all, or with those of each image if `numbers` is a tensor.
pub(super) fn step(op: &'static str, images: &Tensor, step: ColourStep, numbers: &[&Numbers]) -> Result<Tensor> {
    is_images(op, images)?;
    let mut program = Tensor::from_slice(images.device(), &step.words(), &[1, 1, 4])?;
    for (place, numbers) in numbers.iter().enumerate() {
        if let Numbers::Each(_) = numbers {
            let mut unit = [0.0f32; 4];
            unit[place + 1] = 1.0;
            let unit = Tensor::from_slice(images.device(), &unit, &[1, 1, 4])?;
            program = program.add(&numbers.column(op, images)?.squeeze(-1)?.mul(&unit)?)?;
        }
    }
    images.recolour(&program, usize::from(step.needs_statistic()))
}

/// Values times a factor: 0 gives black, 1 the images themselves.
///
/// `output = clamp(factor * images)`.
///
/// # Errors
/// [`Error::Invalid`] for a negative factor, and for images that are not `[N, C, H, W]` of 1 or 3 channels;
/// [`Error::WrongDType`] for types other than f32 and i32.
///
/// ```
/// use wgrad::transforms::functional::adjust_brightness;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[100, 200], &[1, 1, 1, 2])?;
/// assert_eq!(adjust_brightness(&images, 1.5)?.to_vec::<i32>()?, [150, 255]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn adjust_brightness(images: &Tensor, brightness_factor: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "adjust_brightness";
    let factor = brightness_factor.into();
    factor.check(OP, "brightness_factor", 0.0..=f64::INFINITY)?;
    check_channels(OP, images)?;
    step(OP, images, ColourStep::Brightness(factor.all()), &[&factor])
}

/// Distances from the mean of an image's grey values times a factor: 0 gives grey images, 1 the images themselves.
///
/// `output = clamp(factor * images + (1 - factor) * mean(gray(images)))`.
///
/// # Errors
/// As [`adjust_brightness`].
///
/// ```
/// use wgrad::transforms::functional::adjust_contrast;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[100, 200], &[1, 1, 1, 2])?;
/// assert_eq!(adjust_contrast(&images, 0.5)?.to_vec::<i32>()?, [125, 175]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn adjust_contrast(images: &Tensor, contrast_factor: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "adjust_contrast";
    let factor = contrast_factor.into();
    factor.check(OP, "contrast_factor", 0.0..=f64::INFINITY)?;
    check_channels(OP, images)?;
    step(OP, images, ColourStep::Contrast(factor.all()), &[&factor])
}

/// Distances from a pixel's grey value times a factor: 0 gives grey images, 1 the images themselves.
///
/// `output = clamp(factor * images + (1 - factor) * gray(images))`; images of one channel stay.
///
/// # Errors
/// As [`adjust_brightness`].
///
/// ```
/// use wgrad::transforms::functional::adjust_saturation;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[255, 0, 0], &[1, 3, 1, 1])?;
/// assert_eq!(adjust_saturation(&images, 0.5)?.to_vec::<i32>()?, [165, 38, 38]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn adjust_saturation(images: &Tensor, saturation_factor: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "adjust_saturation";
    let factor = saturation_factor.into();
    factor.check(OP, "saturation_factor", 0.0..=f64::INFINITY)?;
    check_channels(OP, images)?;
    step(OP, images, ColourStep::Saturation(factor.all()), &[&factor])
}

/// Colours rotated on the wheel of hues, by a fraction of a turn from -0.5 to 0.5. Images of one channel are unchanged.
///
/// # Errors
/// As [`adjust_brightness`].
///
/// ```
/// use wgrad::transforms::functional::adjust_hue;
/// use wgrad::{Device, Tensor};
/// // A third of a turn leads from red to green.
/// let images = Tensor::from_slice(&Device::reference(), &[255, 0, 0], &[1, 3, 1, 1])?;
/// assert_eq!(adjust_hue(&images, 1.0 / 3.0)?.to_vec::<i32>()?, [0, 255, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn adjust_hue(images: &Tensor, hue_factor: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "adjust_hue";
    let factor = hue_factor.into();
    factor.check(OP, "hue_factor", -0.5..=0.5)?;
    check_channels(OP, images)?;
    step(OP, images, ColourStep::Hue(factor.all()), &[&factor])
}

/// `output = gain * images^gamma` of values from 0 to 1, clamped where `gain` is not 1.
///
/// # Errors
/// As [`adjust_brightness`], for any number of channels.
///
/// ```
/// use wgrad::transforms::functional::adjust_gamma;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0.5f32, 1.0], &[1, 1, 1, 2])?;
/// assert_eq!(adjust_gamma(&images, 2.0, 0.5)?.to_vec::<f32>()?, [0.125, 0.5]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn adjust_gamma(images: &Tensor, gamma: impl Into<Numbers>, gain: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "adjust_gamma";
    let (gamma, gain) = (gamma.into(), gain.into());
    gamma.check(OP, "gamma", 0.0..=f64::INFINITY)?;
    step(OP, images, ColourStep::Gamma { gamma: gamma.all(), gain: gain.all() }, &[&gamma, &gain])
}

/// The grey values of images of three channels, `0.2989 r + 0.587 g + 0.114 b`, in one channel or in three equal ones. Images
/// of one channel are grey.
///
/// # Errors
/// As [`adjust_brightness`]; [`Error::Invalid`] for another number of channels.
///
/// ```
/// use wgrad::transforms::functional::rgb_to_grayscale;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[255, 0, 0], &[1, 3, 1, 1])?;
/// assert_eq!(rgb_to_grayscale(&images, 1)?.to_vec::<i32>()?, [76]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn rgb_to_grayscale(images: &Tensor, num_output_channels: usize) -> Result<Tensor> {
    const OP: &str = "rgb_to_grayscale";
    check_channels(OP, images)?;
    match (images.shape()[1], num_output_channels) {
        (3, 3) => step(OP, images, ColourStep::Grayscale, &[]),
        (3, 1) => step(OP, images, ColourStep::Grayscale, &[])?.narrow(1, 0, 1),
        (_, 1) => Ok(images.clone()),
        (_, 3) => Tensor::cat(&[images; 3], 1),
        _ => Err(Error::invalid(OP, format!("num_output_channels is {num_output_channels}; it must be 1 or 3"))),
    }
}

/// The largest value minus each value.
///
/// # Errors
/// As [`adjust_brightness`], for any number of channels.
///
/// ```
/// use wgrad::transforms::functional::invert;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0, 200], &[1, 1, 1, 2])?;
/// assert_eq!(invert(&images)?.to_vec::<i32>()?, [255, 55]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn invert(images: &Tensor) -> Result<Tensor> {
    step("invert", images, ColourStep::Invert, &[])
}

/// The highest bits of each value, 0 to 8 of them.
///
/// # Errors
/// As [`adjust_brightness`], for any number of channels; [`Error::Invalid`] for another number of bits.
///
/// ```
/// use wgrad::transforms::functional::posterize;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[100, 200], &[1, 1, 1, 2])?;
/// assert_eq!(posterize(&images, 1.0)?.to_vec::<i32>()?, [0, 128]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn posterize(images: &Tensor, bits: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "posterize";
    let bits = bits.into();
    bits.check(OP, "bits", 0.0..=8.0)?;
    if bits.all().fract() != 0.0 {
        return Err(Error::invalid(OP, format!("bits is {}; it must be a whole number", bits.all())));
    }
    step(OP, images, ColourStep::Posterize(bits.all()), &[&bits])
}

/// Images with values at or above a threshold inverted.
///
/// # Errors
/// As [`adjust_brightness`], for any number of channels; [`Error::Invalid`] for a threshold past the largest value.
///
/// ```
/// use wgrad::transforms::functional::solarize;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[100, 200], &[1, 1, 1, 2])?;
/// assert_eq!(solarize(&images, 128.0)?.to_vec::<i32>()?, [100, 55]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn solarize(images: &Tensor, threshold: impl Into<Numbers>) -> Result<Tensor> {
    const OP: &str = "solarize";
    let threshold = threshold.into();
    let bound = if images.dtype().is_float() { 1.0 } else { 255.0 };
    threshold.check(OP, "threshold", f64::NEG_INFINITY..=bound)?;
    step(OP, images, ColourStep::Solarize(threshold.all()), &[&threshold])
}

/// The channels in another order: output channel `c` is input channel `permutation[c]`.
///
/// # Errors
/// As [`adjust_brightness`], for any number of channels; [`Error::Invalid`] if `permutation` does not name each of them once.
///
/// ```
/// use wgrad::transforms::functional::permute_channels;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[10, 20, 30], &[1, 3, 1, 1])?;
/// assert_eq!(permute_channels(&images, &[2, 0, 1])?.to_vec::<i32>()?, [30, 10, 20]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn permute_channels(images: &Tensor, permutation: &[usize]) -> Result<Tensor> {
    const OP: &str = "permute_channels";
    is_images(OP, images)?;
    let mut sorted = permutation.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..images.shape()[1]) {
        let rule = format!("{permutation:?} does not name each channel of {} once", images.shape());
        return Err(Error::invalid(OP, rule));
    }
    let channels: Vec<i32> = permutation.iter().map(|&channel| crate::number::nearest(channel)).collect();
    images.index_select(1, &Tensor::from_slice(images.device(), &channels, &[channels.len()])?)
}
