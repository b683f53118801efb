//! Layers one after the other.

use crate::error::Result;
use crate::graph::{Tensor, ascribe_to_caller};
use crate::nn::Module;

/// Layers one after the other.
///
/// ```
/// use wgrad::nn::{Linear, Module, Relu, Scope, Sequential};
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let scope = Scope::new(&device);
/// let net = Sequential::new()
///     .push(Linear::new(&scope.at(0), 4, 8)?)
///     .push(Relu)
///     .push(Linear::new(&scope.at(2), 8, 2)?);
/// assert_eq!(net.forward(&Tensor::ones(&device, &[3, 4])?)?.shape()[..], [3, 2]);
/// assert_eq!(net.parameters()[2].name(), "2.weight");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Module>>,
}

impl Sequential {
    /// No layers: the identity.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// One more layer at the end. Its parameters keep the names of the scope it was made in.
    #[must_use]
    pub fn push(mut self, layer: impl Module + 'static) -> Sequential {
        self.layers.push(Box::new(layer));
        self
    }
}

impl Module for Sequential {
    #[track_caller]
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        self.layers.iter().try_fold(input.clone(), |value, layer| layer.forward(&value))
    }
    fn children(&self) -> Vec<&dyn Module> {
        self.layers.iter().map(|layer| &**layer as &dyn Module).collect()
    }
}
