//! Mirror images.

use super::{Draws, Transform, Views, check_probability};
use crate::error::Result;

/// Each image, with what goes along, mirrored from left to right with probability `p`.
#[derive(Clone, Copy, Debug)]
pub struct RandomHorizontalFlip {
    p: f64,
}

impl RandomHorizontalFlip {
    /// With a probability; torchvision's default is 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where it is not between 0 and 1.
    pub fn new(p: f64) -> Result<RandomHorizontalFlip> {
        Ok(RandomHorizontalFlip { p: check_probability("RandomHorizontalFlip", p)? })
    }
}

impl Transform for RandomHorizontalFlip {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let flips = views.column(&draws.each(|image| image.chance(self.p)))?;
        views.change_images(|images| flips.where_(&images.flip(3)?, images))
    }
}
