//! Optimizers: PyTorch's formulas in tensor code, their state on the device.

mod adam;
pub mod lr_scheduler;
mod sgd;
mod slots;

pub use adam::{Adam, AdamOptions};
pub use sgd::{Sgd, SgdOptions};

use crate::error::Result;
use crate::graph::Parameter;

/// Changes parameters by their gradients.
///
/// ```
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let mut sgd = Sgd::new(vec![x.clone()], SgdOptions { lr: 0.25, ..SgdOptions::default() })?;
/// x.value().square()?.backward()?;
/// sgd.step()?;
/// sgd.zero_grad();
/// assert_eq!(x.value().item::<f32>()?, 2.0); // 4 - 0.25 * 8
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Optimizer {
    /// A short name, as it stands in checkpoints.
    fn name(&self) -> &'static str;

    /// Changes every parameter that has a gradient, and submits the work recorded so far without waiting for it.
    ///
    /// After an error no parameter has moved that doesn't belong to another device, and the step can be made again: none
    /// moves twice by the same gradient. Bad labels and indices are found on the device, so they are not among the errors of
    /// the step that they spoil; the next read or [`Device::sync`](crate::Device::sync) tells of them, and such a step
    /// has changed the parameters.
    ///
    /// # Errors
    /// The errors of submitting the work, and those of the device before.
    fn step(&mut self) -> Result<()>;

    /// The trained parameters.
    fn parameters(&self) -> Vec<Parameter>;

    /// The state on the device: for each parameter its buffers, named like `exp_avg.conv1.weight`.
    fn buffers(&self) -> Vec<Parameter>;

    /// How many steps each parameter has taken, in the order of [`parameters`](Optimizer::parameters).
    fn steps(&self) -> Vec<u64>;

    /// Sets the steps taken, from a checkpoint.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where there is not one number a parameter.
    fn set_steps(&mut self, steps: &[u64]) -> Result<()>;

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Sets the learning rate. It is data: another one makes no other plan.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where it is negative or not finite; the old one stays then.
    fn set_lr(&mut self, lr: f64) -> Result<()>;

    /// Forgets all gradients.
    fn zero_grad(&self) {
        for parameter in self.parameters() {
            parameter.zero_grad();
        }
    }
}
