//! The device and the names of parameters.

use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Registry, Tensor};
use std::sync::Arc;

/// A device, and the prefix of the names of the parameters made in it.
///
/// A scope and the scopes within it register the parameters that are made there. Training refuses a module that reaches some of
/// them and not all: a layer that `children()` forgets would silently not train. Give every model a [`Scope::new`] of its own,
/// also the two of a GAN.
///
/// ```
/// use wgrad::Device;
/// use wgrad::nn::Scope;
/// let scope = Scope::new(&Device::reference());
/// assert_eq!(scope.at("features").at(0).name(), "features.0");
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    device: Device,
    name: String,
    registry: Arc<Registry>,
}

impl Scope {
    /// The outermost scope, which has no name.
    pub fn new(device: &Device) -> Scope {
        Scope { device: device.clone(), name: String::new(), registry: Arc::default() }
    }

    /// An inner scope: a field's name, or a number in a sequence.
    pub fn at(&self, name: impl ToString) -> Scope {
        Scope { name: self.name_of(&name.to_string()), ..self.clone() }
    }

    /// The device parameters are made on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The dotted name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A parameter drawn uniformly from `-1 / sqrt(fan_in)` to `1 / sqrt(fan_in)`, PyTorch's default for weights
    /// (`kaiming_uniform` with `a = sqrt(5)`) and biases, from the device's random stream.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyDimensions`]; [`Error::Invalid`] if `fan_in` is 0.
    pub fn uniform(&self, name: &str, shape: &[usize], fan_in: usize) -> Result<Parameter> {
        if fan_in == 0 {
            let rule = format!("{} would have no inputs (shape {shape:?})", self.name_of(name));
            return Err(Error::invalid("parameter", rule));
        }
        let bound = 1.0 / (fan_in as f64).sqrt();
        Ok(self.parameter(name, &Tensor::uniform(&self.device, shape, -bound, bound)?))
    }

    /// A trained parameter of this scope that starts with a value.
    pub fn parameter(&self, name: &str, value: &Tensor) -> Parameter {
        Parameter::registered(self.name_of(name), value, false, &self.registry)
    }

    /// State of this scope that is kept and not trained, such as running statistics.
    pub fn buffer(&self, name: &str, value: &Tensor) -> Parameter {
        Parameter::registered(self.name_of(name), value, true, &self.registry)
    }

    fn name_of(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_string() } else { format!("{}.{name}", self.name) }
    }
}
