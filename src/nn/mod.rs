//! Layers: what a network is built from. Names, shapes and initial values are PyTorch's.

mod activation;
mod conv;
mod embedding;
mod linear;
mod pool;
mod scope;
mod sequential;

pub use activation::{Elu, Flatten, Gelu, LeakyRelu, Mish, Relu, Sigmoid, Silu, Softplus, Softsign, Tanh};
pub use conv::Conv2d;
pub use embedding::Embedding;
pub use linear::Linear;
pub use pool::{AvgPool2d, MaxPool2d};
pub use scope::Scope;
pub use sequential::Sequential;

use crate::error::Result;
use crate::graph::{Parameter, Tensor};

/// A part of a network: a map of tensors, with the parameters it holds.
///
/// ```
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::{Device, Parameter, Result, Tensor};
///
/// struct Residual {
///     fc: Linear,
/// }
///
/// impl Module for Residual {
///     fn forward(&self, input: &Tensor) -> Result<Tensor> {
///         self.fc.forward(input)?.relu()?.add(input)
///     }
///     fn parameters(&self) -> Vec<Parameter> {
///         self.fc.parameters()
///     }
/// }
///
/// let scope = Scope::new(&Device::reference());
/// let block = Residual { fc: Linear::new(&scope.at("fc"), 8, 8)? };
/// let names: Vec<String> = block.parameters().iter().map(|p| p.name().to_string()).collect();
/// assert_eq!(names, ["fc.weight", "fc.bias"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Module: Send + Sync {
    /// The output for an input.
    ///
    /// # Errors
    /// Those of the operations it is made of.
    fn forward(&self, input: &Tensor) -> Result<Tensor>;

    /// Everything it holds, under the dotted names of PyTorch's `state_dict`, in a fixed order.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }
}
