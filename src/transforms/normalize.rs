//! Values in the type and the range that a network takes.

use super::functional::{normalize, to_dtype};
use super::{Draws, Transform, Views};
use crate::dtype::DType;
use crate::error::{Error, Result};

/// `(images - mean) / std` by channel; see [`normalize`].
#[derive(Clone, Debug)]
pub struct Normalize {
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Normalize {
    /// With the mean and the deviation of each channel, or of all.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a deviation is 0, or means and deviations are not equally many.
    pub fn new(mean: &[f64], std: &[f64]) -> Result<Normalize> {
        if mean.len() != std.len() || std.contains(&0.0) {
            let rule = format!("expected a deviation other than 0 for each mean; got {mean:?} and {std:?}");
            return Err(Error::invalid("Normalize", rule));
        }
        Ok(Normalize { mean: mean.to_vec(), std: std.to_vec() })
    }
}

impl Transform for Normalize {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        views.change_images(|images| normalize(images, &self.mean, &self.std))
    }
}

/// Images in another type; with `scale`, bytes become values from 0 to 1 and the reverse; see [`to_dtype`].
#[derive(Clone, Copy, Debug)]
pub struct ToDtype {
    dtype: DType,
    scale: bool,
}

impl ToDtype {
    /// To f32, or to i32 for bytes.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for other types.
    pub fn new(dtype: DType, scale: bool) -> Result<ToDtype> {
        match dtype {
            DType::F32 | DType::I32 => Ok(ToDtype { dtype, scale }),
            got => Err(Error::WrongDType { op: "ToDtype", expected: "f32, or i32 for bytes", got }),
        }
    }
}

impl Transform for ToDtype {
    fn apply(&self, views: &mut Views, _: &mut Draws) -> Result<()> {
        views.change_images(|images| to_dtype(images, self.dtype, self.scale))
    }
}
