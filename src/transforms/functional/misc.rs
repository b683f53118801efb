//! Types, statistics and rectangles.

use super::{Numbers, is_images};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;

/// `output[n, c] = (images[n, c] - mean[c]) / std[c]`, with a mean and a deviation for each channel, or one for all.
///
/// # Errors
/// [`Error::Invalid`] if means or deviations are neither one nor one per channel, or a deviation is 0;
/// [`Error::WrongDType`] for types other than f32.
///
/// ```
/// use wgrad::transforms::functional::normalize;
/// use wgrad::{Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0.5f32, 1.0], &[1, 2, 1, 1])?;
/// assert_eq!(normalize(&images, &[0.25, 0.5], &[0.5, 0.25])?.to_vec::<f32>()?, [0.5, 2.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn normalize(images: &Tensor, mean: &[f64], std: &[f64]) -> Result<Tensor> {
    const OP: &str = "normalize";
    is_images(OP, images)?;
    if images.dtype() != DType::F32 {
        return Err(Error::WrongDType { op: OP, expected: "f32", got: images.dtype() });
    }
    if std.contains(&0.0) {
        return Err(Error::invalid(OP, format!("a deviation is 0: {std:?}")));
    }
    let by_channel = |numbers: &[f64]| {
        if ![1, images.shape()[1]].contains(&numbers.len()) {
            let rule =
                format!("{} numbers for the channels of {}; expected one each, or one", numbers.len(), images.shape());
            return Err(Error::invalid(OP, rule));
        }
        Tensor::from_f64(images.device(), numbers, &[1, numbers.len(), 1, 1])
    };
    images.sub(&by_channel(mean)?)?.div(&by_channel(std)?)
}

/// Images of another type: f32, or i32 for bytes. With `scale`, values from 0 to 1 become bytes and bytes values from 0
/// to 1.
///
/// # Errors
/// [`Error::WrongDType`] for other types; [`Error::Invalid`] for images that are not `[N, C, H, W]`.
///
/// ```
/// use wgrad::transforms::functional::to_dtype;
/// use wgrad::{DType, Device, Tensor};
/// let images = Tensor::from_slice(&Device::reference(), &[0, 255], &[1, 1, 1, 2])?;
/// assert_eq!(to_dtype(&images, DType::F32, true)?.to_vec::<f32>()?, [0.0, 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn to_dtype(images: &Tensor, dtype: DType, scale: bool) -> Result<Tensor> {
    const OP: &str = "to_dtype";
    is_images(OP, images)?;
    match (images.dtype(), dtype) {
        (DType::I32, DType::F32) if scale => images.to_dtype(dtype)?.mul_scalar(1.0 / 255.0),
        // 1 becomes 255, and so do values that are less by up to a 256th.
        (DType::F32, DType::I32) if scale => images.mul_scalar(255.999)?.to_dtype(dtype),
        (_, DType::F32 | DType::I32) => images.to_dtype(dtype),
        (_, got) => Err(Error::WrongDType { op: OP, expected: "f32 or i32", got }),
    }
}

/// A rectangle of images, in pixels; each number is one for all images or one for each.
#[derive(Clone, Debug)]
pub struct Rectangle {
    /// First row.
    pub top: Numbers,
    /// First column.
    pub left: Numbers,
    /// Rows.
    pub height: Numbers,
    /// Columns.
    pub width: Numbers,
}

impl Rectangle {
    /// A rectangle for each image, from its top, left, height and width.
    pub(in crate::transforms) fn each(images: &Tensor, rectangles: &[[usize; 4]]) -> Result<Rectangle> {
        let numbers = |at: usize| {
            let numbers: Vec<f64> = rectangles.iter().map(|rectangle| rectangle[at] as f64).collect();
            Ok(Numbers::Each(Tensor::from_f64(images.device(), &numbers, &[numbers.len()])?))
        };
        Ok(Rectangle { top: numbers(0)?, left: numbers(1)?, height: numbers(2)?, width: numbers(3)? })
    }

    /// The pixels of images inside the rectangle, as truth values `[N, 1, H, W]` or `[1, 1, H, W]`.
    pub(in crate::transforms) fn mask(&self, op: &'static str, images: &Tensor) -> Result<Tensor> {
        let within = |dim: usize, start: &Numbers, length: &Numbers| {
            let places: Vec<f64> = (0..images.shape()[dim]).map(|place| place as f64).collect();
            let mut shape = [1; 4];
            shape[dim] = places.len();
            let places = Tensor::from_f64(images.device(), &places, &shape)?;
            let start = start.column(op, images)?.to_dtype(DType::F32)?;
            let end = start.add(&length.column(op, images)?.to_dtype(DType::F32)?)?;
            places.ge(&start)?.logical_and(&places.lt(&end)?)
        };
        within(2, &self.top, &self.height)?.logical_and(&within(3, &self.left, &self.width)?)
    }
}

/// Images with the pixels of a rectangle replaced by `value`: `[N, C, H, W]`, or 1 in dimensions along which it does
/// not vary.
///
/// # Errors
/// [`Error::Invalid`] for images that are not `[N, C, H, W]`; [`Error::Broadcast`] if the value does not fit them.
///
/// ```
/// use wgrad::transforms::functional::{Rectangle, erase};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let images = Tensor::from_slice(&device, &[1, 2, 3, 4], &[1, 1, 2, 2])?;
/// let right = Rectangle { top: 0.0.into(), left: 1.0.into(), height: 2.0.into(), width: 1.0.into() };
/// let black = Tensor::full(&device, &[1, 1, 1, 1], 0)?;
/// assert_eq!(erase(&images, &right, &black)?.to_vec::<i32>()?, [1, 0, 3, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn erase(images: &Tensor, rectangle: &Rectangle, value: &Tensor) -> Result<Tensor> {
    const OP: &str = "erase";
    is_images(OP, images)?;
    rectangle.mask(OP, images)?.where_(&value.to_dtype(images.dtype())?, images)
}
