//! Activations, and flattening.

use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::{Module, Scope, parameters};

/// Layers that are one method of a tensor.
macro_rules! activations {
    ($($(#[$doc:meta])* $layer:ident, $method:ident;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("See [`Tensor::", stringify!($method), "`].")]
            #[derive(Clone, Copy, Debug, Default)]
            pub struct $layer;

            impl Module for $layer {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    input.$method()
                }
            }
        )*
    };
}

activations! {
    /// `max(x, 0)`.
    Relu, relu;
    /// `1 / (1 + e^-x)`.
    Sigmoid, sigmoid;
    /// The hyperbolic tangent.
    Tanh, tanh;
    /// `x sigmoid(x)`.
    Silu, silu;
    /// `x tanh(softplus(x))`.
    Mish, mish;
    /// `x Phi(x)`, with the normal distribution's `Phi`.
    Gelu, gelu;
    /// `x Phi(x)`, with `Phi` from a hyperbolic tangent.
    GeluTanh, gelu_tanh;
    /// `x / (1 + |x|)`.
    Softsign, softsign;
    /// `log(1 / (1 + e^-x))`.
    LogSigmoid, logsigmoid;
    /// `min(max(x, 0), 6)`.
    Relu6, relu6;
    /// `1.0507 x` above 0, `1.0507 * 1.6733 (e^x - 1)` below.
    Selu, selu;
    /// `min(max(x + 3, 0), 6) / 6`.
    Hardsigmoid, hardsigmoid;
    /// `x min(max(x + 3, 0), 6) / 6`.
    Hardswish, hardswish;
    /// `x - tanh(x)`.
    Tanhshrink, tanhshrink;
}

/// Layers that are one method of a tensor with numbers.
macro_rules! adjustable {
    ($(
        $(#[$doc:meta])*
        $layer:ident, $method:ident, { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }
    )*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("See [`Tensor::", stringify!($method), "`].")]
            #[derive(Clone, Copy, Debug)]
            pub struct $layer {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl Default for $layer {
                /// PyTorch's defaults.
                fn default() -> $layer {
                    $layer { $($field: $default,)* }
                }
            }

            impl Module for $layer {
                fn call(&self, input: &Tensor) -> Result<Tensor> {
                    input.$method($(self.$field),*)
                }
            }
        )*
    };
}

adjustable! {
    /// `x` above 0, `negative_slope x` below.
    LeakyRelu, leaky_relu, {
        /// The slope below 0.
        negative_slope: f64 = 0.01,
    }
    /// `x` above 0, `alpha (e^x - 1)` below.
    Elu, elu, {
        /// The depth of the plateau below 0.
        alpha: f64 = 1.0,
    }
    /// `x` above 0, `alpha (e^(x / alpha) - 1)` below.
    Celu, celu, {
        /// The depth of the plateau below 0.
        alpha: f64 = 1.0,
    }
    /// `log(1 + e^(beta x)) / beta`, and `x` where `beta x` is above `threshold`.
    Softplus, softplus, {
        /// Sharpness of the bend.
        beta: f64 = 1.0,
        /// The function is linear above this.
        threshold: f64 = 20.0,
    }
    /// `x` clipped below `min_val` and above `max_val`.
    Hardtanh, hardtanh, {
        /// The smallest value.
        min_val: f64 = -1.0,
        /// The largest value.
        max_val: f64 = 1.0,
    }
    /// 0 from `-lambd` to `lambd`, `x` elsewhere.
    Hardshrink, hardshrink, {
        /// Half the width of the interval of zeros.
        lambd: f64 = 0.5,
    }
    /// 0 from `-lambd` to `lambd`, and `x` moved towards 0 by that much elsewhere.
    Softshrink, softshrink, {
        /// Half the width of the interval of zeros.
        lambd: f64 = 0.5,
    }
    /// One half times the sigmoid of the other.
    Glu, glu, {
        /// The dimension that is halved.
        dim: isize = -1,
    }
}

/// `x` where it is above `threshold`, `value` elsewhere. See [`Tensor::threshold`].
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// Inputs up to this become `value`.
    pub threshold: f64,
    /// The output for those inputs.
    pub value: f64,
}

impl Module for Threshold {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.threshold(self.threshold, self.value)
    }
}

/// `x` above 0, `weight x` below, with a learned weight for all channels or for each. See [`Tensor::prelu`].
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, Prelu, Scope}};
/// # let device = Device::reference();
/// let layer = Prelu::new(&Scope::new(&device), 1, 0.25)?;
/// let x = Tensor::from_slice(&device, &[-4.0f32, 4.0], &[1, 2])?;
/// assert_eq!(layer.forward(&x)?.to_vec::<f32>()?, [-1.0, 4.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prelu {
    /// `[1]` or `[C]`.
    pub weight: Parameter,
}

impl Prelu {
    /// A layer with `num_parameters` weights, 1 or one for each channel, that start at `init` (PyTorch's defaults:
    /// 1 and 0.25).
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn new(scope: &Scope, num_parameters: usize, init: f64) -> Result<Prelu> {
        let weight = Tensor::filled(scope.device(), &[num_parameters], init)?;
        Ok(Prelu { weight: scope.parameter("weight", &weight) })
    }
}

impl Module for Prelu {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.prelu(&self.weight.value())
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight]
    }
}

/// Flattens everything but the batch into one dimension: `[N, C, H, W] -> [N, C H W]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Module for Flatten {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.flatten(1, -1)
    }
}
