//! The parameters that were made in one scope, so that none of them can be forgotten.

use crate::graph::parameter::{Parameter, Slot};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Every parameter that was made in a scope. It keeps none of them alive: one that was dropped is not missed.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    made: Mutex<Vec<Weak<Slot>>>,
}

impl Registry {
    /// Registers a new parameter.
    pub(super) fn enter(&self, slot: &Arc<Slot>) {
        let mut made = self.made.lock();
        made.retain(|slot| slot.strong_count() > 0);
        made.push(Arc::downgrade(slot));
    }

    /// Those that still exist and are read.
    fn living(&self) -> Vec<Parameter> {
        self.made
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .map(Parameter::of)
            .filter(|parameter| !parameter.is_retired())
            .collect()
    }

    /// The parameters in the registries of `parameters` that are not among `parameters`.
    pub fn left_out(parameters: &[Parameter]) -> Vec<Parameter> {
        let mut registries: Vec<&Arc<Registry>> = Vec::new();
        for registry in parameters.iter().filter_map(Parameter::registry) {
            if !registries.iter().any(|known| Arc::ptr_eq(known, registry)) {
                registries.push(registry);
            }
        }
        let living = registries.into_iter().flat_map(|registry| registry.living());
        let all = Parameter::each_once(parameters.iter().cloned().chain(living));
        all.into_iter().skip(Parameter::each_once(parameters.iter().cloned()).len()).collect()
    }
}
