//! Layers that normalize each sample by itself, and are the same in training and evaluation.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{Module, Scope, parameters};
use crate::options::options;

/// A weight of ones and a bias of zeros, if they are wanted.
pub(super) fn affine(
    scope: &Scope,
    shape: &[usize],
    weight: bool,
    bias: bool,
) -> Result<(Option<Parameter>, Option<Parameter>)> {
    let make = |name: &str, value: f64| Ok(scope.parameter(name, &Tensor::filled(scope.device(), shape, value)?));
    let weight = if weight { Some(make("weight", 1.0)?) } else { None };
    let bias = if bias { Some(make("bias", 0.0)?) } else { None };
    Ok((weight, bias))
}

fn value(parameter: &Option<Parameter>) -> Option<Tensor> {
    parameter.as_ref().map(Parameter::value)
}

options! {
    /// Options of [`LayerNorm`]; the defaults are PyTorch's.
    #[derive(Clone, Copy, Debug, PartialEq)]
    LayerNormOptions {
        /// Added to the variance.
        eps: f64 = 1e-5,
        /// Adds a weight, and with `bias` a bias.
        elementwise_affine: bool = true,
        /// Adds a bias besides the weight.
        bias: bool = true,
    }
}

/// Each sample normalized over its last dimensions: `[.., normalized_shape]` (see [`Tensor::layer_norm`]).
///
/// `weight` starts with ones and `bias` with zeros.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{LayerNorm, LayerNormOptions, Module, Scope}};
/// # let device = Device::reference();
/// let layer = LayerNorm::new(&Scope::new(&device), &[5], &LayerNormOptions::default())?;
/// assert_eq!(layer.forward(&Tensor::ones(&device, &[2, 5])?)?.to_vec::<f32>()?, [0.0; 10]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// `normalized_shape`.
    pub weight: Option<Parameter>,
    /// `normalized_shape`.
    pub bias: Option<Parameter>,
    /// The sizes of the dimensions that are normalized together.
    pub normalized_shape: Vec<usize>,
    /// Added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// A layer for inputs that end in `normalized_shape`.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyDimensions`].
    pub fn new(scope: &Scope, normalized_shape: &[usize], options: &LayerNormOptions) -> Result<LayerNorm> {
        let LayerNormOptions { eps, elementwise_affine, bias } = *options;
        let (weight, bias) = affine(scope, normalized_shape, elementwise_affine, elementwise_affine && bias)?;
        Ok(LayerNorm { weight, bias, normalized_shape: normalized_shape.to_vec(), eps })
    }
}

impl Module for LayerNorm {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (value(&self.weight), value(&self.bias));
        input.layer_norm(&self.normalized_shape, weight.as_ref(), bias.as_ref(), self.eps)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight, bias]
    }
}

options! {
    /// Options of [`GroupNorm`]; the defaults are PyTorch's.
    #[derive(Clone, Copy, Debug, PartialEq)]
    GroupNormOptions {
        /// Added to the variance.
        eps: f64 = 1e-5,
        /// Adds a weight and a bias.
        affine: bool = true,
    }
}

/// Each group of channels of each sample normalized: `[N, C, ..]` (see [`Tensor::group_norm`]).
///
/// `weight` `[C]` starts with ones and `bias` `[C]` with zeros.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// `[C]`.
    pub weight: Option<Parameter>,
    /// `[C]`.
    pub bias: Option<Parameter>,
    /// Number of groups of channels.
    pub num_groups: usize,
    /// Added to the variance.
    pub eps: f64,
}

impl GroupNorm {
    /// A layer for inputs of `num_channels` channels.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `num_groups` does not divide them; [`Error::TooLarge`].
    pub fn new(scope: &Scope, num_groups: usize, num_channels: usize, options: &GroupNormOptions) -> Result<GroupNorm> {
        if num_groups == 0 || !num_channels.is_multiple_of(num_groups) {
            let rule = format!("num_groups {num_groups} must divide num_channels {num_channels}");
            return Err(Error::invalid("GroupNorm", rule));
        }
        let (weight, bias) = affine(scope, &[num_channels], options.affine, options.affine)?;
        Ok(GroupNorm { weight, bias, num_groups, eps: options.eps })
    }
}

impl Module for GroupNorm {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (value(&self.weight), value(&self.bias));
        input.group_norm(self.num_groups, weight.as_ref(), bias.as_ref(), self.eps)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight, bias]
    }
}

options! {
    /// Options of [`RmsNorm`]; the defaults are PyTorch's.
    #[derive(Clone, Copy, Debug, PartialEq)]
    RmsNormOptions {
        /// Added to the mean square; f32's epsilon if it is left out.
        eps: Option<f64> = None,
        /// Adds a weight.
        elementwise_affine: bool = true,
    }
}

/// Each sample divided by its root mean square over its last dimensions: `[.., normalized_shape]` (see
/// [`Tensor::rms_norm`]).
///
/// `weight` starts with ones.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    /// `normalized_shape`.
    pub weight: Option<Parameter>,
    /// The sizes of the dimensions that are normalized together.
    pub normalized_shape: Vec<usize>,
    /// Added to the mean square; f32's epsilon if it is left out.
    pub eps: Option<f64>,
}

impl RmsNorm {
    /// A layer for inputs that end in `normalized_shape`.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyDimensions`].
    pub fn new(scope: &Scope, normalized_shape: &[usize], options: &RmsNormOptions) -> Result<RmsNorm> {
        let (weight, _) = affine(scope, normalized_shape, options.elementwise_affine, false)?;
        Ok(RmsNorm { weight, normalized_shape: normalized_shape.to_vec(), eps: options.eps })
    }
}

impl Module for RmsNorm {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.rms_norm(&self.normalized_shape, value(&self.weight).as_ref(), self.eps)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight]
    }
}

/// Each element divided by a power of the squares around it in neighbouring channels: `[N, C, ..]` (see
/// [`Tensor::local_response_norm`]).
#[derive(Clone, Copy, Debug)]
pub struct LocalResponseNorm {
    /// Number of neighbouring channels.
    pub size: usize,
    /// Weight of their mean square.
    pub alpha: f64,
    /// The power.
    pub beta: f64,
    /// Added to the weighted mean square.
    pub k: f64,
}

impl LocalResponseNorm {
    /// A layer with PyTorch's other defaults: `alpha` 1e-4, `beta` 0.75, `k` 1.
    pub fn new(size: usize) -> LocalResponseNorm {
        LocalResponseNorm { size, alpha: 1e-4, beta: 0.75, k: 1.0 }
    }
}

impl Module for LocalResponseNorm {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.local_response_norm(self.size, self.alpha, self.beta, self.k)
    }
}
