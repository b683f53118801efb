//! Transforms of images and their targets, with the names and meanings of torchvision's v2.
//!
//! A [`Views`] is a batch being transformed: images `[N, C, H, W]` on the device, f32 between 0 and 1 or i32 holding bytes, with
//! labels, boxes, masks and key points. A [`Transform`] changes each image by its own random numbers from [`Draws`].
//! [`functional`] holds the transforms without random numbers.
//!
//! ```
//! use wgrad::transforms::{Compose, Draws, RandomHorizontalFlip, Transform, Views};
//! use wgrad::{Device, Tensor};
//! let device = Device::reference();
//! let augment = Compose::new().with(RandomHorizontalFlip::new(1.0)?);
//! let images = Tensor::from_slice(&device, &[1, 2, 3, 4], &[2, 1, 1, 2])?;
//! let mut views = Views::new(images)?;
//! // The first epoch of seed 0, of the items 5 and 9 of a set.
//! augment.apply(&mut views, &mut Draws::new(0, 0, &[5, 9]))?;
//! assert_eq!(views.images()?.to_vec::<i32>()?, [2, 1, 4, 3]);
//! # Ok::<(), wgrad::Error>(())
//! ```

mod affine;
mod blur;
mod boxes;
mod choice;
mod colour;
mod compose;
mod crop;
mod draws;
mod elastic;
mod ends;
mod erasing;
mod flip;
pub mod functional;
mod geometric;
mod host;
mod jitter;
mod maps;
mod mix;
#[cfg(test)]
mod moments;
mod normalize;
mod pending;
mod pixels;
mod policies;
mod program;
mod resize;
mod selection;
mod targets;
mod views;

pub use affine::{
    RandomAffine, RandomAffineOptions, RandomPerspective, RandomPerspectiveOptions, RandomRotation,
    RandomRotationOptions,
};
pub use blur::{GaussianBlur, GaussianNoise, RandomAdjustSharpness};
pub use boxes::{RandomIoUCrop, RandomIoUCropOptions, SanitizeBoundingBoxes};
pub use choice::{RandomApply, RandomChoice, RandomOrder};
pub use colour::{
    RandomAutocontrast, RandomChannelPermutation, RandomEqualize, RandomGrayscale, RandomInvert, RandomPosterize,
    RandomSolarize,
};
pub use compose::{Compose, Transform};
pub use crop::{CenterCrop, Pad, RandomCrop, RandomCropOptions, RandomZoomOut, RandomZoomOutOptions};
pub use draws::{Draws, Stream};
pub use elastic::{ElasticTransform, ElasticTransformOptions};
pub use erasing::{Cutout, ErasingValue, RandomErasing, RandomErasingOptions};
pub use flip::{RandomHorizontalFlip, RandomVerticalFlip};
pub use host::Target;
pub use jitter::{ColorJitter, ColorJitterOptions, Jitter, RandomPhotometricDistort, RandomPhotometricDistortOptions};
pub use mix::{CutMix, MixUp};
pub use normalize::{Normalize, ToDtype};
pub use policies::{
    AugMix, AugMixOptions, AutoAugment, AutoAugmentOptions, AutoAugmentPolicy, RandAugment, RandAugmentOptions,
    TrivialAugmentWide, TrivialAugmentWideOptions,
};
pub use resize::{Letterbox, RandomResizedCrop, RandomResizedCropOptions, Resize, ScaleJitter, ScaleJitterOptions};
pub use targets::BoxTensors;
pub use views::Views;

use crate::error::{Error, Result};

/// A probability, checked.
fn check_probability(op: &'static str, p: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&p) {
        return Ok(p);
    }
    Err(Error::invalid(op, format!("the probability {p} is not between 0 and 1")))
}
