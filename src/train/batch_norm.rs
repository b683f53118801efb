//! Statistics for weights that no training step has seen.

use crate::error::Result;
use crate::graph::{Tensor, no_grad};
use crate::nn::{Mode, Module};

/// The layers that normalize by the batch average its statistics for as long as it lives.
struct Averaging {
    modes: Vec<(Mode, bool)>,
}

impl Averaging {
    fn new(model: &dyn Module) -> Averaging {
        let modes = model.named_modules().into_iter().filter_map(|(_, module)| module.mode().cloned());
        let averaging = Averaging { modes: modes.map(|mode| (mode.clone(), mode.is_training())).collect() };
        for (mode, _) in &averaging.modes {
            mode.set(true);
            mode.average_statistics(true);
        }
        averaging
    }
}

impl Drop for Averaging {
    fn drop(&mut self) {
        for (mode, was_training) in &self.modes {
            mode.set(*was_training);
            mode.average_statistics(false);
        }
    }
}

/// Makes the running statistics of batch normalization anew: the mean over these batches, each through the model in
/// training mode, as PyTorch's `update_bn`. Averages of weights, such as those of
/// [SWA](crate::optim::Averaging::Swa), need it, since the running statistics are those of other weights. The layers'
/// momenta don't matter, nor do the statistics before. Modes are as before in the end; no weight changes.
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
