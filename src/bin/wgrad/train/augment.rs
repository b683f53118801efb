//! Random changes of training pictures, by their names on the command line.

use super::arguments::Augment;
use super::settings::Settings;
use crate::failure::{Failure, Outcome};
use wgrad::data::Normalization;
use wgrad::transforms::functional::InterpolationMode;
use wgrad::transforms::{
    AutoAugment, AutoAugmentOptions, AutoAugmentPolicy, ColorJitter, ColorJitterOptions, Compose, RandAugment,
    RandAugmentOptions, RandomAffine, RandomAffineOptions, RandomHorizontalFlip, TrivialAugmentWide,
    TrivialAugmentWideOptions,
};

/// The largest size for CIFAR-10's policy.
const SMALL: usize = 64;

/// The changes by the settings, for pictures with values from 0 to 1. The mean of the pictures fills the positions from
/// which a picture moved away.
pub fn compose(settings: &Settings, pictures: &Normalization, size: usize) -> Outcome<Compose> {
    let fill = pictures.mean();
    let has_colors = fill.len() <= 3;
    if !has_colors && matches!(settings.augment, Augment::Trivial | Augment::Rand | Augment::Auto) {
        let message = format!("this --augment can't change pictures of {} channels", fill.len());
        return Err(Failure::usage(message)
            .hint("--augment light and none take transparent pictures; with --channels rgb all do"));
    }
    let compose = match settings.augment {
        Augment::None => Compose::new(),
        Augment::Light => light(fill, has_colors)?,
        Augment::Trivial => {
            Compose::new().with(TrivialAugmentWide::new(TrivialAugmentWideOptions::default().fill(fill))?)
        }
        Augment::Rand => Compose::new().with(RandAugment::new(RandAugmentOptions::default().fill(fill))?),
        Augment::Auto => {
            let policy = if size <= SMALL { AutoAugmentPolicy::Cifar10 } else { AutoAugmentPolicy::ImageNet };
            Compose::new().with(AutoAugment::new(AutoAugmentOptions::default().policy(policy).fill(fill)))
        }
    };
    Ok(match settings.flip {
        true => compose.with(RandomHorizontalFlip::new(0.5)?),
        false => compose,
    })
}

/// Small turns, shifts and scales, and small changes of brightness, contrast and saturation.
fn light(fill: &[f32], has_colors: bool) -> Outcome<Compose> {
    let moves = RandomAffineOptions::default()
        .interpolation(InterpolationMode::Bilinear)
        .translate([0.08, 0.08])
        .scale([0.9, 1.1])
        .fill(fill.to_vec());
    let compose = Compose::new().with(RandomAffine::new([-10.0, 10.0], moves)?);
    if !has_colors {
        return Ok(compose);
    }
    let colors = ColorJitterOptions::default().brightness(0.2).contrast(0.2);
    Ok(compose.with(ColorJitter::new(if fill.len() == 3 { colors.saturation(0.2) } else { colors })?))
}
