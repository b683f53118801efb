//! Layers that change the size of an image.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;
use crate::ops::{InterpolateMode, InterpolateOptions};

/// The spatial dimensions resized (see [`Tensor::interpolate`]). PyTorch's `UpsamplingNearest2d` and `UpsamplingBilinear2d` are
/// [`Upsample::nearest_2d`] and [`Upsample::bilinear_2d`].
///
/// ```
/// use wgrad::nn::{Module, Upsample};
/// use wgrad::{Device, InterpolateMode, InterpolateOptions, Tensor};
///
/// let twice = Upsample::new(InterpolateOptions::default().scale_factor([2.0, 2.0]).mode(InterpolateMode::Bilinear));
/// let x = Tensor::zeros(&Device::reference(), &[1, 3, 5, 7])?;
/// assert_eq!(twice.forward(&x)?.shape()[..], [1, 3, 10, 14]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Upsample {
    /// Size or scale factor, mode, alignment of corners.
    pub options: InterpolateOptions,
}

impl Upsample {
    /// A layer with these options.
    pub fn new(options: InterpolateOptions) -> Upsample {
        Upsample { options }
    }

    /// Height and width multiplied, by repeating elements.
    pub fn nearest_2d(scale_factor: f64) -> Upsample {
        Upsample::new(InterpolateOptions::default().scale_factor([scale_factor; 2]).mode(InterpolateMode::Nearest))
    }

    /// Height and width multiplied, by linear interpolation; the corners stay in place.
    pub fn bilinear_2d(scale_factor: f64) -> Upsample {
        let options = InterpolateOptions::default().scale_factor([scale_factor; 2]).mode(InterpolateMode::Bilinear);
        Upsample::new(InterpolateOptions { align_corners: Some(true), ..options })
    }
}

impl Module for Upsample {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.interpolate(&self.options)
    }
}
