//! The layers that normalize each channel of each sample.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::channel_norm::channel_norm;
use crate::nn::{Mode, Module, parameters};
use crate::ops::InstanceNormOptions;

/// `[N, C, L]` or `[C, L]`; see [`InstanceNorm`].
pub type InstanceNorm1d = InstanceNorm<1>;
/// `[N, C, H, W]` or `[C, H, W]`; see [`InstanceNorm`].
pub type InstanceNorm2d = InstanceNorm<2>;
/// `[N, C, D, H, W]` or `[C, D, H, W]`; see [`InstanceNorm`].
pub type InstanceNorm3d = InstanceNorm<3>;

channel_norm! {
    /// Each channel of each sample normalized over its `D` dimensions of positions (see [`Tensor::instance_norm`]), by its
    /// own mean and variance, or in evaluation by the running ones where they are tracked.
    ///
    /// `weight` `[C]` starts with ones and `bias` `[C]` with zeros, `running_mean` with zeros and `running_var` with ones.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{InstanceNorm2d, InstanceNormLayerOptions, Module, Scope}};
    /// # let device = Device::reference();
    /// let layer = InstanceNorm2d::new(&Scope::new(&device), 3, &InstanceNormLayerOptions::default())?;
    /// assert_eq!(layer.forward(&Tensor::randn(&device, &[3, 5, 5])?)?.shape()[..], [3, 5, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// Without a weight and running statistics it takes any number of channels. The number of batches stays 0, as in PyTorch.
    InstanceNorm(InstanceNormLayerOptions), affine: false, track_running_stats: false, no_momentum: "leaves them unchanged"
}

impl<const D: usize> Module for InstanceNorm<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        if input.rank() == D + 1 {
            return self.call(&input.unsqueeze(0)?)?.squeeze(0);
        }
        if input.rank() != D + 2 {
            let rule =
                format!("expected {} or {} dimensions, [N, C, ..] or [C, ..]; got {}", D + 2, D + 1, input.shape());
            return Err(Error::invalid(Self::NAME, rule));
        }
        let options = InstanceNormOptions {
            use_input_stats: self.mode.is_training() || self.running.is_none(),
            momentum: self.momentum.unwrap_or(0.0),
            eps: self.eps,
        };
        let weight = self.weight.as_ref().map(Parameter::value);
        let bias = self.bias.as_ref().map(Parameter::value);
        let (mean, var) = self.running.as_ref().map(|running| (&running.mean, &running.var)).unzip();
        input.instance_norm(mean, var, weight.as_ref(), bias.as_ref(), &options)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight, bias, running]
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
}
