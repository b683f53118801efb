//! Batch normalization with fixed statistics.

use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::batch_norm::take_factor;
use crate::nn::{Module, Scope, parameters};

/// `(x - running_mean) / sqrt(running_var + eps) * weight + bias` of each channel of `[N, C, H, W]`, in training too, with
/// four buffers that nothing trains: torchvision's `FrozenBatchNorm2d`.
///
/// Detectors train with few images a step, whose statistics would say little; so they keep those of their backbone's weights.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::{FrozenBatchNorm2d, Module, Scope}};
/// # let device = Device::reference();
/// let layer = FrozenBatchNorm2d::new(&Scope::new(&device).at("bn1"), 3, 0.0)?;
/// let x = Tensor::ones(&device, &[2, 3, 4, 4])?;
/// assert_eq!(layer.forward(&x)?.to_vec::<f32>()?, x.to_vec::<f32>()?);
/// assert!(layer.parameters().iter().all(|parameter| parameter.is_buffer()));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrozenBatchNorm2d {
    /// `[C]`.
    pub weight: Parameter,
    /// `[C]`.
    pub bias: Parameter,
    /// `[C]`.
    pub running_mean: Parameter,
    /// `[C]`.
    pub running_var: Parameter,
    /// Added to the variance.
    pub eps: f64,
}

impl FrozenBatchNorm2d {
    /// A layer for inputs of `num_features` channels; at first it is the identity except for `eps`.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn new(scope: &Scope, num_features: usize, eps: f64) -> Result<FrozenBatchNorm2d> {
        let filled = |name: &str, value: f64| {
            let value = Tensor::filled(scope.device(), &[num_features], value)?;
            Ok::<_, crate::Error>(scope.buffer(name, &value))
        };
        Ok(FrozenBatchNorm2d {
            weight: filled("weight", 1.0)?,
            bias: filled("bias", 0.0)?,
            running_mean: filled("running_mean", 0.0)?,
            running_var: filled("running_var", 1.0)?,
            eps,
        })
    }
}

impl Module for FrozenBatchNorm2d {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let of_channels = |value: Tensor| value.reshape(&[1, -1, 1, 1]);
        let scale = (self.weight.value() * (self.running_var.value() + self.eps)?.rsqrt())?;
        let shift = (self.bias.value() - self.running_mean.value() * &scale)?;
        (input * of_channels(scale)?)? + of_channels(shift)?
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight, bias, running_mean, running_var]
    }
    fn take_factor(&self) -> Result<Option<Tensor>> {
        take_factor(Some(&self.weight), &self.running_mean, &self.running_var, self.eps).map(Some)
    }
}
