//! Learned policies.

use super::operation::Operation::{self, *};
use super::operation::{Applied, Moves, carry_out};
use super::space::USUAL;
use crate::error::Result;
use crate::options::options;
use crate::transforms::functional::InterpolationMode;
use crate::transforms::{Draws, Stream, Transform, Views};

/// An operation, its probability, and its strength as one of ten steps.
type Part = (Operation, f64, usize);

/// Steps from the weakest to the strongest.
const BINS: usize = 10;

/// The data set that a policy was learned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoAugmentPolicy {
    /// ImageNet.
    #[default]
    ImageNet,
    /// CIFAR-10.
    Cifar10,
    /// SVHN, house numbers.
    Svhn,
}

options! {
    /// Options of [`AutoAugment`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    AutoAugmentOptions {
        /// The policy.
        policy: AutoAugmentPolicy = AutoAugmentPolicy::ImageNet,
        /// Interpolation of moved pixels.
        interpolation: InterpolationMode = InterpolationMode::Nearest,
        /// Values past the edges of moved images: one number, or one per channel. Zeros if left out.
        fill: Option<Vec<f32>> = None,
    }
}

/// Each image through one of 25 pairs of operations, each of which has a probability, by Cubuk et al., "AutoAugment: Learning
/// Augmentation Strategies from Data", 2018.
///
/// ```
/// use wgrad::transforms::{AutoAugment, AutoAugmentOptions, AutoAugmentPolicy, Draws, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let augment = AutoAugment::new(AutoAugmentOptions::default().policy(AutoAugmentPolicy::Cifar10));
/// let mut views = Views::new(Tensor::rand(&Device::reference(), &[4, 3, 8, 8])?)?;
/// augment.apply(&mut views, &mut Draws::new(0, 0, &[0, 1, 2, 3]))?;
/// assert_eq!(views.images()?.shape()[..], [4, 3, 8, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AutoAugment {
    pairs: &'static [[Part; 2]; 25],
    moves: Moves,
}

impl AutoAugment {
    /// From options.
    pub fn new(options: AutoAugmentOptions) -> AutoAugment {
        let AutoAugmentOptions { policy, interpolation, fill } = options;
        let pairs = match policy {
            AutoAugmentPolicy::ImageNet => IMAGENET,
            AutoAugmentPolicy::Cifar10 => CIFAR10,
            AutoAugmentPolicy::Svhn => SVHN,
        };
        AutoAugment { pairs, moves: Moves { interpolation, fill } }
    }

    fn draw(&self, image: &mut Stream, size: [usize; 2]) -> [Applied; 2] {
        self.pairs[image.below(self.pairs.len())].map(|(operation, p, bin)| {
            let applied = USUAL.applied(image, operation, [bin, BINS], size);
            if image.chance(p) { applied } else { (Identity, 0.0) }
        })
    }
}

impl Transform for AutoAugment {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.images_alone("AutoAugment")?;
        views.one_size("AutoAugment")?;
        let size = views.size();
        let pairs = draws.each(|image| self.draw(image, size));
        for at in 0..2 {
            carry_out(views, &pairs.iter().map(|pair| pair[at]).collect::<Vec<_>>(), &self.moves)?;
        }
        Ok(())
    }
}

pub(super) const IMAGENET: &[[Part; 2]; 25] = &[
    [(Posterize, 0.4, 8), (Rotate, 0.6, 9)],
    [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
    [(Posterize, 0.6, 7), (Posterize, 0.6, 6)],
    [(Equalize, 0.4, 0), (Solarize, 0.2, 4)],
    [(Equalize, 0.4, 0), (Rotate, 0.8, 8)],
    [(Solarize, 0.6, 3), (Equalize, 0.6, 0)],
    [(Posterize, 0.8, 5), (Equalize, 1.0, 0)],
    [(Rotate, 0.2, 3), (Solarize, 0.6, 8)],
    [(Equalize, 0.6, 0), (Posterize, 0.4, 6)],
    [(Rotate, 0.8, 8), (Color, 0.4, 0)],
    [(Rotate, 0.4, 9), (Equalize, 0.6, 0)],
    [(Equalize, 0.0, 0), (Equalize, 0.8, 0)],
    [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
    [(Color, 0.6, 4), (Contrast, 1.0, 8)],
    [(Rotate, 0.8, 8), (Color, 1.0, 2)],
    [(Color, 0.8, 8), (Solarize, 0.8, 7)],
    [(Sharpness, 0.4, 7), (Invert, 0.6, 0)],
    [(ShearX, 0.6, 5), (Equalize, 1.0, 0)],
    [(Color, 0.4, 0), (Equalize, 0.6, 0)],
    [(Equalize, 0.4, 0), (Solarize, 0.2, 4)],
    [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
    [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
    [(Color, 0.6, 4), (Contrast, 1.0, 8)],
    [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
];

pub(super) const CIFAR10: &[[Part; 2]; 25] = &[
    [(Invert, 0.1, 0), (Contrast, 0.2, 6)],
    [(Rotate, 0.7, 2), (TranslateX, 0.3, 9)],
    [(Sharpness, 0.8, 1), (Sharpness, 0.9, 3)],
    [(ShearY, 0.5, 8), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.5, 0), (Equalize, 0.9, 0)],
    [(ShearY, 0.2, 7), (Posterize, 0.3, 7)],
    [(Color, 0.4, 3), (Brightness, 0.6, 7)],
    [(Sharpness, 0.3, 9), (Brightness, 0.7, 9)],
    [(Equalize, 0.6, 0), (Equalize, 0.5, 0)],
    [(Contrast, 0.6, 7), (Sharpness, 0.6, 5)],
    [(Color, 0.7, 7), (TranslateX, 0.5, 8)],
    [(Equalize, 0.3, 0), (AutoContrast, 0.4, 0)],
    [(TranslateY, 0.4, 3), (Sharpness, 0.2, 6)],
    [(Brightness, 0.9, 6), (Color, 0.2, 8)],
    [(Solarize, 0.5, 2), (Invert, 0.0, 0)],
    [(Equalize, 0.2, 0), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.2, 0), (Equalize, 0.6, 0)],
    [(Color, 0.9, 9), (Equalize, 0.6, 0)],
    [(AutoContrast, 0.8, 0), (Solarize, 0.2, 8)],
    [(Brightness, 0.1, 3), (Color, 0.7, 0)],
    [(Solarize, 0.4, 5), (AutoContrast, 0.9, 0)],
    [(TranslateY, 0.9, 9), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.9, 0), (Solarize, 0.8, 3)],
    [(Equalize, 0.8, 0), (Invert, 0.1, 0)],
    [(TranslateY, 0.7, 9), (AutoContrast, 0.9, 0)],
];

pub(super) const SVHN: &[[Part; 2]; 25] = &[
    [(ShearX, 0.9, 4), (Invert, 0.2, 0)],
    [(ShearY, 0.9, 8), (Invert, 0.7, 0)],
    [(Equalize, 0.6, 0), (Solarize, 0.6, 6)],
    [(Invert, 0.9, 0), (Equalize, 0.6, 0)],
    [(Equalize, 0.6, 0), (Rotate, 0.9, 3)],
    [(ShearX, 0.9, 4), (AutoContrast, 0.8, 0)],
    [(ShearY, 0.9, 8), (Invert, 0.4, 0)],
    [(ShearY, 0.9, 5), (Solarize, 0.2, 6)],
    [(Invert, 0.9, 0), (AutoContrast, 0.8, 0)],
    [(Equalize, 0.6, 0), (Rotate, 0.9, 3)],
    [(ShearX, 0.9, 4), (Solarize, 0.3, 3)],
    [(ShearY, 0.8, 8), (Invert, 0.7, 0)],
    [(Equalize, 0.9, 0), (TranslateY, 0.6, 6)],
    [(Invert, 0.9, 0), (Equalize, 0.6, 0)],
    [(Contrast, 0.3, 3), (Rotate, 0.8, 4)],
    [(Invert, 0.8, 0), (TranslateY, 0.0, 2)],
    [(ShearY, 0.7, 6), (Solarize, 0.4, 8)],
    [(Invert, 0.6, 0), (Rotate, 0.8, 4)],
    [(ShearY, 0.3, 7), (TranslateX, 0.9, 3)],
    [(ShearX, 0.1, 6), (Invert, 0.6, 0)],
    [(Solarize, 0.7, 2), (TranslateY, 0.6, 7)],
    [(ShearY, 0.8, 4), (Invert, 0.8, 0)],
    [(ShearX, 0.7, 9), (TranslateY, 0.8, 3)],
    [(ShearY, 0.8, 5), (AutoContrast, 0.7, 0)],
    [(ShearX, 0.7, 2), (Invert, 0.1, 0)],
];
