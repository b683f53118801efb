//! Training that makes channels worthless.

use super::norm_weight;
use crate::error::{Error, Result};
use crate::graph::{Parameter, no_grad};
use crate::nn::Module;
use crate::train::{Callback, Run};

/// Pulls the weights of batch norms to 0 while a [`Trainer`](crate::train::Trainer) trains, so that
/// [`Importance::BatchNormScale`](super::Importance::BatchNormScale) finds useless channels: adds `strength sign(weight)` to
/// their gradients, the subgradient of `strength sum |weight|` (Liu et al., "Learning efficient convolutional networks through
/// network slimming", 2017; 1e-4 there).
///
/// ```
/// use wgrad::compress::channels::Slimming;
/// use wgrad::train::{Trainer, TrainerOptions};
/// # use wgrad::{Device, models::{CifarResNet, CifarResNetOptions}, nn::Scope};
/// # let device = Device::reference();
/// let net = CifarResNet::new(&Scope::new(&device), &CifarResNetOptions::resnet20())?;
/// let trainer = Trainer::new(&device, TrainerOptions::default())?.callback(Slimming::new(&net, 1e-4)?);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Slimming {
    weights: Vec<Parameter>,
    strength: f64,
}

impl Slimming {
    /// For the batch norms of a module.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has none with a weight, or the strength is negative or not finite.
    pub fn new(model: &dyn Module, strength: impl Into<f64>) -> Result<Slimming> {
        let strength = strength.into();
        if !(strength.is_finite() && strength >= 0.0) {
            return Err(Error::invalid("slimming", format!("strength is {strength}; it must be at least 0")));
        }
        let modules = model.named_modules().into_iter();
        let weights: Vec<Parameter> = modules.filter_map(|(_, module)| norm_weight(module)).collect();
        match weights.is_empty() {
            true => Err(Error::invalid("slimming", "the module has no batch norm with a weight")),
            false => Ok(Slimming { weights, strength }),
        }
    }
}

impl Callback for Slimming {
    fn on_gradients(&mut self, run: &mut Run) -> Result<()> {
        for weight in &self.weights {
            let Some(gradient) = weight.grad() else { continue };
            let pulled = no_grad(|| {
                let pull = weight.value().detach().sign()?.mul_scalar(self.strength)?;
                let pull = run.loss_scale.as_ref().map_or_else(|| Ok(pull.clone()), |scale| pull.mul(scale))?;
                gradient.add(&pull.to_dtype(gradient.dtype())?)
            })?;
            weight.set_grad(Some(pulled))?;
        }
        Ok(())
    }
}
