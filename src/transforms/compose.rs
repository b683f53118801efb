//! The trait of transforms, and sequences of them.

use super::{Draws, Views};
use crate::error::Result;

/// A change of images and of their targets.
///
/// ```
/// use wgrad::Result;
/// use wgrad::transforms::{Draws, Transform, Views};
///
/// /// Each image brighter or darker by up to a tenth.
/// struct Dim;
///
/// impl Transform for Dim {
///     fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
///         let factors: Vec<f32> = draws.each(|image| image.uniform(0.9, 1.1) as f32);
///         let factors = views.column(&factors)?;
///         views.change_images(|images| images.mul(&factors))
///     }
/// }
/// ```
pub trait Transform: Send + Sync {
    /// Changes a batch. Random numbers must come from `draws`.
    ///
    /// # Errors
    /// The transform's own; those of the operations it records.
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()>;
}

impl<T: Transform + ?Sized> Transform for Box<T> {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        (**self).apply(views, draws)
    }
}

/// A sequence of transforms; itself a transform. The random numbers of each depend on its position.
#[derive(Default)]
pub struct Compose {
    transforms: Vec<Box<dyn Transform>>,
}

impl Compose {
    /// An empty composition, which leaves images as they are.
    pub fn new() -> Compose {
        Compose::default()
    }

    /// Adds a transform at the end.
    #[must_use = "it returns the longer composition"]
    pub fn with(mut self, transform: impl Transform + 'static) -> Compose {
        self.transforms.push(Box::new(transform));
        self
    }
}

impl Transform for Compose {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        self.transforms.iter().enumerate().try_for_each(|(place, one)| one.apply(views, &mut draws.at(place)))
    }
}
