//! Mirror images.

use super::functional::InterpolationMode;
use super::pending::Step;
use super::{Draws, Transform, Views, check_probability};
use crate::error::Result;

/// Each image, with its targets, mirrored from left to right with probability `p`.
#[derive(Clone, Copy, Debug)]
pub struct RandomHorizontalFlip {
    p: f64,
}

impl RandomHorizontalFlip {
    /// With a probability; torchvision's default is 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if it is not between 0 and 1.
    pub fn new(p: f64) -> Result<RandomHorizontalFlip> {
        Ok(RandomHorizontalFlip { p: check_probability("RandomHorizontalFlip", p)? })
    }
}

impl Transform for RandomHorizontalFlip {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        mirror(views, draws, self.p, true)
    }
}

/// Each image, with its targets, mirrored from top to bottom with probability `p`.
#[derive(Clone, Copy, Debug)]
pub struct RandomVerticalFlip {
    p: f64,
}

impl RandomVerticalFlip {
    /// With a probability; torchvision's default is 0.5.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if it is not between 0 and 1.
    pub fn new(p: f64) -> Result<RandomVerticalFlip> {
        Ok(RandomVerticalFlip { p: check_probability("RandomVerticalFlip", p)? })
    }
}

impl Transform for RandomVerticalFlip {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        mirror(views, draws, self.p, false)
    }
}

fn mirror(views: &mut Views, draws: &mut Draws, p: f64, along_x: bool) -> Result<()> {
    let steps = draws.each(|image| if image.chance(p) { Step::Mirror { along_x } } else { Step::Stay });
    views.step(steps, InterpolationMode::Nearest, false)
}
