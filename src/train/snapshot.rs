//! A model and its optimizer as they were.

use crate::error::Result;
use crate::graph::{Device, Parameter, RandomState, Tensor};
use crate::nn::Module;
use crate::optim::Optimizer;
use crate::state::{Numbers, State};

/// Everything that steps change. Values are held, not copied: the next step writes to new memory.
pub(super) struct Snapshot {
    device: Device,
    values: Vec<(Parameter, Tensor)>,
    gradients: Vec<(Parameter, Option<Tensor>)>,
    numbers: Numbers,
    random: RandomState,
}

impl Snapshot {
    pub fn new(device: &Device, model: &dyn Module, optimizer: &dyn Optimizer) -> Result<Snapshot> {
        let parameters = Parameter::each_once([model.parameters(), optimizer.parameters()].concat());
        let gradients = parameters.iter().map(|parameter| (parameter.clone(), parameter.grad())).collect();
        let all = Parameter::each_once([parameters, optimizer.buffers()].concat());
        let values = all.into_iter().map(|parameter| (parameter.clone(), parameter.value().detach())).collect();
        let (device, random) = (device.clone(), device.random_state());
        Ok(Snapshot { device, values, gradients, numbers: optimizer.numbers()?, random })
    }

    /// Restores all of it.
    pub fn restore(&self, optimizer: &mut dyn Optimizer) -> Result<()> {
        self.values.iter().try_for_each(|(parameter, value)| parameter.assign(value))?;
        self.gradients.iter().try_for_each(|(parameter, gradient)| parameter.set_grad(gradient.clone()))?;
        self.device.set_random_state(self.random);
        optimizer.set_numbers(&self.numbers)
    }
}
