//! Attacks on networks, small changes of an image that change the answer, and defences.
//!
//! An [`Attack`] takes images between 0 and 1: a [`Classifier`] applies the normalization inside, so that a bound of 8 / 255
//! means eight steps of a byte for any normalization in training, and results are clipped to 0 to 1 exactly. The [`Goal`] is any
//! other class, or a given one.
//!
//! ```
//! use wgrad::robust::{Attack, Classifier, Fgsm, Goal};
//! use wgrad::{Device, Tensor, models::LeNet5, nn::{Module, Scope}};
//!
//! let device = Device::reference();
//! let net = LeNet5::new(&Scope::new(&device))?;
//! net.eval();
//! let images = Tensor::uniform(&device, &[2, 1, 28, 28], 0.0, 1.0)?;
//! let labels = Tensor::from_slice(&device, &[3, 5], &[2])?;
//! let (net, goal) = (Classifier::new(&net), Goal::untargeted(&labels));
//! let adversarial = Fgsm { eps: 0.1 }.perturb(&net, &images, &goal)?;
//! let change = adversarial.sub(&images)?.abs()?.amax_all()?.item::<f32>()?;
//! assert!(change <= 0.1 + 1e-6);
//! let fooled = net.reaches(&adversarial, &goal)?;
//! assert_eq!(fooled.shape()[..], [2]);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! [`RobustTraining`] is a task that trains by a [`Defence`]: on images under attack ([`Adversarial`]), for free ([`Free`]), by
//! [`Trades`], on [`Noise`] for a [`Smoothed`] classifier, or on interval bounds ([`IntervalTraining`]). The last two certify
//! answers. [`DefensiveDistillation`] smooths them, and an [`InputTransform`] takes changes of images away. Label smoothing is an
//! option of the loss: [`CrossEntropyOptions::label_smoothing`](crate::CrossEntropyOptions::label_smoothing).
//!
//! A [`Corruption`] is a natural degradation of images, with ImageNet-C's names and numbers, and [`corruption_errors`] counts a
//! network's errors under all of them. [`TemperatureScaling`] makes a network's confidence match its accuracy, and a
//! [`NoveltyScore`] detects images unlike those it was trained on.

mod bounds;
mod carlini_wagner;
mod classifier;
mod corruption_errors;
mod corruptions;
mod deep_fool;
mod gradient_sign;
mod input_transforms;
mod one_pixel;
mod out_of_distribution;
mod pgd;
mod smoothing;
mod square;
mod temperature;
mod training;
mod universal;

pub use bounds::{Interval, IntervalTraining, IntervalTrainingOptions};
pub use carlini_wagner::{CarliniWagner, CarliniWagnerOptions};
pub use classifier::{Classifier, Goal};
pub use corruption_errors::{CorruptionErrors, corruption_errors};
pub use corruptions::{Corruption, Severity, jpeg_compression};
pub use deep_fool::{DeepFool, DeepFoolOptions};
pub use gradient_sign::{Fgsm, MiFgsm, RFgsm};
pub use input_transforms::InputTransform;
pub use one_pixel::{OnePixel, OnePixelOptions};
pub use out_of_distribution::{NoveltyScore, Separation};
pub use pgd::{Norm, Pgd, PgdOptions};
pub use smoothing::{Certificate, Noise, Smoothed, SmoothingOptions, clopper_pearson_lower};
pub use square::{Square, SquareOptions};
pub use temperature::TemperatureScaling;
pub use training::{
    Adversarial, Defence, DefensiveDistillation, Free, FreeOptions, Pass, RobustTraining, Tempered, Trades,
    TradesOptions,
};
pub use universal::{Universal, UniversalOptions, UniversalSgd, UniversalSgdOptions};

use crate::error::Result;
use crate::graph::Tensor;
use crate::transforms::{Draws, Stream};

/// A way to change images so that a network's answer changes.
pub trait Attack {
    /// Changed images, `[N, C, H, W]` between 0 and 1, as the given ones. The network's mode is left as it is: put it into
    /// evaluation mode first.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for numbers that make no attack, and labels that are not i32 `[N]`; those of the
    /// network.
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor>;
}

/// A number for each image, in a shape that broadcasts with images.
fn of_each(numbers: &Tensor, images: &Tensor) -> Result<Tensor> {
    let mut sizes = vec![numbers.numel()];
    sizes.resize(images.rank(), 1);
    numbers.reshape_to(crate::shape::Shape::new(&sizes)?)
}

/// The Euclidean length of each image, `[N]`.
fn lengths(images: &Tensor) -> Result<Tensor> {
    images.flatten(1, -1)?.norm(2.0, 1)
}

/// Numbers that are drawn on the host, from the random stream of the images' device.
fn stream(images: &Tensor) -> Stream {
    let at = images.device().draw(1);
    Draws::new(at.seed, at.counter, &[]).batch().clone()
}
