//! Statistics for weights that no training step has seen.

use super::modes::Modes;
use crate::error::Result;
use crate::graph::{Tensor, no_grad};
use crate::nn::Module;

/// While this lives, the layers that normalize by the batch average its statistics.
struct Averaging {
    modes: Modes,
}

impl Averaging {
    fn new(model: &dyn Module) -> Averaging {
        let modes = Modes::of(model);
        modes.set(true);
        modes.each().for_each(|mode| mode.average_statistics(true));
        Averaging { modes }
    }
}

impl Drop for Averaging {
    fn drop(&mut self) {
        self.modes.each().for_each(|mode| mode.average_statistics(false));
    }
}

/// Recomputes the running statistics of batch normalization: the mean over these batches, each through the model in training
/// mode, as PyTorch's `update_bn`. Averages of weights, such as those of [SWA](crate::optim::Averaging::Swa), need it, since the
/// running statistics belong to other weights. The layers' momenta don't matter, nor do the earlier statistics. Modes are
/// restored in the end; no weight changes.
///
/// # Errors
/// Those of the batches and of the model. The statistics may be of some of the batches then.
///
/// ```
/// use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Module, Scope};
/// use wgrad::{Device, Tensor, train};
///
/// let device = Device::reference();
/// let layer = BatchNorm2d::new(&Scope::new(&device), 1, &BatchNormLayerOptions::default())?;
/// let batches = [1.0f32, 2.0, 6.0].map(|mean| Tensor::full(&device, &[1, 1, 2, 2], mean));
/// train::update_batch_norm(&layer, batches)?;
/// assert_eq!(layer.running.unwrap().mean.value().to_vec::<f32>()?, [3.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn update_batch_norm(model: &dyn Module, batches: impl IntoIterator<Item = Result<Tensor>>) -> Result<()> {
    let _averaging = Averaging::new(model);
    no_grad(|| batches.into_iter().try_for_each(|batch| model.forward(&batch?)?.device().flush()))
}
