//! Pruning in the course of a run.

use super::{Pruner, Schedule};
use crate::error::Result;
use crate::graph::Parameter;
use crate::state::State;
use crate::train::{Callback, Run};

const OP: &str = "pruning";

/// Prunes by a schedule while a [`Trainer`](crate::train::Trainer) trains. Checkpoints hold the masks: a resumed run continues
/// with the same bits.
///
/// ```
/// use wgrad::compress::pruning::{Pruner, PrunerOptions, Pruning, Schedule, prunable};
/// use wgrad::train::{Trainer, TrainerOptions};
/// # use wgrad::{Device, models::LeNet5, nn::{Module, Scope}};
/// # let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let pruner = Pruner::new(prunable(&net), PrunerOptions::default())?;
/// let schedule = Schedule::Cubic { begin: 100, every: 100, times: 20, initial: 0.0, sparsity: 0.9 };
/// let trainer = Trainer::new(&device, TrainerOptions::default())?.callback(Pruning::new(pruner, schedule)?);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Pruning {
    pruner: Pruner,
    schedule: Schedule,
}

impl Pruning {
    /// Prunes by a schedule.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for sparsities that are not from 0 to 1 or fall, and for times no step apart.
    pub fn new(pruner: Pruner, schedule: Schedule) -> Result<Pruning> {
        schedule.check(OP)?;
        Ok(Pruning { pruner, schedule })
    }

    /// The pruner.
    pub fn pruner(&self) -> &Pruner {
        &self.pruner
    }

    fn prune(&mut self, run: &mut Run) -> Result<()> {
        let Some(sparsity) = self.schedule.due(run.step) else { return Ok(()) };
        self.pruner.prune_to(sparsity)?;
        run.requests.note(format!("pruned to {:.1} %", 100.0 * sparsity));
        Ok(())
    }
}

impl Callback for Pruning {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        // Later steps prune at their end, before the checkpoint that a run resumes from.
        if run.step == 0 { self.prune(run) } else { Ok(()) }
    }

    fn on_gradients(&mut self, run: &mut Run) -> Result<()> {
        self.pruner.observe(run.loss_scale.as_ref())
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        self.prune(run)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for Pruning {
    fn kind(&self) -> &'static str {
        OP
    }
    fn tensors(&self) -> Vec<Parameter> {
        self.pruner.tensors()
    }
}
