//! The choice of an activation.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;

/// The activation of a block; also a layer by itself.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{Module, blocks::Activation}};
/// let x = Tensor::from_slice(&Device::reference(), &[-4.0f32, 7.0], &[2])?;
/// assert_eq!(Activation::Relu6.forward(&x)?.to_vec::<f32>()?, [0.0, 6.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// [`Tensor::relu`].
    #[default]
    Relu,
    /// [`Tensor::relu6`].
    Relu6,
    /// [`Tensor::silu`].
    Silu,
    /// [`Tensor::hardswish`].
    Hardswish,
    /// [`Tensor::gelu`].
    Gelu,
    /// [`Tensor::mish`].
    Mish,
    /// [`Tensor::tanh`].
    Tanh,
    /// [`Tensor::sigmoid`].
    Sigmoid,
    /// [`Tensor::hardsigmoid`].
    Hardsigmoid,
}

impl Module for Activation {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Relu => input.relu(),
            Activation::Relu6 => input.relu6(),
            Activation::Silu => input.silu(),
            Activation::Hardswish => input.hardswish(),
            Activation::Gelu => input.gelu(),
            Activation::Mish => input.mish(),
            Activation::Tanh => input.tanh(),
            Activation::Sigmoid => input.sigmoid(),
            Activation::Hardsigmoid => input.hardsigmoid(),
        }
    }
    fn type_name(&self) -> String {
        format!("{self:?}")
    }
}
