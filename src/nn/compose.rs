//! Small pieces that networks are composed of: the identity, a function as a layer, a residual connection.

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::{Children, Module, Scope, children};

/// The identity, PyTorch's `Identity`: replaces a layer that is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Module for Identity {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        Ok(input.clone())
    }
}

/// A function as a layer without parameters.
///
/// ```
/// use wgrad::nn::{Lambda, Linear, Module, Scope, Sequential};
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let net = Sequential::new(&Scope::new(&device))
///     .push(Lambda::new(|x: &Tensor| x.flatten(1, -1)?.square()))
///     .make(|s| Linear::new(s, 12, 2))?;
/// assert_eq!(net.forward(&Tensor::ones(&device, &[5, 3, 4])?)?.shape()[..], [5, 2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lambda<F> {
    function: F,
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> Lambda<F> {
    /// The layer that computes `function`.
    pub fn new(function: F) -> Lambda<F> {
        Lambda { function }
    }
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> Module for Lambda<F> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        (self.function)(input)
    }
}

/// `body(x) + shortcut(x)`, with `x` itself where there is no shortcut (He et al. 2015). The two have the names `body` and
/// `shortcut`.
///
/// ```
/// use wgrad::nn::{Linear, Module, Relu, Residual, Scope, Sequential};
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let block = Residual::new(&Scope::new(&device), |s| Ok(Sequential::new(s).make(|s| Linear::new(s, 4, 6))?.push(Relu)))?
///     .shortcut(|s| Linear::without_bias(s, 4, 6))?;
/// assert_eq!(block.forward(&Tensor::ones(&device, &[3, 4])?)?.shape()[..], [3, 6]);
/// assert_eq!(block.parameters()[2].name(), "shortcut.weight");
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Residual {
    scope: Scope,
    body: Box<dyn Module>,
    shortcut: Option<Box<dyn Module>>,
}

impl Residual {
    /// The sum of an input and of the output for it of `body`, made in the scope of that name.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn new<M: Module + 'static>(scope: &Scope, body: impl FnOnce(&Scope) -> Result<M>) -> Result<Residual> {
        Ok(Residual { body: Box::new(body(&scope.at("body"))?), scope: scope.clone(), shortcut: None })
    }

    /// Adds a module on the input's way to the sum, made in the scope `shortcut`: it changes shapes as the body does.
    ///
    /// # Errors
    /// Those of `shortcut`.
    pub fn shortcut<M: Module + 'static>(self, shortcut: impl FnOnce(&Scope) -> Result<M>) -> Result<Residual> {
        let shortcut = shortcut(&self.scope.at("shortcut"))?;
        Ok(Residual { shortcut: Some(Box::new(shortcut)), ..self })
    }
}

impl Module for Residual {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.body.forward(input)?;
        match &self.shortcut {
            Some(shortcut) => output.add(&shortcut.forward(input)?),
            None => output.add(input),
        }
    }
    fn children(&self) -> Children<'_> {
        children![self; body, shortcut]
    }
}
