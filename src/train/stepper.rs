//! A step of training: gradients of one batch or several, in half precision or not.

use crate::amp::{AutocastOptions, GradScaler, GradScalerOptions, autocast_with};
use crate::error::Result;
use crate::graph::{Device, Tensor};
use crate::optim::Optimizer;

/// Takes the steps of a run: forward passes under autocast where it is asked for, gradients of one or several batches, and
/// the optimizer's step with or without a [`GradScaler`].
///
/// Clipping belongs to the optimizer ([`clip_grad_norm`](crate::optim::Engine::clip_grad_norm) and its kin), which
/// clips on the device, after the scaler.
///
/// ```
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::optim::{Sgd, SgdOptions};
/// use wgrad::train::Stepper;
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let model = Linear::new(&Scope::new(&device), 4, 1)?;
/// let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
/// let mut stepper = Stepper::default();
/// let batches = [Tensor::randn(&device, &[8, 4])?, Tensor::randn(&device, &[8, 4])?];
/// for batch in &batches {
///     let loss = stepper.forward(|| model.forward(batch)?.square()?.mean_all())?;
///     stepper.backward(&loss, 1.0 / batches.len() as f64)?;
/// }
/// stepper.step(&mut sgd)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct Stepper {
    autocast: Option<AutocastOptions>,
    scaler: Option<GradScaler>,
}

impl Stepper {
    /// Steps under autocast, whose losses are scaled unless the scaler's options say otherwise. [`Stepper::default`] takes them
    /// in the types that the model has.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if an option is out of its range.
    pub fn autocast(device: &Device, autocast: AutocastOptions, scaler: GradScalerOptions) -> Result<Stepper> {
        Ok(Stepper { autocast: Some(autocast), scaler: Some(GradScaler::new(device, scaler)?) })
    }

    /// Runs a forward pass.
    ///
    /// # Errors
    /// Those of `body`, and of [`autocast_with`].
    pub fn forward<R>(&self, body: impl FnOnce() -> Result<R>) -> Result<R> {
        match &self.autocast {
            Some(options) => autocast_with(options, body),
            None => body(),
        }
    }

    /// Adds the gradients of a loss, times `share`, to those since the last step.
    ///
    /// # Errors
    /// Those of the reverse walk, and of [`GradScaler::scale`].
    #[track_caller]
    pub fn backward(&mut self, loss: &Tensor, share: f64) -> Result<()> {
        let scaled = match &mut self.scaler {
            Some(scaler) => scaler.scale(loss)?,
            None => loss.clone(),
        };
        if share == 1.0 { scaled.backward() } else { scaled.mul_scalar(share)?.backward() }
    }

    /// Takes the first step of an optimizer that [has one](Optimizer::has_first_step), and forgets the gradients: those of the
    /// same batches belong between it and the [`step`](Stepper::step).
    ///
    /// # Errors
    /// Those of [`Optimizer::first_step`].
    #[track_caller]
    pub fn first_step(&mut self, optimizer: &mut dyn Optimizer) -> Result<()> {
        match &mut self.scaler {
            Some(scaler) => scaler.first_step(optimizer),
            None => optimizer.first_step(),
        }
    }

    /// Takes the optimizer's step by the gradients, and forgets them.
    ///
    /// # Errors
    /// Those of [`Optimizer::step`].
    #[track_caller]
    pub fn step(&mut self, optimizer: &mut dyn Optimizer) -> Result<()> {
        match &mut self.scaler {
            Some(scaler) => {
                scaler.step(optimizer)?;
                scaler.update()?;
            }
            None => optimizer.step()?,
        }
        optimizer.zero_grad();
        Ok(())
    }

    /// The number on the device that gradients are scaled by, where they are.
    pub(super) fn loss_scale(&self) -> Option<Tensor> {
        self.scaler.as_ref().and_then(GradScaler::factor)
    }

    /// The scaler, where losses are scaled; a checkpoint holds its state.
    pub fn scaler(&mut self) -> Option<&mut GradScaler> {
        self.scaler.as_mut()
    }
}
