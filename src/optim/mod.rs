//! Optimizers: PyTorch's formulas in tensor code, their state on the device.

mod adam;
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
    /// # Errors
    /// What submitting the work meets.
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
    fn set_lr(&mut self, lr: f64);

    /// Forgets all gradients.
    fn zero_grad(&self) {
        for parameter in self.parameters() {
            parameter.zero_grad();
        }
    }
}
