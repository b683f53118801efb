//! Networks by name.

use super::{CifarCnn, LeNet5, MobileNetV1, ResNet18, UNet, UNetOptions};
use crate::error::{Error, Result};
use crate::nn::{Module, Scope};
use crate::number::nearest;
use crate::options::options;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Images of at most this many pixels a side get the stem of 3 x 3 that keeps their size.
const SMALL: usize = 64;

/// The most levels of a network that halves its images: 65,536 pixels a side are one then.
const MOST_LEVELS: usize = 16;

options! {
    /// Options of a network that is built [by name](by_name).
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    ModelOptions {
        /// Number of classes: logits of an image, or of a pixel.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Height and width of the images. Networks with a fully connected layer over pixels take no others.
        size: [usize; 2] = [224, 224],
        /// Numbers that only some networks have; see [`set`](ModelOptions::set).
        other: BTreeMap<String, f64> = BTreeMap::new(),
    }
}

impl ModelOptions {
    /// Sets a number that only some networks have: `width` of MobileNet, `depth` and `base_width` of the U-Net.
    #[must_use = "it returns options with the number set"]
    pub fn set(mut self, name: impl Into<String>, value: f64) -> ModelOptions {
        self.other.insert(name.into(), value);
        self
    }

    /// Refuses numbers that a network does not have, and sizes that are no images.
    fn check(&self, network: &'static str, known: &[&str]) -> Result<()> {
        if let Some(name) = self.other.keys().find(|name| !known.contains(&name.as_str())) {
            let rule = match known {
                [] => format!("{name} is none of its options; it has no others than classes, channels and size"),
                known => format!("{name} is none of its options: classes, channels, size, {}", known.join(", ")),
            };
            return Err(Error::invalid(network, rule));
        }
        if self.classes == 0 || self.channels == 0 || self.size.contains(&0) {
            let ModelOptions { classes, channels, size: [height, width], .. } = self;
            let rule = format!("{classes} classes, {channels} channels, images of {height} x {width}: none may be 0");
            return Err(Error::invalid(network, rule));
        }
        Ok(())
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.other.get(name).copied().unwrap_or(default)
    }

    fn count(&self, network: &'static str, name: &str, default: usize) -> Result<usize> {
        let value = self.number(name, default as f64);
        if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
            return Err(Error::invalid(network, format!("{name} is a count, not {value}")));
        }
        Ok(nearest(value))
    }
}

type Build = fn(&'static str, &Scope, &ModelOptions) -> Result<Box<dyn Module>>;

/// The networks that are known by name, in the order of their names.
const NETWORKS: &[(&str, Build)] = &[
    ("cifar_cnn", |name, scope, options| {
        options.check(name, &[])?;
        Ok(Box::new(CifarCnn::with_options(scope, options)?))
    }),
    ("lenet5", |name, scope, options| {
        options.check(name, &[])?;
        Ok(Box::new(LeNet5::with_options(scope, options)?))
    }),
    ("mobilenet_v1", |name, scope, options| {
        options.check(name, &["width"])?;
        let width = options.number("width", 1.0);
        Ok(Box::new(MobileNetV1::with_channels(scope, options.channels, options.classes, width)?))
    }),
    ("resnet18", |name, scope, options| {
        options.check(name, &[])?;
        let small = options.size.iter().all(|&size| size <= SMALL);
        let build = if small { ResNet18::small } else { ResNet18::large };
        Ok(Box::new(build(scope, options.channels, options.classes)?))
    }),
    ("resnet18_cifar", |name, scope, options| {
        options.check(name, &[])?;
        Ok(Box::new(ResNet18::small(scope, options.channels, options.classes)?))
    }),
    ("resnet18_imagenet", |name, scope, options| {
        options.check(name, &[])?;
        Ok(Box::new(ResNet18::large(scope, options.channels, options.classes)?))
    }),
    ("unet", |name, scope, options| {
        options.check(name, &["depth", "base_width"])?;
        let small = UNetOptions::default();
        let depth = options.count(name, "depth", small.depth)?;
        if depth > MOST_LEVELS {
            return Err(Error::invalid(name, format!("the depth is at most {MOST_LEVELS}, not {depth}")));
        }
        let base_width = options.count(name, "base_width", small.base_width)?;
        let options = UNetOptions { in_channels: options.channels, classes: options.classes, depth, base_width };
        Ok(Box::new(UNet::new(scope, &options)?))
    }),
];

/// Names of the networks that [`by_name`] builds, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    NETWORKS.iter().map(|(name, _)| *name)
}

/// A network with new weights from the device's random stream.
///
/// | name | network | other options |
/// |---|---|---|
/// | `cifar_cnn` | [`CifarCnn`] | |
/// | `lenet5` | [`LeNet5`] | |
/// | `mobilenet_v1` | [`MobileNetV1`] | `width` = 1 |
/// | `resnet18` | [`ResNet18`], with the stem for CIFAR's images where they have at most 64 pixels a side, or else ImageNet's | |
/// | `resnet18_cifar`, `resnet18_imagenet` | [`ResNet18`] with the one stem or the other, for images of any size | |
/// | `unet` | [`UNet`] | `depth` = 3, `base_width` = 16 |
///
/// ```
/// use wgrad::models::{self, ModelOptions};
/// use wgrad::nn::{Module, Scope};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let options = ModelOptions::default().classes(7).channels(1).size(32).set("width", 0.25);
/// let model = models::by_name("mobilenet_v1", &Scope::new(&device), &options)?;
/// assert_eq!(model.forward(&Tensor::zeros(&device, &[2, 1, 32, 32])?)?.shape()[..], [2, 7]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] where there is no such network, it has no such option, or a number doesn't suit it; errors of the device.
pub fn by_name(name: &str, scope: &Scope, options: &ModelOptions) -> Result<Box<dyn Module>> {
    let Some((name, build)) = NETWORKS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = names().collect();
        return Err(Error::invalid(
            "by_name",
            format!("no network is called {name:?}; there are {}", known.join(", ")),
        ));
    };
    build(name, scope, options)
}
