//! The convolutional layer.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{Module, Scope};
use crate::ops::Conv2dOptions;

/// A convolution with learned filters: `[N, in, H, W] -> [N, out, H', W']` (see [`Tensor::conv2d`]).
///
/// `weight` `[out, in / groups, kH, kW]` and `bias` `[out]` start uniform within
/// `1 / sqrt(in / groups * kH * kW)` of 0.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, kH, kW]`.
    pub weight: Parameter,
    /// `[out]`.
    pub bias: Option<Parameter>,
    /// Stride, padding, dilation, groups.
    pub options: Conv2dOptions,
}

impl Conv2d {
    /// A layer with a bias.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `groups` does not divide both channel counts or the filters would be empty,
    /// [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Conv2dOptions, Device, Tensor, nn::{Conv2d, Module, Scope}};
    /// # let device = Device::reference();
    /// let layer = Conv2d::new(&Scope::new(&device).at("conv"), 3, 8, [3, 3], &Conv2dOptions::default())?;
    /// assert_eq!(layer.weight.name(), "conv.weight");
    /// assert_eq!(layer.forward(&Tensor::ones(&device, &[2, 3, 9, 9])?)?.shape()[..], [2, 8, 7, 7]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(
        scope: &Scope,
        inputs: usize,
        outputs: usize,
        kernel_size: [usize; 2],
        options: &Conv2dOptions,
    ) -> Result<Conv2d> {
        let mut layer = Conv2d::without_bias(scope, inputs, outputs, kernel_size, options)?;
        let fan_in = layer.weight.value().shape()[1..].iter().product();
        layer.bias = Some(scope.uniform("bias", &[outputs], fan_in)?);
        Ok(layer)
    }

    /// A layer without a bias.
    ///
    /// # Errors
    /// As [`new`](Conv2d::new).
    pub fn without_bias(
        scope: &Scope,
        inputs: usize,
        outputs: usize,
        kernel_size: [usize; 2],
        options: &Conv2dOptions,
    ) -> Result<Conv2d> {
        let groups = options.groups;
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let rule = format!("groups {groups} must divide the {inputs} input and {outputs} output channels");
            return Err(Error::invalid("Conv2d", rule));
        }
        let shape = [outputs, inputs / groups, kernel_size[0], kernel_size[1]];
        let weight = scope.uniform("weight", &shape, shape[1..].iter().product())?;
        Ok(Conv2d { weight, bias: None, options: *options })
    }
}

impl Module for Conv2d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.conv2d(&self.weight.value(), self.bias.as_ref().map(Parameter::value).as_ref(), &self.options)
    }
    fn parameters(&self) -> Vec<Parameter> {
        [Some(self.weight.clone()), self.bias.clone()].into_iter().flatten().collect()
    }
}
