//! Transforms of images `[N, C, H, W]` by given numbers: `torchvision.transforms.v2.functional`.
//!
//! Images are f32 between 0 and 1, or i32 that hold bytes and are rounded after each transform. Numbers are one for all
//! images or one for each. Gradients flow through transforms that move pixels or add up neighbours, not through those
//! of colours.

mod blur;
mod colour;
mod crop;
mod histogram;
mod misc;
mod numbers;
mod size;
mod warp;

pub use super::maps::{AffineNumbers, Corners};
pub(super) use blur::add_noise;
pub use blur::{adjust_sharpness, gaussian_blur, gaussian_noise};
pub use colour::{
    adjust_brightness, adjust_contrast, adjust_gamma, adjust_hue, adjust_saturation, invert, permute_channels,
    posterize, rgb_to_grayscale, solarize,
};
use crop::crop_one;
pub use crop::{PaddingMode, Region, center_crop, crop, five_crop, horizontal_flip, pad, ten_crop, vertical_flip};
pub use histogram::{autocontrast, equalize};
pub use misc::{Rectangle, erase, normalize, to_dtype};
pub use numbers::Numbers;
pub(in crate::transforms) use size::widened;
pub use size::{ImageSize, InterpolationMode, ResizeOptions, resize, resized_crop};
pub(in crate::transforms) use warp::spread;
pub use warp::{RotateOptions, WarpOptions, affine, elastic, perspective, rotate};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;

/// The sizes of a batch of images.
fn is_images(op: &'static str, images: &Tensor) -> Result<[usize; 4]> {
    let &[count, channels, height, width] = &images.shape()[..] else {
        return Err(Error::invalid(op, format!("expected images [N, C, H, W]; got {}", images.shape())));
    };
    if !matches!(images.dtype(), DType::F32 | DType::I32) {
        return Err(Error::WrongDType { op, expected: "f32 or i32", got: images.dtype() });
    }
    Ok([count, channels, height, width])
}

/// The number of each image: the only one, or its own.
fn each<T: Copy>(op: &'static str, numbers: &[T], count: usize) -> Result<impl Fn(usize) -> T> {
    if numbers.len() != 1 && numbers.len() != count {
        return Err(Error::invalid(op, format!("numbers for {} images, of {count}", numbers.len())));
    }
    Ok(move |image: usize| if numbers.len() == 1 { numbers[0] } else { numbers[image] })
}
