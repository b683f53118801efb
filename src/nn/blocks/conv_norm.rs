//! A convolution, its normalization and an activation.

use super::{Activation, Norm, NormLayer};
use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{Children, Conv2d, Module, Scope};
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
        /// Zeros at both ends; `None` means `(kernel_size - 1) / 2 dilation`, which keeps the size at stride 1.
        padding: Option<[usize; 2]> = None,
        /// Step between the elements of a window.
        dilation: [usize; 2] = [1; 2],
        /// Groups of channels that don't see each other.
        groups: usize = 1,
        /// The normalization, or none.
        norm: Option<NormLayer> = Some(NormLayer::default()),
        /// The activation, or none.
        activation: Option<Activation> = Some(Activation::Relu),
        /// Adds a bias to the convolution; `None` adds one only if no normalization follows, which would cancel it.
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
    convolution: Conv2d,
    norm: Option<Box<dyn Norm>>,
    activation: Option<Activation>,
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
        let half = |at: usize| (kernel_size[at].saturating_sub(1) / 2).saturating_mul(dilation[at]);
        let padding = Padding::Explicit(padding.unwrap_or([half(0), half(1)]));
        let convolution = Conv2dOptions { stride, padding, dilation, groups };
        let convolution = match bias.unwrap_or(norm.is_none()) {
            true => Conv2d::new(&scope.at(0), inputs, outputs, kernel_size, &convolution)?,
            false => Conv2d::without_bias(&scope.at(0), inputs, outputs, kernel_size, &convolution)?,
        };
        let norm = norm.map(|norm| norm.layer(&scope.at(1), outputs)).transpose()?;
        Ok(ConvNormActivation { convolution, norm, activation })
    }

    /// The output for images, of which only those with `counts` (`[N]`, bool) true enter the statistics in training.
    pub(crate) fn forward_rows(&self, input: &Tensor, counts: &Tensor) -> Result<Tensor> {
        let mut x = self.convolution.forward(input)?;
        if let Some(norm) = &self.norm {
            x = norm.forward_rows(&x, counts)?;
        }
        self.activation.as_ref().map_or_else(|| Ok(x.clone()), |activation| activation.forward(&x))
    }
}

impl Module for ConvNormActivation {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let mut x = self.convolution.forward(input)?;
        if let Some(norm) = &self.norm {
            x = norm.forward(&x)?;
        }
        self.activation.as_ref().map_or_else(|| Ok(x.clone()), |activation| activation.forward(&x))
    }
    fn children(&self) -> Children<'_> {
        let norm = self.norm.as_ref().map(|norm| norm as &dyn Module);
        let activation = self.activation.as_ref().map(|activation| activation as &dyn Module);
        let layers = std::iter::once(&self.convolution as &dyn Module).chain(norm).chain(activation);
        layers.enumerate().map(|(number, layer)| (number.to_string(), layer)).collect()
    }
}
