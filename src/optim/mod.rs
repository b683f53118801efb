//! Optimizers: PyTorch's formulas in tensor code, their state on the device.

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod algorithm;
mod averaged;
mod bundle;
mod clip;
mod engine;
mod group;
mod guard;
mod lamb;
mod lars;
mod lion;
mod lookahead;
pub mod lr_scheduler;
mod mirror;
mod muon;
mod nadam;
mod numbers;
mod options;
mod radam;
mod rmsprop;
mod rprop;
mod runs;
mod sam;
mod sgd;
mod slots;
mod state;
mod wrapper;

pub use adadelta::{Adadelta, AdadeltaOptions};
pub use adafactor::{Adafactor, AdafactorOptions};
pub use adagrad::{Adagrad, AdagradOptions};
pub use adam::{Adam, AdamOptions, AdamW, AdamWOptions};
pub use adamax::{Adamax, AdamaxOptions};
#[cfg(test)]
pub(crate) use algorithm::Algorithm;
pub use averaged::{Averaged, Averaging};
pub use engine::Engine;
pub use group::{IntoParameters, ParamGroup, groups_by_name, layer_decay, no_decay_on_norms_and_biases};
pub use guard::Guard;
pub use lamb::{Lamb, LambOptions};
pub use lars::{Lars, LarsOptions};
pub use lion::{Lion, LionOptions};
pub use lookahead::{Lookahead, LookaheadOptions};
pub use mirror::Lent;
pub use muon::{AdjustLr, Muon, MuonOptions};
pub use nadam::{NAdam, NAdamOptions};
pub use radam::{RAdam, RAdamOptions};
pub use rmsprop::{RmsProp, RmsPropOptions};
pub use rprop::{Rprop, RpropOptions};
pub use sam::{Sam, SamOptions};
pub use sgd::{Sgd, SgdOptions};

use crate::error::{Error, Result};
use crate::graph::Parameter;
use std::fmt;

/// An option that schedules change while training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hyper {
    /// The learning rate.
    Lr,
    /// The momentum; for Adam and its variants the decay rate of the first moment.
    Momentum,
    /// The weight decay.
    WeightDecay,
}

impl fmt::Display for Hyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hyper::Lr => "learning rate",
            Hyper::Momentum => "momentum",
            Hyper::WeightDecay => "weight decay",
        })
    }
}

/// Changes parameters by their gradients.
///
/// ```
/// use wgrad::optim::{Adam, AdamOptions, Optimizer};
/// use wgrad::{Device, Parameter, Tensor};
///
/// let device = Device::reference();
/// let x = Parameter::new("x", &Tensor::full(&device, &[1], 4.0f32)?);
/// let mut optimizer: Box<dyn Optimizer> = Box::new(Adam::new(vec![x.clone()], AdamOptions::default().lr(0.5))?);
/// for step in 0..100 {
///     x.value().square()?.backward()?;
///     optimizer.step()?;
///     optimizer.zero_grad();
///     optimizer.set_lr(0, 0.5 / f64::from(step + 1))?;
/// }
/// assert!(x.value().item::<f32>()?.abs() < 4.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Optimizer {
    /// A short name, as in checkpoints.
    fn name(&self) -> &'static str;

    /// Changes every parameter that has a gradient, and submits the work recorded so far without waiting for it.
    ///
    /// After an error no parameter has moved, except those on other devices, and the step can be repeated: none moves twice by
    /// the same gradient. Bad labels and indices are found on the device, so the step that they spoil does not return their
    /// error; the next read or [`Device::sync`](crate::Device::sync) does, and such a step has changed the parameters.
    ///
    /// # Errors
    /// The errors of submitting the work, and earlier errors of the device.
    #[track_caller]
    fn step(&mut self) -> Result<()> {
        self.step_with(None)
    }

    /// As [`step`](Optimizer::step), under a guard: nothing changes if a gradient is not finite.
    ///
    /// # Errors
    /// As `step`; [`Error::DeviceMismatch`] if the guard belongs to another device than the parameters.
    #[track_caller]
    fn step_guarded(&mut self, guard: &mut Guard) -> Result<()> {
        self.step_with(Some(guard))
    }

    /// [`step`](Optimizer::step), under a guard if one is given: the method that an optimizer implements.
    ///
    /// # Errors
    /// As [`step_guarded`](Optimizer::step_guarded).
    fn step_with(&mut self, guard: Option<&mut Guard>) -> Result<()>;

    /// True if a step takes two gradients: one for [`first_step`](Optimizer::first_step), which moves the parameters, and one, of
    /// the same batch at that place, for [`step`](Optimizer::step). [`Sam`] takes two, and so does what wraps it.
    fn has_first_step(&self) -> bool {
        false
    }

    /// Moves the parameters to the place where the gradient of the [`step`](Optimizer::step) is to be computed, and forgets
    /// the gradients.
    ///
    /// ```
    /// use wgrad::optim::Optimizer;
    /// use wgrad::{Result, Tensor};
    /// /// A step of any optimizer.
    /// fn step(optimizer: &mut dyn Optimizer, loss: impl Fn() -> Result<Tensor>) -> Result<()> {
    ///     loss()?.backward()?;
    ///     if optimizer.has_first_step() {
    ///         optimizer.first_step()?;
    ///         loss()?.backward()?;
    ///     }
    ///     optimizer.step()?;
    ///     optimizer.zero_grad();
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if the optimizer [has no first step](Optimizer::has_first_step), if no parameter has a gradient, or if
    /// a first step came before; nothing has moved then.
    #[track_caller]
    fn first_step(&mut self) -> Result<()> {
        self.first_step_with(None)
    }

    /// [`first_step`](Optimizer::first_step), under a guard if one is given: nothing moves if a gradient is not finite, and the
    /// guarded step that follows changes nothing either.
    ///
    /// # Errors
    /// As `first_step`.
    #[track_caller]
    fn first_step_with(&mut self, guard: Option<&mut Guard>) -> Result<()> {
        let _ = guard;
        Err(Error::invalid(self.name(), "its step takes one gradient: call step() alone, or wrap it in optim::Sam"))
    }

    /// The trained parameters, group by group.
    fn parameters(&self) -> Vec<Parameter>;

    /// The state on the device: for each parameter its buffers, named like `exp_avg.conv1.weight`.
    fn buffers(&self) -> Vec<Parameter>;

    /// The number of steps of each parameter, in the order of [`parameters`](Optimizer::parameters).
    ///
    /// # Errors
    /// Errors of the device, if the numbers are there.
    fn steps(&self) -> Result<Vec<u64>>;

    /// Sets the steps taken, from a checkpoint.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one number a parameter.
    fn set_steps(&mut self, steps: &[u64]) -> Result<()>;

    /// Steps that wrappers around the optimizer have counted, the innermost first, for checkpoints.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Sets the values of [`counts`](Optimizer::counts), in its order.
    fn set_counts(&mut self, counts: &[u64]) {
        let _ = counts;
    }

    /// The number of groups.
    fn groups(&self) -> usize;

    /// An option of a group, if the optimizer has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such group.
    fn hyper(&self, hyper: Hyper, group: usize) -> Result<Option<f64>>;

    /// Sets an option of a group. It is data: another number needs no new plan.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such group or option, or the number is out of its range; the old one stays
    /// then.
    fn set_hyper(&mut self, hyper: Hyper, group: usize, value: f64) -> Result<()>;

    /// The learning rate of a group.
    ///
    /// # Errors
    /// As [`hyper`](Optimizer::hyper).
    fn lr(&self, group: usize) -> Result<f64> {
        let missing = || Error::invalid(self.name(), "it has no learning rate");
        self.hyper(Hyper::Lr, group)?.ok_or_else(missing)
    }

    /// Sets the learning rate of a group.
    ///
    /// # Errors
    /// As [`set_hyper`](Optimizer::set_hyper).
    fn set_lr(&mut self, group: usize, lr: f64) -> Result<()> {
        self.set_hyper(Hyper::Lr, group, lr)
    }

    /// The momentum of a group, for Adam and its variants the decay rate of the first moment; `None` if there is none.
    ///
    /// # Errors
    /// As [`hyper`](Optimizer::hyper).
    fn momentum(&self, group: usize) -> Result<Option<f64>> {
        self.hyper(Hyper::Momentum, group)
    }

    /// Sets the momentum of a group.
    ///
    /// # Errors
    /// As [`set_hyper`](Optimizer::set_hyper).
    fn set_momentum(&mut self, group: usize, momentum: f64) -> Result<()> {
        self.set_hyper(Hyper::Momentum, group, momentum)
    }

    /// Lends the parameters the values of their averages, if an [`Averaged`] keeps some, for as long as the loan lives.
    ///
    /// # Errors
    /// Errors of the device.
    #[track_caller]
    fn lend_average(&self) -> Result<Option<Lent>> {
        Ok(None)
    }

    /// Forgets all gradients.
    fn zero_grad(&self) {
        for parameter in self.parameters() {
            parameter.zero_grad();
        }
    }
}
