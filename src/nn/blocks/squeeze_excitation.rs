//! Channels weighted by the content of the image.

use super::Activation;
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{AdaptiveAvgPool2d, Children, Conv2d, Module, Scope, children};
use crate::ops::Conv2dOptions;

/// Squeeze and excitation, `[N, C, H, W] -> [N, C, H, W]` (Hu et al., "Squeeze-and-Excitation Networks", 2018), as
/// torchvision's `SqueezeExcitation`: `x s(fc2(a(fc1(mean of each channel))))`, with 1 x 1 convolutions `fc1` and `fc2` to
/// `squeezed` channels and back.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::nn::blocks::{Activation, SqueezeExcitation};
/// # let device = Device::reference();
/// let block = SqueezeExcitation::new(&Scope::new(&device), 16, 4, Activation::Relu, Activation::Sigmoid)?;
/// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 16, 8, 8])?)?.shape()[..], [2, 16, 8, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct SqueezeExcitation {
    avgpool: AdaptiveAvgPool2d,
    fc1: Conv2d,
    activation: Activation,
    fc2: Conv2d,
    scale_activation: Activation,
}

impl SqueezeExcitation {
    /// A block of new weights; torchvision's default activations are `Relu` and `Sigmoid`.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    pub fn new(
        scope: &Scope,
        channels: usize,
        squeezed: usize,
        activation: Activation,
        scale_activation: Activation,
    ) -> Result<SqueezeExcitation> {
        let pointwise = Conv2dOptions::default();
        Ok(SqueezeExcitation {
            avgpool: AdaptiveAvgPool2d { output_size: [Some(1); 2] },
            fc1: Conv2d::new(&scope.at("fc1"), channels, squeezed, 1, &pointwise)?,
            activation,
            fc2: Conv2d::new(&scope.at("fc2"), squeezed, channels, 1, &pointwise)?,
            scale_activation,
        })
    }
}

impl Module for SqueezeExcitation {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let squeezed = self.fc1.forward(&self.avgpool.forward(input)?)?;
        let scale = self.fc2.forward(&self.activation.forward(&squeezed)?)?;
        input.mul(&self.scale_activation.forward(&scale)?)
    }
    fn children(&self) -> Children<'_> {
        children![self; avgpool, fc1, activation, fc2, scale_activation]
    }
}
