//! The fully connected layer.

use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::instead::Instead;
use crate::nn::{Children, Module, Scope, Weighted, parameters};

/// `y = x weight^T + bias`: `[.., in] -> [.., out]`.
///
/// `weight` `[out, in]` and `bias` `[out]` start uniform within `1 / sqrt(in)` of 0.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Parameter,
    /// `[out]`.
    pub bias: Option<Parameter>,
    #[doc(hidden)]
    pub instead: Instead,
}

impl Linear {
    /// A layer with a bias.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `inputs` is 0, [`Error::TooLarge`](crate::Error::TooLarge).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{Linear, Module, Scope}};
    /// # let device = Device::reference();
    /// let layer = Linear::new(&Scope::new(&device).at("fc"), 3, 2)?;
    /// assert_eq!(layer.forward(&Tensor::ones(&device, &[5, 3])?)?.shape()[..], [5, 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(scope: &Scope, inputs: usize, outputs: usize) -> Result<Linear> {
        let weight = scope.uniform("weight", &[outputs, inputs], inputs)?;
        let bias = Some(scope.uniform("bias", &[outputs], inputs)?);
        Ok(Linear::of(weight, bias))
    }

    /// A layer without a bias.
    ///
    /// # Errors
    /// As [`new`](Linear::new).
    pub fn without_bias(scope: &Scope, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(Linear::of(scope.uniform("weight", &[outputs, inputs], inputs)?, None))
    }

    /// A layer of existing parameters.
    pub(super) fn of(weight: Parameter, bias: Option<Parameter>) -> Linear {
        Linear { weight, bias, instead: Instead::default() }
    }
}

impl Module for Linear {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        if let Some(instead) = self.instead.get() {
            return instead.forward(input);
        }
        input.linear(&self.weight.value(), self.bias.as_ref().map(Parameter::value).as_ref())
    }
    fn children(&self) -> Children<'_> {
        self.instead.get().map(|instead| (String::new(), instead)).into_iter().collect()
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        if self.instead.get().is_some() { Vec::new() } else { parameters![self; weight, bias] }
    }
    fn weighted(&self) -> Option<Weighted<'_>> {
        Some(Weighted::Linear(self))
    }
}
