//! The strength of a corruption.

use crate::error::{Error, Result};

/// A strength from 1 to 5, with the numbers of ImageNet-C for photographs of some 224 x 224 pixels, or those of CIFAR-C for
/// pictures of some 32 x 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Severity {
    level: usize,
    is_small: bool,
}

impl Severity {
    /// The levels.
    pub const LEVELS: std::ops::RangeInclusive<usize> = 1..=5;

    fn new(level: usize, is_small: bool) -> Result<Severity> {
        if !Severity::LEVELS.contains(&level) {
            return Err(Error::invalid("Severity", format!("the severity {level} is not between 1 and 5")));
        }
        Ok(Severity { level, is_small })
    }

    /// With the numbers of ImageNet-C.
    ///
    /// # Errors
    /// [`Error::Invalid`] for levels other than 1 to 5.
    pub fn imagenet(level: usize) -> Result<Severity> {
        Severity::new(level, false)
    }

    /// With the numbers of CIFAR-C.
    ///
    /// # Errors
    /// As [`imagenet`](Severity::imagenet).
    pub fn cifar(level: usize) -> Result<Severity> {
        Severity::new(level, true)
    }

    /// The level, from 1 to 5.
    pub fn level(self) -> usize {
        self.level
    }

    /// The numbers of this level.
    pub(super) fn of<T: Copy>(self, imagenet: [T; 5], cifar: [T; 5]) -> T {
        let numbers = if self.is_small { cifar } else { imagenet };
        numbers[self.level - 1]
    }
}
