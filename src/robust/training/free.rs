//! Adversarial training at no cost beyond that of training.

use super::{Defence, Pass};
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::options::options;
use crate::robust::gradient_sign::check;
use crate::train::Outcome;

options! {
    /// Options of [`Free`].
    #[derive(Clone, Copy, Debug, PartialEq)]
    FreeOptions {
        /// The largest change of an element.
        eps: f64 = 0.3,
        /// The change of an element in a step; the paper takes `eps`.
        step: f64 = 0.3,
    }
}

/// Trains on changed images, and changes them by the gradient of the same backward pass: each step of the weights is a step of
/// the attack too (Shafahi et al., "Adversarial Training for Free!", 2019). A loader gives each batch [several
/// times](crate::train::Loader::replayed), 4 to 10, in correspondingly fewer epochs. The change is one tensor that is carried
/// from batch to batch.
///
/// ```
/// use wgrad::robust::{Free, FreeOptions, RobustTraining};
/// use wgrad::train::{ImageLoader, Loader, Supervised};
/// # use wgrad::{Device, data::{Array, Images}};
/// # let device = Device::reference();
/// # let images = Images::new(Array::new(vec![2, 1, 2], vec![0, 10, 20, 30])?, vec![0, 1], vec!["a".into(), "b".into()])?;
/// let free = Free::new(&device, [2, 1, 1, 2], &FreeOptions::default().eps(0.1).step(0.1))?;
/// let task = RobustTraining::new(Supervised::classification(), free);
/// let train = ImageLoader::shuffled(&images, &device, 2, 0)?.replayed(4);
/// assert_eq!(train.batches(), 4);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Free {
    options: FreeOptions,
    /// The change of the next batch; its gradient is that of the last backward pass.
    change: Parameter,
}

impl Free {
    /// For batches `[N, C, H, W]` of at most `N` images.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option is not positive; those of the device.
    pub fn new(device: &Device, batch: [usize; 4], options: &FreeOptions) -> Result<Free> {
        check("Free", options.eps, options.step)?;
        Ok(Free { options: *options, change: Parameter::new("change", &Tensor::zeros(device, &batch)?) })
    }

    /// Takes the step by the gradient that has arrived since.
    fn advance(&self) -> Result<()> {
        let Some(gradient) = self.change.grad() else { return Ok(()) };
        let FreeOptions { eps, step } = self.options;
        let moved = no_grad(|| (self.change.value() + (gradient.sign()? * step)?)?.clamp(Some(-eps), Some(eps)))?;
        self.change.zero_grad();
        self.change.assign(&moved)
    }

    /// The current change.
    ///
    /// # Errors
    /// Those of the device.
    pub fn change(&self) -> Result<Tensor> {
        self.advance()?;
        Ok(self.change.value().detach())
    }
}

impl Defence for Free {
    fn forward(&self, pass: &Pass<'_>) -> Result<Outcome> {
        self.advance()?;
        let (value, count) = (self.change.value(), pass.images.shape()[0]);
        if value.shape()[1..] != pass.images.shape()[1..] || count > value.shape()[0] {
            let rule = format!("a batch {} for a change made as {}", pass.images.shape(), value.shape());
            return Err(Error::invalid("Free", rule));
        }
        let changed = (&pass.images + value.narrow(0, 0, count)?)?.clamp(Some(0.0), Some(1.0))?;
        pass.outcome(&changed)
    }

    fn tensors(&self) -> Vec<Parameter> {
        // A step that fails here fails again in the next pass, which tells it.
        let _ = self.advance();
        vec![self.change.clone()]
    }
}
