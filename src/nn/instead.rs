//! A module that replaces a layer.

use crate::nn::Module;
use crate::nn::weighted::Factors;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Holds a module that computes what a layer did, and whose parameters are the layer's from then on. Clones of the layer share
/// it.
#[derive(Clone, Default)]
pub struct Instead {
    module: Arc<OnceLock<(Factors, Box<dyn Module>)>>,
}

impl Instead {
    /// The module, if there is one.
    pub(super) fn get(&self) -> Option<&dyn Module> {
        self.module.get().map(|(_, module)| &**module)
    }

    /// The factors into which the layer was split, if it was.
    pub(super) fn factors(&self) -> Option<Factors> {
        self.module.get().map(|(factors, _)| *factors)
    }

    /// Sets the module, unless there is one.
    pub(super) fn set(&self, factors: Factors, module: Box<dyn Module>) {
        self.module.get_or_init(|| (factors, module));
    }
}

impl fmt::Debug for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.get().map_or("the layer itself".to_string(), Module::type_name))
    }
}
