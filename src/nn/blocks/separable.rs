//! Blocks around a convolution of each channel alone.

use super::{
    Activation, ConvNormActivation, ConvNormActivationOptions, NormLayer, SqueezeExcitation, StochasticDepth,
    StochasticDepthMode,
};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{Children, Module, Scope, Sequential, children};
use crate::options::options;

/// A depthwise separable convolution, `[N, in, H, W] -> [N, out, H', W']` (Howard et al., "MobileNets", 2017): `depthwise`, a
/// convolution of each channel alone, then `pointwise`, 1 x 1 across channels, each with its normalization and activation.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::nn::blocks::{ConvNormActivationOptions, DepthwiseSeparable};
/// # let device = Device::reference();
/// let options = ConvNormActivationOptions::default().stride(2);
/// let block = DepthwiseSeparable::new(&Scope::new(&device), 8, 16, &options)?;
/// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 8, 6, 6])?)?.shape()[..], [2, 16, 3, 3]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct DepthwiseSeparable {
    depthwise: ConvNormActivation,
    pointwise: ConvNormActivation,
}

impl DepthwiseSeparable {
    /// A block of new weights. The options' window is that of the depthwise convolution, and `groups` has no meaning.
    ///
    /// # Errors
    /// Those of [`Conv2d::new`](crate::nn::Conv2d::new).
    pub fn new(
        scope: &Scope,
        inputs: usize,
        outputs: usize,
        options: &ConvNormActivationOptions,
    ) -> Result<DepthwiseSeparable> {
        let ConvNormActivationOptions { norm, activation, bias, .. } = *options;
        let depthwise = ConvNormActivationOptions { groups: inputs, ..*options };
        let pointwise =
            ConvNormActivationOptions::default().kernel_size(1).norm(norm).activation(activation).bias(bias);
        Ok(DepthwiseSeparable {
            depthwise: ConvNormActivation::new(&scope.at("depthwise"), inputs, inputs, &depthwise)?,
            pointwise: ConvNormActivation::new(&scope.at("pointwise"), inputs, outputs, &pointwise)?,
        })
    }
}

impl Module for DepthwiseSeparable {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.pointwise.forward(&self.depthwise.forward(input)?)
    }
    fn children(&self) -> Children<'_> {
        children![self; depthwise, pointwise]
    }
}

options! {
    /// Options of [`InvertedResidual`]; by default MobileNetV2's block, without squeeze and excitation or stochastic
    /// depth.
    #[derive(Clone, Copy, Debug)]
    InvertedResidualOptions {
        /// Height and width of the depthwise filters.
        kernel_size: usize = 3,
        /// Step of the depthwise convolution.
        stride: usize = 1,
        /// Step between the elements of its windows.
        dilation: usize = 1,
        /// Channels of squeeze and excitation, or none.
        squeezed: Option<usize> = None,
        /// The activation after all convolutions but the last.
        activation: Activation = Activation::Relu6,
        /// The activations of squeeze and excitation.
        squeeze_activations: [Activation; 2] = [Activation::Relu, Activation::Hardsigmoid],
        /// The normalization after all convolutions.
        norm: NormLayer = NormLayer::default(),
        /// The probability with which the branch is dropped in training, where there is a shortcut; see [`StochasticDepth`].
        stochastic_depth: f64 = 0.0,
    }
}

/// An inverted residual block, `[N, in, H, W] -> [N, out, H', W']` (Sandler et al., "MobileNetV2", 2018): a 1 x 1 convolution
/// to `expanded` channels (left out where there are as many already), a convolution of each channel alone, squeeze and
/// excitation where asked for, and a 1 x 1 convolution without an activation. The input is added where stride is 1 and
/// channels stay.
///
/// The layers are `block.0` and on, as those of torchvision's MobileNetV3 and EfficientNet.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// use wgrad::nn::blocks::{InvertedResidual, InvertedResidualOptions};
/// # let device = Device::reference();
/// let options = InvertedResidualOptions::default().squeezed(4);
/// let block = InvertedResidual::new(&Scope::new(&device), 8, 32, 8, &options)?;
/// assert_eq!(block.forward(&Tensor::ones(&device, &[2, 8, 6, 6])?)?.shape()[..], [2, 8, 6, 6]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct InvertedResidual {
    block: Sequential,
    /// Present if the input is added.
    stochastic_depth: Option<StochasticDepth>,
}

impl InvertedResidualOptions {
    fn pointwise(&self) -> ConvNormActivationOptions {
        ConvNormActivationOptions::default().kernel_size(1).norm(self.norm).activation(self.activation)
    }

    /// The first convolution.
    pub(crate) fn expansion(&self, scope: &Scope, inputs: usize, expanded: usize) -> Result<ConvNormActivation> {
        ConvNormActivation::new(scope, inputs, expanded, &self.pointwise())
    }

    /// The layers after the first convolution, at the end of others.
    pub(crate) fn projected(&self, mut layers: Sequential, expanded: usize, outputs: usize) -> Result<Sequential> {
        let InvertedResidualOptions { kernel_size, stride, dilation, squeezed, squeeze_activations, .. } = *self;
        let depthwise = ConvNormActivationOptions {
            kernel_size: [kernel_size; 2],
            stride: [stride; 2],
            dilation: [dilation; 2],
            groups: expanded,
            ..self.pointwise()
        };
        layers = layers.make(|s| ConvNormActivation::new(s, expanded, expanded, &depthwise))?;
        if let Some(squeezed) = squeezed {
            let [activation, scale] = squeeze_activations;
            layers = layers.make(|s| SqueezeExcitation::new(s, expanded, squeezed, activation, scale))?;
        }
        let projection = ConvNormActivationOptions { activation: None, ..self.pointwise() };
        layers.make(|s| ConvNormActivation::new(s, expanded, outputs, &projection))
    }
}

impl InvertedResidual {
    /// A block of new weights.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `stride` is 0 or `stochastic_depth` not from 0 to 1; those of
    /// [`Conv2d::new`](crate::nn::Conv2d::new).
    pub fn new(
        scope: &Scope,
        inputs: usize,
        expanded: usize,
        outputs: usize,
        options: &InvertedResidualOptions,
    ) -> Result<InvertedResidual> {
        let InvertedResidualOptions { stride, .. } = *options;
        if stride == 0 {
            return Err(Error::invalid("InvertedResidual", "stride is 0; it must be 1 or more"));
        }
        let mut block = Sequential::new(&scope.at("block"));
        if expanded != inputs {
            block = block.make(|s| options.expansion(s, inputs, expanded))?;
        }
        let block = options.projected(block, expanded, outputs)?;
        let stochastic_depth = StochasticDepth::new(options.stochastic_depth, StochasticDepthMode::Row)?;
        let has_shortcut = stride == 1 && inputs == outputs;
        Ok(InvertedResidual { block, stochastic_depth: has_shortcut.then_some(stochastic_depth) })
    }
}

impl Module for InvertedResidual {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.block.forward(input)?;
        match &self.stochastic_depth {
            Some(stochastic_depth) => stochastic_depth.forward(&output)?.add(input),
            None => Ok(output),
        }
    }
    fn children(&self) -> Children<'_> {
        children![self; block, stochastic_depth]
    }
}
