//! Layers without parameters: activations, and flattening.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;

/// Layers that are one method of a tensor.
macro_rules! activations {
    ($($(#[$doc:meta])* $layer:ident, $method:ident;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("See [`Tensor::", stringify!($method), "`].")]
            #[derive(Clone, Copy, Debug, Default)]
            pub struct $layer;

            impl Module for $layer {
                fn forward(&self, input: &Tensor) -> Result<Tensor> {
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
    /// `x / (1 + |x|)`.
    Softsign, softsign;
}

/// `x` above 0, `negative_slope x` below.
#[derive(Clone, Copy, Debug)]
pub struct LeakyRelu {
    /// The slope below 0.
    pub negative_slope: f32,
}

impl Default for LeakyRelu {
    fn default() -> LeakyRelu {
        LeakyRelu { negative_slope: 0.01 }
    }
}

impl Module for LeakyRelu {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.leaky_relu(self.negative_slope)
    }
}

/// `x` above 0, `alpha (e^x - 1)` below.
#[derive(Clone, Copy, Debug)]
pub struct Elu {
    /// The depth of the plateau below 0.
    pub alpha: f32,
}

impl Default for Elu {
    fn default() -> Elu {
        Elu { alpha: 1.0 }
    }
}

impl Module for Elu {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.elu(self.alpha)
    }
}

/// `log(1 + e^(beta x)) / beta`, and `x` where `beta x` is above `threshold`.
#[derive(Clone, Copy, Debug)]
pub struct Softplus {
    /// How sharp the bend is.
    pub beta: f32,
    /// Where it counts as straight.
    pub threshold: f32,
}

impl Default for Softplus {
    fn default() -> Softplus {
        Softplus { beta: 1.0, threshold: 20.0 }
    }
}

impl Module for Softplus {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.softplus(self.beta, self.threshold)
    }
}

/// Everything but the batch in one dimension: `[N, C, H, W] -> [N, C H W]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Module for Flatten {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.flatten(1, -1)
    }
}
