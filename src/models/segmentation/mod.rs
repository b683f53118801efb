//! Networks that give every pixel its class. The names of the parameters are torchvision's where it has the network.
//!
//! | network | |
//! |---|---|
//! | [`Fcn`] | a classifier's last map through two convolutions |
//! | [`DeepLabV3`] | the same through windows of several dilations |
//! | [`Lraspp`] | two maps of a small classifier, quick |
//! | [`UNet`] | down to small maps and up again, with each size's map from the contracting path joined to that of the expanding
//! one |

mod backbone;
mod deeplabv3;
mod fcn;
mod headed;
mod lraspp;
mod unet;

pub use backbone::SegmentationBackbone;
pub use deeplabv3::{DeepLabV3, DeepLabV3Options};
pub use fcn::{Fcn, FcnOptions};
pub use headed::SegmentationOutputs;
pub use lraspp::{Lraspp, LrasppOptions};
pub use unet::{UNet, UNetOptions, UNetUpsampling};

use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{InterpolateMode, InterpolateOptions};

/// `[N, C, h, w]` with the height and width of another tensor `[.., H, W]`, by straight lines between pixels.
fn resized(input: &Tensor, like: &Tensor) -> Result<Tensor> {
    let size = like.shape()[like.rank() - 2..].to_vec();
    input.interpolate(&InterpolateOptions::default().size(size).mode(InterpolateMode::Bilinear))
}
