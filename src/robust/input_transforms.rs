//! Transforms of images before the network, which take small changes away.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::{PadMode, UnfoldOptions};
use crate::robust::jpeg_compression;
use crate::transforms::functional::{Numbers, gaussian_blur};

/// A transform of images `[N, C, H, W]` between 0 and 1 that a [`Classifier`](crate::robust::Classifier) applies before its
/// network.
///
/// Transforms that round pass gradients on unchanged, as Athalye et al. ("Obfuscated Gradients Give a False Sense of
/// Security", 2018) attack such defences: otherwise an attack by gradients would fail for lack of them alone.
///
/// ```
/// use wgrad::robust::{Classifier, InputTransform};
/// # use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
/// # let device = Device::reference();
/// # let net = LeNet5::new(&Scope::new(&device))?;
/// let squeezed = [InputTransform::BitDepth(1), InputTransform::Median(3)];
/// let net = Classifier::new(&net).transformed(&squeezed);
/// assert_eq!(net.logits(&Tensor::zeros(&device, &[2, 1, 28, 28])?)?.shape()[..], [2, 10]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputTransform {
    /// JPEG's loss at a quality from 1 to 100 (Dziugaite et al., "A study of the effect of JPG compression on adversarial
    /// images", 2016).
    Jpeg(usize),
    /// This many bits a channel, 1 to 8: `round(x (2^bits - 1)) / (2^bits - 1)` (Xu et al., "Feature Squeezing", 2017).
    BitDepth(u32),
    /// The median of a square of this odd side, with reflected borders (Xu et al., 2017).
    Median(usize),
    /// A Gaussian blur with a kernel of this odd side, and with reflected borders.
    GaussianBlur {
        /// The side.
        kernel: usize,
        /// The deviation in pixels.
        sigma: f64,
    },
}

impl InputTransform {
    /// The transformed images.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, numbers out of range, and images that are smaller than half of a kernel.
    pub fn apply(&self, images: &Tensor) -> Result<Tensor> {
        match *self {
            InputTransform::Jpeg(quality) => straight_through(images, &jpeg_compression(&images.detach(), quality)?),
            InputTransform::BitDepth(bits) => {
                if !(1..=8).contains(&bits) {
                    return Err(Error::invalid("BitDepth", format!("{bits} bits; expected 1 to 8")));
                }
                let steps = f64::from((1u32 << bits) - 1);
                straight_through(images, &((images.detach() * steps)?.round()? / steps)?)
            }
            InputTransform::Median(side) => median(images, side),
            InputTransform::GaussianBlur { kernel, sigma } => {
                gaussian_blur(images, [kernel; 2], Some([Numbers::from(sigma), Numbers::from(sigma)]))
            }
        }
    }
}

/// The values of `rounded`, with the gradient of the images themselves.
fn straight_through(images: &Tensor, rounded: &Tensor) -> Result<Tensor> {
    images + (rounded - images.detach())?
}

/// The median of each square.
fn median(images: &Tensor, side: usize) -> Result<Tensor> {
    let &[count, channels, height, width] = &images.shape()[..] else {
        return Err(Error::invalid("Median", format!("images are [N, C, H, W], not {}", images.shape())));
    };
    if side.is_multiple_of(2) {
        return Err(Error::invalid("Median", format!("a square of side {side}; expected an odd one")));
    }
    let half = nearest::<isize>(side / 2);
    let padded = images.pad(&[half; 4], PadMode::Reflect)?;
    let squares = padded.unfold([side; 2], &UnfoldOptions::default())?;
    let sizes = [count, channels, side * side, height, width].map(nearest::<isize>);
    Ok(squares.reshape(&sizes)?.kthvalue(side * side / 2 + 1, 2)?.0)
}
