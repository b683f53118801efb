//! batch_norm.

use super::{Channels, Moments, update};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, ascribe_to_caller};
use crate::ops::case::Case;
use crate::options::options;

options! {
    /// Options of [`batch_norm`](Tensor::batch_norm); by default as in evaluation.
    #[derive(Clone, Copy, Debug, PartialEq)]
    BatchNormOptions {
        /// Normalize by the batch's own mean and variance, and move the running ones towards them.
        training: bool = false,
        /// Weight of the batch in the running statistics: `running (1 - momentum) + batch momentum`.
        momentum: f64 = 0.1,
        /// Added to the variance.
        eps: f64 = 1e-5,
    }
}

const OP: &str = "batch_norm";

impl Tensor {
    /// Each channel normalized over the batch and all positions: `(x - mean) / sqrt(variance + eps) * weight + bias`,
    /// `[N, C, ..] -> [N, C, ..]`; `weight`, `bias` and the running statistics are `[C]`.
    ///
    /// In training, mean and biased variance are the batch's, and the running statistics, if given, are assigned
    /// `running (1 - momentum) + batch momentum`, with the unbiased variance. Otherwise the running statistics normalize. No
    /// gradient flows into them. Squares are f32: deviations past 1e19 make NaN, as in PyTorch on CUDA.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the input has less than two dimensions, if a tensor is not `[C]`, if one of the
    /// running statistics is given without the other, or none outside of training, or if training has one value
    /// for each channel; [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{BatchNormOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[2.0f32, 3.0, 4.0, 1.0, 2.0, 2.0], &[2, 3])?;
    /// let options = BatchNormOptions::default().training(true).eps(0.0);
    /// let y = x.batch_norm(None, None, None, None, &options)?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 1.0, 1.0, -1.0, -1.0, -1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn batch_norm(
        &self,
        running_mean: Option<&Parameter>,
        running_var: Option<&Parameter>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        options: &BatchNormOptions,
    ) -> Result<Tensor> {
        let momentum = Tensor::filled(self.device(), &[], options.momentum)?;
        self.batch_norm_moving([running_mean, running_var], [weight, bias], options, &momentum)
    }

    /// [`batch_norm`](Tensor::batch_norm) with a momentum that is computed on the device: f32 `[]`.
    #[track_caller]
    pub(crate) fn batch_norm_moving(
        &self,
        running: [Option<&Parameter>; 2],
        affine: [Option<&Tensor>; 2],
        options: &BatchNormOptions,
        momentum: &Tensor,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let shape = self.shape();
        // PyTorch lets an empty tensor of one dimension through.
        if shape.len() == 1 && self.numel() == 0 && self.dtype().is_float() {
            return self.copy();
        }
        let channels = Channels::new(OP, self, affine, running)?;
        if !options.training {
            return channels.by_running(options.eps);
        }
        let count: usize = shape[0] * shape[2..].iter().product::<usize>();
        if count == 1 {
            let rule = format!("training takes more than one value for each channel, which {shape} does not have");
            return Err(Error::invalid(OP, rule));
        }
        let dims: Vec<usize> = (0..shape.len()).filter(|&d| d != 1).collect();
        let moments = Moments::of_batch(self, &channels.x, &dims, count)?;
        if self.numel() > 0 {
            update(running[0], &moments.mean, momentum)?;
            update(running[1], &moments.unbiased(count)?, momentum)?;
        }
        channels.by(&moments, options.eps)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, eps) in [
        (&[5, 3][..], 1e-3),
        (&[3, 2, 7], 1e-5),
        (&[2, 3, 4, 5], 1e-5),
        (&[1, 2, 3, 5], 0.1),
        (&[4, 1, 2, 3, 2], 1e-5),
        (&[0, 3, 2], 1e-5),
    ] {
        let training = BatchNormOptions { training: true, momentum: 0.3, eps };
        let channels = &shape[1..2];
        let run = move |x: &[Tensor]| Ok(vec![x[0].batch_norm(None, None, x.get(1), x.get(2), &training)?]);
        cases.push(Case::new(OP, &[shape, channels, channels], run).options(&training));
        cases.push(Case::new(OP, &[shape], run).options(&training));
        // The running statistics that training leaves serve the evaluation after it.
        let running = move |x: &[Tensor]| {
            let statistic = |value: f64| -> Result<Parameter> {
                Ok(Parameter::buffer("running", &Tensor::filled(x[0].device(), &[x[0].shape()[1]], value)?))
            };
            let (mean, variance) = (statistic(0.25)?, statistic(1.5)?);
            let trained = x[0].batch_norm(Some(&mean), Some(&variance), Some(&x[1]), None, &training)?;
            let options = BatchNormOptions { training: false, ..training };
            let evaluated = x[0].batch_norm(Some(&mean), Some(&variance), None, Some(&x[2]), &options)?;
            Ok(vec![trained, evaluated])
        };
        // The path through the statistics is not part of the gradient, and so not of the differences. The weight's gradient adds
        // up terms of both signs, which nearly cancel.
        let running = Case::new(OP, &[shape, channels, channels], running).options(&training);
        cases.push(running.with("running", true).tolerance(31.0).no_differences());
        let evaluation = BatchNormOptions { training: false, ..training };
        let evaluated = move |x: &[Tensor]| {
            let channels = [x[0].shape()[1]];
            let mean = Parameter::buffer("running_mean", &Tensor::full(x[0].device(), &channels, 0.25f32)?);
            let variance = Parameter::buffer("running_var", &Tensor::full(x[0].device(), &channels, 1.5f32)?);
            Ok(vec![x[0].batch_norm(Some(&mean), Some(&variance), x.get(1), x.get(2), &evaluation)?])
        };
        cases.push(Case::new(OP, &[shape, channels, channels], evaluated).options(&evaluation));
    }
    cases
}
