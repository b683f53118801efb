//! Layers one after the other.

use crate::error::Result;
use crate::graph::{Tensor, ascribe_to_caller};
use crate::nn::{Children, Module, Scope};

/// Layers one after the other, PyTorch's `Sequential`. They are numbered from 0, or have names of their own.
///
/// [`make`](Sequential::make) makes a layer in the scope of its number, so that its parameters are named as PyTorch names
/// them; [`push`](Sequential::push) takes a layer that has no parameters, or one that was made elsewhere.
///
/// ```
/// use wgrad::nn::{Linear, Module, Relu, Scope, Sequential};
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let net = Sequential::new(&Scope::new(&device))
///     .make(|s| Linear::new(s, 4, 8))?
///     .push(Relu)
///     .make(|s| Linear::new(s, 8, 2))?;
/// assert_eq!(net.forward(&Tensor::ones(&device, &[3, 4])?)?.shape()[..], [3, 2]);
/// assert_eq!(net.parameters()[2].name(), "2.weight");
///
/// let net = Sequential::new(&Scope::new(&device))
///     .make_named("fc", |s| Linear::new(s, 4, 8))?
///     .push_named("activation", Relu);
/// assert_eq!(net.parameters()[0].name(), "fc.weight");
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Sequential {
    scope: Scope,
    layers: Vec<(String, Box<dyn Module>)>,
}

impl Sequential {
    /// No layers, which is the identity.
    pub fn new(scope: &Scope) -> Sequential {
        Sequential { scope: scope.clone(), layers: Vec::new() }
    }

    /// One more layer at the end, made in the scope of its number.
    ///
    /// # Errors
    /// Those of `layer`.
    pub fn make<M: Module + 'static>(self, layer: impl FnOnce(&Scope) -> Result<M>) -> Result<Sequential> {
        let number = self.layers.len();
        self.make_named(number, layer)
    }

    /// One more layer at the end, made in the scope of its name.
    ///
    /// # Errors
    /// Those of `layer`.
    pub fn make_named<M: Module + 'static>(
        self,
        name: impl ToString,
        layer: impl FnOnce(&Scope) -> Result<M>,
    ) -> Result<Sequential> {
        let layer = layer(&self.scope.at(name.to_string()))?;
        Ok(self.push_named(name, layer))
    }

    /// One more layer at the end, finished. Parameters it may have keep the names of the scope they were made in.
    #[must_use]
    pub fn push(self, layer: impl Module + 'static) -> Sequential {
        let number = self.layers.len();
        self.push_named(number, layer)
    }

    /// One more layer at the end, finished, under a name of its own.
    #[must_use]
    pub fn push_named(mut self, name: impl ToString, layer: impl Module + 'static) -> Sequential {
        self.layers.push((name.to_string(), Box::new(layer)));
        self
    }
}

impl Module for Sequential {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        self.layers.iter().try_fold(input.clone(), |value, (_, layer)| layer.forward(&value))
    }
    fn children(&self) -> Children<'_> {
        self.layers.iter().map(|(name, layer)| (name.clone(), &**layer)).collect()
    }
}
