//! Switches of a model's layers that are put back.

use crate::nn::{Mode, Module};

/// The modes of a model's layers, which it restores when it is dropped.
pub(crate) struct Modes {
    modes: Vec<(Mode, bool)>,
}

impl Modes {
    pub fn of(model: &dyn Module) -> Modes {
        let modes = model.named_modules().into_iter().filter_map(|(_, module)| module.mode().cloned());
        Modes { modes: modes.map(|mode| (mode.clone(), mode.is_training())).collect() }
    }

    pub fn each(&self) -> impl Iterator<Item = &Mode> {
        self.modes.iter().map(|(mode, _)| mode)
    }

    /// Switches all to training or to evaluation.
    pub fn set(&self, training: bool) {
        self.each().for_each(|mode| mode.set(training));
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        self.modes.iter().for_each(|(mode, was_training)| mode.set(*was_training));
    }
}
