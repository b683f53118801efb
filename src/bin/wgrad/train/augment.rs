//! Random changes of training pictures, by their names on the command line.

use super::arguments::Augment;
use super::settings::Settings;
use wgrad::Result;
use wgrad::transforms::{Compose, RandomHorizontalFlip};

/// The changes that the settings ask for, of pictures with so many channels.
pub fn compose(settings: &Settings, channels: usize, size: usize) -> Result<Compose> {
    let _ = (channels, size);
    let mut compose = Compose::new();
    if settings.flip && settings.augment != Augment::None {
        compose = compose.with(RandomHorizontalFlip::new(0.5)?);
    }
    Ok(compose)
}
