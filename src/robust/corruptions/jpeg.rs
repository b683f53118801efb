//! The JPEG codec, without its coding of bits, which loses nothing.

use super::Severity;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{AvgPool2dOptions, InterpolateMode, InterpolateOptions, PadMode};
use crate::shape::Shape;

const BLOCK: usize = 8;

/// The quantization of brightness at quality 50, of the standard's annex K.
const LUMINANCE: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// The same of colours.
const CHROMINANCE: [u16; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

pub(super) fn by_severity(images: &Tensor, severity: Severity) -> Result<Tensor> {
    jpeg_compression(images, severity.of([25, 18, 15, 10, 7], [80, 65, 58, 50, 40]))
}

/// Images as a JPEG codec leaves them, at a quality from 1 to 100: converts bytes to YCbCr colours, with Cb and Cr of half the
/// size, takes the DCT in blocks of 8 x 8, divides by the quantization tables of libjpeg at this quality, rounds, and goes all
/// the way back. Images of one channel have brightness alone. Results are bytes divided by 255; they differ from libjpeg's by the
/// roundings of its integer DCT. There is no gradient through the roundings.
///
/// # Errors
/// [`Error::Invalid`] for qualities out of range, and images that are not `[N, C, H, W]` of 1 or 3 channels.
///
/// ```
/// use wgrad::robust::jpeg_compression;
/// use wgrad::{Device, Tensor};
/// let grey = Tensor::full(&Device::reference(), &[1, 3, 9, 9], 0.5f32)?;
/// assert_eq!(jpeg_compression(&grey, 75)?.amax_all()?.item::<f32>()?, 128.0 / 255.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn jpeg_compression(images: &Tensor, quality: usize) -> Result<Tensor> {
    const OP: &str = "jpeg_compression";
    let &[_, channels @ (1 | 3), height, width] = &images.shape()[..] else {
        return Err(Error::invalid(OP, format!("images {}; expected [N, C, H, W] of 1 or 3 channels", images.shape())));
    };
    if !(1..=100).contains(&quality) {
        return Err(Error::invalid(OP, format!("the quality {quality} is not between 1 and 100")));
    }
    let bytes = (images * 255.0)?.round()?;
    let decoded = if channels == 1 {
        coded(&bytes, &LUMINANCE, quality)?
    } else {
        let colours = mixed(&bytes, &TO_YCBCR)?;
        let bright = coded(&colours.narrow(1, 0, 1)?.round()?, &LUMINANCE, quality)?;
        let small = halved(&(colours.narrow(1, 1, 2)? + 128.0)?.round()?)?;
        let small = coded(&small, &CHROMINANCE, quality)?;
        // Pixels past the edge have no part in the interpolation.
        let small = small.narrow(2, 0, height.div_ceil(2))?.narrow(3, 0, width.div_ceil(2))?;
        let double = InterpolateOptions::default().scale_factor([2.0, 2.0]).mode(InterpolateMode::Bilinear);
        let colour = (small.interpolate(&double)?.round()? - 128.0)?;
        let [bright, colour] = [bright, colour].map(|part| part.narrow(2, 0, height)?.narrow(3, 0, width));
        mixed(&Tensor::cat(&[&bright?, &colour?], 1)?, &FROM_YCBCR)?
    };
    let cut = decoded.narrow(2, 0, height)?.narrow(3, 0, width)?;
    cut.round()?.clamp(Some(0.0), Some(255.0))? / 255.0
}

const TO_YCBCR: [f64; 9] =
    [0.299, 0.587, 0.114, -0.168_735_892, -0.331_264_108, 0.5, 0.5, -0.418_687_589, -0.081_312_411];
const FROM_YCBCR: [f64; 9] = [1.0, 0.0, 1.402, 1.0, -0.344_136_286, -0.714_136_286, 1.0, 1.772, 0.0];

/// Three channels as sums of three others.
fn mixed(images: &Tensor, weights: &[f64; 9]) -> Result<Tensor> {
    let weights = Tensor::from_f64(images.device(), weights, &[3, 3])?;
    let [count, height, width] = [0, 2, 3].map(|dim| images.shape()[dim]);
    let pixels = images.reshape_to(Shape::new(&[count, 3, height * width])?)?;
    weights.matmul(&pixels)?.reshape_to(*images.shape())
}

/// Bytes of half the size, means of 2 x 2, of which those of even columns are rounded down between two bytes, and of odd ones up.
/// Columns are made whole blocks before, since that is where libjpeg repeats the last one.
fn halved(bytes: &Tensor) -> Result<Tensor> {
    let [height, width] = [2, 3].map(|dim| bytes.shape()[dim]);
    let whole = bytes.pad(&[0, missing(width, 2 * BLOCK), 0, missing(height, 2)], PadMode::Replicate)?;
    let means = whole.avg_pool2d(2, &AvgPool2dOptions::default())?;
    let bias = Tensor::from_f64(bytes.device(), &[0.25, 0.5].repeat(means.shape()[3] / 2), &[means.shape()[3]])?;
    (means + bias)?.floor()
}

/// Elements that are missing to a multiple.
fn missing(size: usize, multiple: usize) -> isize {
    nearest(size.next_multiple_of(multiple) - size)
}

/// The quantization at a quality: libjpeg's scaling, within a byte.
fn table(base: &[u16; 64], quality: usize) -> Vec<f64> {
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    base.iter().map(|&step| ((usize::from(step) * percent + 50) / 100).clamp(1, 255) as f64).collect()
}

/// Bytes after their quantization, bytes again, in whole blocks: the last row and column are repeated.
fn coded(bytes: &Tensor, base: &[u16; 64], quality: usize) -> Result<Tensor> {
    let more = [3, 2].map(|dim| missing(bytes.shape()[dim], BLOCK));
    let bytes = bytes.pad(&[0, more[0], 0, more[1]], PadMode::Replicate)?;
    let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| bytes.shape()[dim]);
    let device = bytes.device();
    let cosine = |at: usize| {
        let (frequency, place) = (at / BLOCK, at % BLOCK);
        let scale = if frequency == 0 { 1.0 / 8.0f64 } else { 1.0 / 4.0 };
        scale.sqrt() * (std::f64::consts::PI * (2 * place + 1) as f64 * frequency as f64 / 16.0).cos()
    };
    let cosines: Vec<f64> = (0..64).map(cosine).collect();
    let cosines = Tensor::from_f64(device, &cosines, &[BLOCK, BLOCK])?;
    let back = cosines.transpose(0, 1)?;
    let steps = Tensor::from_f64(device, &table(base, quality), &[BLOCK, BLOCK])?;

    let (down, across) = (height / BLOCK, width / BLOCK);
    let split = Shape::new(&[count * channels, down, BLOCK, across, BLOCK])?;
    let blocks = (&bytes - 128.0)?.reshape_to(split)?.permute([0, 1, 3, 2, 4])?.contiguous()?;
    let blocks = blocks.reshape_to(Shape::new(&[count * channels * down * across, BLOCK, BLOCK])?)?;
    let numbers = (cosines.matmul(&blocks)?.matmul(&back)? / &steps)?.round()?;
    let blocks = (back.matmul(&(numbers * steps)?)?.matmul(&cosines)? + 128.0)?;
    let blocks = blocks.round()?.clamp(Some(0.0), Some(255.0))?;
    let blocks = blocks.reshape_to(Shape::new(&[count * channels, down, across, BLOCK, BLOCK])?)?;
    blocks.permute([0, 1, 3, 2, 4])?.contiguous()?.reshape_to(*bytes.shape())
}
