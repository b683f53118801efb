//! Policies: each image goes through operations of its own, drawn from a list. They are of images alone, as torchvision's are.

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
