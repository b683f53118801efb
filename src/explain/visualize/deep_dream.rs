//! DeepDream.

use super::canvas::normalized;
use super::objective::Objective;
use super::transformations::jittered;
use crate::data::Normalization;
use crate::error::{Error, Result};
use crate::explain::ablation::sizes;
use crate::explain::cam::resized;
use crate::graph::{Parameter, Tensor, gradient_of_sum, with_grad};
use crate::nn::Module;
use crate::number::nearest;
use crate::optim::{Optimizer, Sgd, SgdOptions};
use crate::options::options;

options! {
    /// Options of [`deep_dream`], with the numbers of its authors.
    #[derive(Clone, Debug)]
    DeepDreamOptions {
        /// Sizes of the image, of which the smallest is dreamt on first.
        octaves: usize = 4,
        /// From each size to the next.
        octave_scale: f64 = 1.4,
        /// Steps at each size.
        steps: usize = 10,
        /// The mean change of a pixel in a step: 1.5 of 255.
        lr: f64 = 1.5 / 255.0,
        /// Pixels that the image is shifted by at most before each step.
        jitter: usize = 32,
        /// The normalization of the images that the network was trained on.
        normalization: Option<Normalization> = None,
    }
}

/// Images `[N, C, H, W]` between 0 and 1 in which a layer's features are amplified (Mordvintsev et al., "Inceptionism: Going
/// Deeper into Neural Networks", 2015): ascent by `|g|`-normalized gradients with SGD, on the image at rising sizes. The details
/// of each size are added to the next one. The [`Objective`] names the layer: [`Objective::Layer`] for all its features.
///
/// ```
/// use wgrad::explain::{DeepDreamOptions, Objective, deep_dream};
/// use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
///
/// let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let images = Tensor::rand(&device, &[1, 1, 28, 28])?;
/// let options = DeepDreamOptions::default().octaves(2).steps(2).jitter(2);
/// let dream = deep_dream(&net, &images, &Objective::Layer("conv2".into()), &options)?;
/// assert_eq!(dream.shape()[..], [1, 1, 28, 28]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Those of [`Objective::values`], also for sizes that are too small for the layer; [`Error::Invalid`] for no octaves or a scale
/// below 1.
pub fn deep_dream(
    model: &dyn Module,
    images: &Tensor,
    objective: &Objective,
    options: &DeepDreamOptions,
) -> Result<Tensor> {
    const OP: &str = "deep_dream";
    let DeepDreamOptions { octaves, octave_scale, steps, lr, jitter, ref normalization } = *options;
    let [_, _, height, width] = sizes(OP, images)?;
    if octaves == 0 || !(octave_scale >= 1.0 && octave_scale.is_finite()) {
        return Err(Error::invalid(OP, format!("{octaves} octaves, each {octave_scale} times as large as the last")));
    }
    let size = |octave: usize| {
        let scale = octave_scale.powf(-((octaves - 1 - octave) as f64));
        [height, width].map(|side| nearest::<usize>((side as f64 * scale).round()).max(1))
    };
    let images = images.detach();
    let mut base = resized(&images, size(0))?;
    let mut dream = base.clone();
    for octave in 0..octaves {
        if octave > 0 {
            let details = (&dream - base)?;
            base = resized(&images, size(octave))?;
            dream = (&base + resized(&details, size(octave))?)?;
        }
        let canvas = Parameter::new("dream", &dream);
        let mut sgd = Sgd::new(vec![canvas.clone()], SgdOptions::default().lr(lr))?;
        for _ in 0..steps {
            let value = canvas.value();
            let values = with_grad(true, || {
                objective.values(model, &normalized(&jittered(&value, jitter)?, normalization.as_ref())?)
            })?;
            let gradient = gradient_of_sum(&values, &value, None)?;
            let mean = (gradient.abs()?.mean_keepdim([1, 2, 3])? + 1e-30)?;
            canvas.set_grad(Some((-(gradient / mean)?)?))?;
            sgd.step()?;
            canvas.assign(&canvas.value().clamp(Some(0.0), Some(1.0))?)?;
        }
        dream = canvas.value().detach();
    }
    Ok(dream)
}
