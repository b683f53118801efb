//! A convolution, its normalization and an activation.

use super::{Activation, NormLayer};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{Children, Conv2d, Module, Scope, Sequential};
use crate::ops::{Conv2dOptions, Padding};
use crate::options::options;

options! {
    /// Options of [`ConvNormActivation`]; the defaults are those of torchvision's `Conv2dNormActivation`.
    #[derive(Clone, Copy, Debug)]
    ConvNormActivationOptions {
        /// Height and width of the filters.
        kernel_size: [usize; 2] = [3; 2],
        /// Step between windows.
        stride: [usize; 2] = [1; 2],
        /// Zeros at both ends; `None` for `(kernel_size - 1) / 2 dilation`, which keeps the size at stride 1.
        padding: Option<[usize; 2]> = None,
        /// Step between the elements of a window.
        dilation: [usize; 2] = [1; 2],
        /// Groups of channels that don't see each other.
        groups: usize = 1,
        /// The normalization, or none.
        norm: Option<NormLayer> = Some(NormLayer::default()),
        /// The activation, or none.
        activation: Option<Activation> = Some(Activation::Relu),
        /// Adds a bias to the convolution; `None` where no normalization follows, which would take it away again.
        bias: Option<bool> = None,
    }
}

/// A convolution, batch normalization and an activation, `[N, in, H, W] -> [N, out, H', W']`: layers `0`, `1` and `2`, as
/// torchvision's `Conv2dNormActivation`.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::nn::blocks::{ConvNormActivation, ConvNormActivationOptions};
/// # let device = Device::reference();
/// let options = ConvNormActivationOptions::default().stride(2);
/// let block = ConvNormActivation::new(&Scope::new(&device).at("stem"), 3, 16, &options)?;
/// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 3, 8, 8])?)?.shape()[..], [2, 16, 4, 4]);
/// assert_eq!(block.parameters()[1].name(), "stem.1.weight");
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct ConvNormActivation {
    layers: Sequential,
}

impl ConvNormActivation {
    /// A block of new weights.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`].
    pub fn new(
        scope: &Scope,
        inputs: usize,
        outputs: usize,
        options: &ConvNormActivationOptions,
    ) -> Result<ConvNormActivation> {
        let ConvNormActivationOptions { kernel_size, stride, padding, dilation, groups, norm, activation, bias } =
            *options;
        let half = |at: usize| kernel_size[at].saturating_sub(1) / 2 * dilation[at];
        let padding = Padding::Explicit(padding.unwrap_or([half(0), half(1)]));
        let convolution = Conv2dOptions { stride, padding, dilation, groups };
        let mut layers = Sequential::new(scope).make(|s| match bias.unwrap_or(norm.is_none()) {
            true => Conv2d::new(s, inputs, outputs, kernel_size, &convolution),
            false => Conv2d::without_bias(s, inputs, outputs, kernel_size, &convolution),
        })?;
        if let Some(norm) = norm {
            layers = layers.make(|s| norm.layer(s, outputs))?;
        }
        if let Some(activation) = activation {
            layers = layers.push(activation);
        }
        Ok(ConvNormActivation { layers })
    }
}

impl Module for ConvNormActivation {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.layers.call(input)
    }
    fn children(&self) -> Children<'_> {
        self.layers.children()
    }
}
