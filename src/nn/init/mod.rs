//! Initial values of parameters: PyTorch's `torch.nn.init`, drawn from the device's random stream.
//!
//! Each function gives a parameter another value. Its gradient and an optimizer's moments stay as they are, so call it before
//! training.
//!
//! ```
//! use wgrad::nn::init::{self, FanMode, Nonlinearity};
//! use wgrad::nn::{Linear, Scope};
//! use wgrad::Device;
//!
//! let layer = Linear::new(&Scope::new(&Device::reference()), 64, 32)?;
//! init::kaiming_normal(&layer.weight, FanMode::FanOut, Nonlinearity::Relu)?;
//! init::zeros(layer.bias.as_ref().unwrap())?;
//! # Ok::<(), wgrad::Error>(())
//! ```

mod distributions;
mod structured;

pub use distributions::{
    kaiming_normal, kaiming_uniform, normal, trunc_normal, uniform, xavier_normal, xavier_uniform,
};
pub use structured::{constant, dirac, eye, ones, orthogonal, sparse, zero_last_norm, zeros};

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad};
use crate::shape::Shape;

/// The side whose variance [`kaiming_normal`] and [`kaiming_uniform`] preserve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FanMode {
    /// That of values in the forward pass.
    #[default]
    FanIn,
    /// That of gradients in the backward pass.
    FanOut,
}

/// The function behind a layer, by which its weights are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nonlinearity {
    /// None: linear and convolutional layers themselves.
    Linear,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, and below it times a slope (PyTorch's `a`; 0.01 by default there).
    LeakyRelu(f64),
    /// The self-normalizing unit.
    Selu,
}

impl Nonlinearity {
    /// The factor by which weights compensate for it (PyTorch's `calculate_gain`): 1 for linear layers and the sigmoid, 5/3 for
    /// the hyperbolic tangent, `sqrt(2)` for the rectifier, `sqrt(2 / (1 + slope^2))` for the leaky one, 3/4 for SELU.
    pub fn gain(self) -> f64 {
        match self {
            Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
            Nonlinearity::Tanh => 5.0 / 3.0,
            Nonlinearity::Relu => std::f64::consts::SQRT_2,
            Nonlinearity::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            Nonlinearity::Selu => 0.75,
        }
    }
}

/// Fans of a weight `[out, in, ..kernel]`: the number of inputs of an output, and the number of outputs of an input,
/// `in * kernel` and `out * kernel`.
///
/// # Errors
/// [`Error::Invalid`] if the shape has less than two dimensions.
///
/// ```
/// assert_eq!(wgrad::nn::init::fans(&[64, 3, 7, 7])?, (147, 3136));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn fans(shape: &[usize]) -> Result<(usize, usize)> {
    let &[outputs, inputs, ref kernel @ ..] = shape else {
        let rule =
            format!("a weight needs two dimensions or more, [out, in, ..], to have fans; its shape is {shape:?}");
        return Err(Error::invalid("init", rule));
    };
    let taps = kernel.iter().fold(1usize, |product, &size| product.saturating_mul(size));
    Ok((inputs.saturating_mul(taps), outputs.saturating_mul(taps)))
}

/// Sets a parameter to the value that `make` makes for its shape; f32 is rounded to the parameter's type.
#[track_caller]
fn set(parameter: &Parameter, make: impl FnOnce(&crate::Device, &Shape) -> Result<Tensor>) -> Result<()> {
    let (shape, dtype, device) = parameter.holds();
    if !dtype.is_float() {
        return Err(Error::WrongDType { op: "init", expected: "a parameter of floats", got: dtype });
    }
    no_grad(|| parameter.assign(&make(&device, &shape)?.to_dtype(dtype)?))
}

/// Checks that a number is finite and not negative.
fn spread(name: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid("init", format!("{name} is {value}; it must be finite and not negative")))
}
