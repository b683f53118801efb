//! Networks that give every pixel its class. The names of the parameters are torchvision's where it has the network.
//!
//! | network | |
//! |---|---|
//! | [`UNet`] | the way down to small sizes and up again, with what was lost on the way |

mod unet;

pub use unet::{UNet, UNetOptions, UNetUpsampling};

use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{InterpolateMode, InterpolateOptions};

/// `[N, C, h, w]` with the height and width of another tensor `[.., H, W]`, by straight lines between pixels.
fn resized(input: &Tensor, like: &Tensor) -> Result<Tensor> {
    let size = like.shape()[like.rank() - 2..].to_vec();
    input.interpolate(&InterpolateOptions::default().size(size).mode(InterpolateMode::Bilinear))
}
