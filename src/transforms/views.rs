//! A batch of images that is being transformed.

use super::pending::Pending;
use super::targets::Targets;
use crate::dtype::{DType, Element};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::ops::ColourStep;

const OP: &str = "Views";

/// Images on a device, with their targets.
///
/// Images are `[N, C, H, W]`: f32 between 0 and 1, with the semantics that torchvision has for floats, or i32 that hold bytes,
/// with those it has for uint8.
#[derive(Clone, Debug)]
pub struct Views {
    /// Before the pending steps.
    pub(super) images: Tensor,
    /// Height and width of each of them.
    pub(super) sizes: Vec<[usize; 2]>,
    pub(super) pending: Option<Pending>,
    pub(super) targets: Targets,
    labels: Option<Tensor>,
    /// Pending changes of each image's colours, for one kernel.
    pub(super) colours: Vec<Vec<ColourStep>>,
    /// The images that transforms change for now, where they are not all.
    pub(super) selected: Option<Vec<bool>>,
}

impl Views {
    /// Images without targets.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are not `[N, C, H, W]`; [`Error::WrongDType`] for types other than f32 and i32.
    pub fn new(images: Tensor) -> Result<Views> {
        if images.rank() != 4 {
            return Err(Error::invalid(OP, format!("expected images [N, C, H, W]; got {}", images.shape())));
        }
        if !matches!(images.dtype(), DType::F32 | DType::I32) {
            return Err(Error::WrongDType { op: OP, expected: "f32 or i32", got: images.dtype() });
        }
        let sizes = vec![[images.shape()[2], images.shape()[3]]; images.shape()[0]];
        Ok(Views {
            images,
            sizes,
            pending: None,
            targets: Targets::default(),
            labels: None,
            colours: Vec::new(),
            selected: None,
        })
    }

    /// With labels: class numbers `[N]` in i32, or shares of classes `[N, classes]` in f32.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one for each image.
    pub fn with_labels(mut self, labels: Tensor) -> Result<Views> {
        if labels.rank() == 0 || labels.shape()[0] != self.len() {
            return Err(Error::invalid(OP, format!("labels {} for {} images", labels.shape(), self.len())));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.images.shape()[0]
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels of each image.
    pub fn channels(&self) -> usize {
        self.images.shape()[1]
    }

    /// The current height and width of the batch: the largest of its images.
    pub fn size(&self) -> [usize; 2] {
        match &self.pending {
            None => [self.images.shape()[2], self.images.shape()[3]],
            Some(pending) => pending.sizes().iter().fold([0, 0], |[h, w], size| [h.max(size[0]), w.max(size[1])]),
        }
    }

    /// The type of the pixels.
    pub fn dtype(&self) -> DType {
        self.images.dtype()
    }

    /// The device of the images.
    pub fn device(&self) -> &Device {
        self.images.device()
    }

    /// The current images, `[N, C, H, W]`.
    ///
    /// # Errors
    /// Those of the operations that are recorded.
    pub fn images(&mut self) -> Result<Tensor> {
        self.sample()?;
        let programs = std::mem::take(&mut self.colours);
        if !programs.is_empty() {
            self.images = super::program::recoloured(&self.images, &self.sizes, programs)?;
        }
        Ok(self.images.clone())
    }

    /// Replaces the pixels; images keep their number and size.
    ///
    /// # Errors
    /// Those of `change`; [`Error::Invalid`] if it returns images of another number or size.
    pub fn change_images(&mut self, change: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<()> {
        let before = self.images()?;
        let mut changed = change(&before)?;
        if changed.shape() == before.shape()
            && let Some(mask) = self.changing(&before)?
        {
            changed = mask.where_(&changed, &before.to_dtype(changed.dtype())?)?;
        }
        let (old, new) = (before.shape(), changed.shape());
        if new.len() != 4 || [new[0], new[2], new[3]] != [old[0], old[2], old[3]] {
            return Err(Error::invalid(OP, format!("images {old} became {new}; only channels may change so")));
        }
        if self.selected.is_some() && new != old {
            return Err(Error::invalid(OP, format!("some of the images {old} became {new}, and others not")));
        }
        self.images = changed;
        Ok(())
    }

    /// The labels, where there are any.
    pub fn labels(&self) -> Option<&Tensor> {
        self.labels.as_ref()
    }

    /// Replaces the labels.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one for each image.
    pub fn set_labels(&mut self, labels: Tensor) -> Result<()> {
        *self = self.clone().with_labels(labels)?;
        Ok(())
    }

    /// A number for each image on the device, `[N, 1, 1, 1]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one value for each image.
    pub fn column<T: Element>(&self, values: &[T]) -> Result<Tensor> {
        Tensor::from_slice(self.device(), values, &[self.len(), 1, 1, 1])
    }
}
