//! Weights of an early step, to go back to.

use crate::error::Result;
use crate::graph::{Parameter, no_grad};
use crate::nn::Module;
use crate::number::nearest;
use crate::state::{self, Numbers, State};
use crate::train::{Callback, Run};

const OP: &str = "rewind";

/// The weights and running statistics of a network after an early step, which a search for lottery tickets goes back to: train,
/// prune, [rewind](Rewind::rewind), train again with a new optimizer (Frankle and Carbin, "The lottery ticket hypothesis", 2019;
/// steps after the first are of Frankle et al., "Linear mode connectivity", 2020). Masks stay.
///
/// ```
/// use wgrad::compress::pruning::{Method, Rewind, global_unstructured, prunable, sparsity};
/// # use wgrad::{Device, models::LeNet5, nn::{Module, Scope}};
/// # let device = Device::reference();
/// let net = LeNet5::new(&Scope::new(&device))?;
/// let mut early = Rewind::new(&net, 0)?;
/// for _ in 0..3 {
///     // Trainer::new(..)?.callback(&mut early).fit(&net, ..)?;
///     global_unstructured(&prunable(&net), Method::L1, 0.2)?;
///     early.rewind()?;
/// }
/// assert!((sparsity(&prunable(&net))? - 0.488).abs() < 1e-4);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Rewind {
    /// The step after which the early weights will be taken; `None` once they are there.
    awaited: Option<u64>,
    parameters: Vec<Parameter>,
    early: Vec<Parameter>,
}

impl Rewind {
    /// Goes back to the weights after a step of the first run that it is a callback of; to those of now for step 0.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn new(model: &dyn Module, step: u64) -> Result<Rewind> {
        let parameters = model.parameters();
        let early = |parameter: &Parameter| {
            Ok(Parameter::buffer(format!("early.{}", parameter.name()), &no_grad(|| parameter.value().copy())?))
        };
        let early = parameters.iter().map(early).collect::<Result<_>>()?;
        Ok(Rewind { awaited: (step > 0).then_some(step), parameters, early })
    }

    /// Restores the network's early weights, except the pruned ones.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn rewind(&self) -> Result<()> {
        self.parameters.iter().zip(&self.early).try_for_each(|(parameter, early)| parameter.assign(&early.value()))
    }
}

impl Callback for Rewind {
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if self.awaited != Some(run.step) {
            return Ok(());
        }
        self.awaited = None;
        let mut kept = self.parameters.iter().zip(&self.early);
        no_grad(|| kept.try_for_each(|(parameter, early)| early.assign(&parameter.value().copy()?)))
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for Rewind {
    fn kind(&self) -> &'static str {
        OP
    }
    fn tensors(&self) -> Vec<Parameter> {
        self.early.clone()
    }
    fn numbers(&self) -> Result<Numbers> {
        Ok(Numbers::from([("awaited".to_string(), vec![self.awaited.unwrap_or(0) as f64])]))
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        state::number(OP, numbers, "awaited", state::is_count).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        let awaited = nearest(state::number(OP, numbers, "awaited", state::is_count)?);
        self.awaited = (awaited > 0).then_some(awaited);
        Ok(())
    }
}
