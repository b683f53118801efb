//! The layers that normalize by the batch.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::channel_norm::{RunningStatistics, channel_norm};
use crate::nn::{Mode, Module, parameters};
use crate::ops::BatchNormOptions;

/// `[N, C]` or `[N, C, L]`; see [`BatchNorm`].
pub type BatchNorm1d = BatchNorm<1>;
/// `[N, C, H, W]`; see [`BatchNorm`].
pub type BatchNorm2d = BatchNorm<2>;
/// `[N, C, D, H, W]`; see [`BatchNorm`].
pub type BatchNorm3d = BatchNorm<3>;

channel_norm! {
    /// Each channel normalized over the batch and its `D` dimensions of positions (see [`Tensor::batch_norm`]): in training by
    /// the batch's own mean and variance, towards which the running ones move; in evaluation by the running ones.
    ///
    /// `weight` `[C]` starts with ones and `bias` `[C]` with zeros, `running_mean` with zeros and `running_var` with ones.
    /// The running statistics and the number of batches are part of a checkpoint, and are not trained.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, nn::{BatchNorm2d, BatchNormLayerOptions, Module, Scope}};
    /// # let device = Device::reference();
    /// let layer = BatchNorm2d::new(&Scope::new(&device).at("bn1"), 3, &BatchNormLayerOptions::default())?;
    /// let names: Vec<String> = layer.parameters().iter().map(|p| p.name().to_string()).collect();
    /// assert_eq!(
    ///     names,
    ///     ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"]
    /// );
    /// let x = Tensor::randn(&device, &[4, 3, 5, 5])?;
    /// layer.forward(&x)?;
    /// layer.eval();
    /// assert_eq!(layer.forward(&x)?.shape()[..], [4, 3, 5, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    BatchNorm(BatchNormLayerOptions), affine: true, track_running_stats: true,
    no_momentum: "makes them the mean over all batches so far"
}

impl<const D: usize> BatchNorm<D> {
    /// The weight of this batch in the running statistics.
    fn share_of_batch(&self, running: &RunningStatistics) -> Result<Tensor> {
        match self.mode.share_of_next().or(self.momentum) {
            Some(momentum) => Tensor::filled(running.mean.value().device(), &[], momentum),
            None => (running.num_batches_tracked.value() + 1.0)?.to_dtype(DType::F32)?.reciprocal(),
        }
    }
}

impl BatchNorm2d {
    /// The output for images `[N, C, H, W]`, of which only those with `counts` (`[N]`, bool) true enter the statistics in
    /// training: for a fixed number of regions, some of which are padding. If none counts, the running statistics stay.
    ///
    /// # Errors
    /// As [`forward`](Module::forward); [`Error::Broadcast`] for another number of images.
    pub fn forward_rows(&self, input: &Tensor, counts: &Tensor) -> Result<Tensor> {
        if !self.mode.is_training() {
            return self.forward(input);
        }
        let of_channels = |parameter: &Parameter| parameter.value().reshape(&[1, -1, 1, 1]);
        let weight = counts.to_dtype(DType::F32)?.reshape(&[-1, 1, 1, 1])?;
        let positions = input.shape()[2..].iter().product::<usize>() as f64;
        let elements = (weight.sum_all()? * positions)?;
        let count = elements.maximum_scalar(1.0)?;
        let mean_of = |x: &Tensor| (x * &weight)?.sum_keepdim([0, 2, 3])? / &count;
        let mean = mean_of(input)?;
        let centred = (input - &mean)?;
        let var = mean_of(&centred.square()?)?;
        let mut output = (centred * (&var + self.eps)?.rsqrt()?)?;
        if let Some(weight) = &self.weight {
            output = (output * of_channels(weight)?)?;
        }
        if let Some(bias) = &self.bias {
            output = (output + of_channels(bias)?)?;
        }
        if let Some(running) = &self.running {
            let share = (self.share_of_batch(running)? * elements.gt_scalar(0.0)?.to_dtype(DType::F32)?)?;
            let unbiased = (&var * (&count / (&count - 1.0)?.maximum_scalar(1.0)?))?;
            for (held, new) in [(&running.mean, &mean), (&running.var, &unbiased)] {
                let old = held.value().detach();
                held.assign(&(&old + (new.detach().flatten(0, -1)? - &old)? * &share)?)?;
            }
            running.num_batches_tracked.count_up();
        }
        Ok(output)
    }
}

impl<const D: usize> Module for BatchNorm<D> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let rank = input.rank();
        if rank != D + 2 && !(D == 1 && rank == 2) {
            let expected = if D == 1 { "2 or 3".to_string() } else { (D + 2).to_string() };
            let rule = format!("expected {expected} dimensions, [N, C, ..]; got {}", input.shape());
            return Err(Error::invalid(Self::NAME, rule));
        }
        let is_training = self.mode.is_training();
        let tracked = self.running.as_ref().filter(|_| is_training);
        let training = is_training || self.running.is_none();
        // The operation takes the momentum that may be computed on the device, and not this one.
        let options = BatchNormOptions { training, momentum: 0.0, eps: self.eps };
        let [weight, bias] = [&self.weight, &self.bias].map(|affine| affine.as_ref().map(Parameter::value));
        let (mean, var) = self.running.as_ref().map(|running| (&running.mean, &running.var)).unzip();
        let normalized = |momentum: &Tensor| {
            input.batch_norm_moving([mean, var], [weight.as_ref(), bias.as_ref()], &options, momentum)
        };
        let Some(tracked) = tracked else { return normalized(&Tensor::full(input.device(), &[], 0.0f32)?) };
        let output = normalized(&self.share_of_batch(tracked)?)?;
        tracked.num_batches_tracked.count_up();
        Ok(output)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight, bias, running]
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
    fn take_factor(&self) -> Result<Option<Tensor>> {
        let Some(running) = &self.running else { return Ok(None) };
        take_factor(self.weight.as_ref(), &running.mean, &running.var, self.eps).map(Some)
    }
}

/// Takes the factor out of a batch norm, whose mean becomes that of the inputs already multiplied by it.
pub(super) fn take_factor(weight: Option<&Parameter>, mean: &Parameter, var: &Parameter, eps: f64) -> Result<Tensor> {
    let inverse = (var.value() + eps)?.rsqrt()?;
    let factor = match weight {
        Some(weight) => (weight.value() * inverse)?.detach(),
        None => inverse.detach(),
    };
    mean.assign(&(mean.value() * &factor)?.detach())?;
    var.assign(&factor.full_like(1.0 - eps)?)?;
    weight.map_or(Ok(()), |weight| weight.assign(&factor.ones_like()?))?;
    Ok(factor)
}
