//! instance_norm.

use super::{Channels, Moments, update};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, ascribe_to_caller};
use crate::ops::case::Case;
use crate::options::options;

options! {
    /// Options of [`instance_norm`](Tensor::instance_norm).
    #[derive(Clone, Copy, Debug, PartialEq)]
    InstanceNormOptions {
        /// Normalize by each sample's own mean and variance, and move the running ones towards them.
        use_input_stats: bool = true,
        /// Weight of the batch in the running statistics: `running (1 - momentum) + batch momentum`.
        momentum: f64 = 0.1,
        /// Added to the variance.
        eps: f64 = 1e-5,
    }
}

const OP: &str = "instance_norm";

impl Tensor {
    /// Each channel of each sample normalized over its positions: `(x - mean) / sqrt(variance + eps) * weight + bias`,
    /// `[N, C, ..] -> [N, C, ..]`; `weight`, `bias` and the running statistics are `[C]`.
    ///
    /// With `use_input_stats`, mean and biased variance are those of the channel in the sample, and the running statistics, if
    /// given, are assigned `running (1 - momentum) + batch momentum`, with the mean over the samples of the means and of the
    /// unbiased variances. Otherwise the running statistics normalize. No gradient flows into them.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the input has less than two dimensions, if a tensor is not `[C]`, if one of the
    /// running statistics is given without the other, or none without `use_input_stats`, or if a channel has one
    /// position with it; [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, InstanceNormOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[8.0f32, 2.0, 0.0, 4.0], &[1, 2, 2])?;
    /// let options = InstanceNormOptions::default().eps(0.0);
    /// let y = x.instance_norm(None, None, None, None, &options)?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, -1.0, -1.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn instance_norm(
        &self,
        running_mean: Option<&Parameter>,
        running_var: Option<&Parameter>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        options: &InstanceNormOptions,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let channels = Channels::new(OP, self, [weight, bias], [running_mean, running_var])?;
        if !options.use_input_stats {
            return channels.by_running(options.eps);
        }
        let shape = self.shape();
        let count: usize = shape[2..].iter().product();
        if count == 1 {
            let rule = format!("one position for each channel of {shape} has no deviation");
            return Err(Error::invalid(OP, rule));
        }
        let dims: Vec<usize> = (2..shape.len()).collect();
        let moments = Moments::new(&channels.x, &dims)?;
        if self.numel() > 0 && running_mean.is_some() {
            let mean = |each: &Tensor| each.detach().reshape(&[shape[0] as isize, shape[1] as isize])?.mean(0);
            let momentum = Tensor::filled(self.device(), &[], options.momentum)?;
            update(running_mean, &mean(&moments.mean)?, &momentum)?;
            update(running_var, &mean(&moments.unbiased(count)?)?, &momentum)?;
        }
        channels.by(&moments, options.eps)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, eps) in
        [(&[3, 2, 7][..], 1e-5), (&[2, 3, 4, 5], 1e-3), (&[1, 1, 2, 3, 2], 0.1), (&[0, 3, 2], 1e-5), (&[2, 3, 0], 1e-5)]
    {
        let options = InstanceNormOptions::default().momentum(0.3).eps(eps);
        let channels = &shape[1..2];
        let run = move |x: &[Tensor]| Ok(vec![x[0].instance_norm(None, None, x.get(1), x.get(2), &options)?]);
        cases.push(Case::new(OP, &[shape, channels, channels], run).options(&options));
        // The running statistics that one call leaves serve the next.
        let both = move |x: &[Tensor]| {
            let statistic = |value: f64| -> Result<Parameter> {
                Ok(Parameter::buffer("running", &Tensor::filled(x[0].device(), &[x[0].shape()[1]], value)?))
            };
            let (mean, variance) = (statistic(0.25)?, statistic(1.5)?);
            let first = x[0].instance_norm(Some(&mean), Some(&variance), Some(&x[1]), None, &options)?;
            let options = InstanceNormOptions { use_input_stats: false, ..options };
            let second = x[0].instance_norm(Some(&mean), Some(&variance), None, Some(&x[2]), &options)?;
            Ok(vec![first, second])
        };
        // The path through the statistics is not part of the gradient, and so not of the differences.
        let running = Case::new(OP, &[shape, channels, channels], both).options(&options);
        cases.push(running.with("running", true).no_differences());
    }
    let view = |x: &[Tensor]| {
        Ok(vec![x[0].transpose(0, 1)?.instance_norm(None, None, Some(&x[1]), None, &InstanceNormOptions::default())?])
    };
    cases.push(Case::new(OP, &[&[4, 3, 5], &[4]], view));
    let half = |x: &[Tensor]| {
        let x = x[0].to_dtype(crate::DType::F16)?;
        Ok(vec![x.instance_norm(None, None, None, None, &InstanceNormOptions::default())?])
    };
    cases.push(Case::new(OP, &[&[2, 3, 6]], half).half());
    cases
}
