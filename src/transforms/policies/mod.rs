//! Policies: apply random operations from a list to each image. They change images alone, as in torchvision.

mod aug_mix;
mod auto_augment;
mod operation;
mod rand_augment;
mod space;
#[cfg(test)]
mod tests;

pub use aug_mix::{AugMix, AugMixOptions};
pub use auto_augment::{AutoAugment, AutoAugmentOptions, AutoAugmentPolicy};
pub use rand_augment::{RandAugment, RandAugmentOptions, TrivialAugmentWide, TrivialAugmentWideOptions};
