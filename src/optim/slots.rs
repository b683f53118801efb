//! What every optimizer keeps: parameters, their buffers, and how often each was changed.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, ascribe_to_caller, no_grad};
use std::collections::HashSet;

/// One trained parameter.
pub(super) struct Slot {
    pub parameter: Parameter,
    pub buffers: Vec<Parameter>,
    /// Counted for each parameter: one that gets its first gradient late has its first step late.
    pub steps: u64,
}

pub(super) struct Slots(pub Vec<Slot>);

impl Slots {
    /// Buffers of zeros for every trained parameter; others are left out.
    pub fn new(op: &'static str, parameters: Vec<Parameter>, buffers: &[&str]) -> Result<Slots> {
        let mut names = HashSet::new();
        let mut slots = Vec::new();
        for parameter in parameters.into_iter().filter(Parameter::is_trained) {
            if !names.insert(parameter.name().to_string()) {
                return Err(Error::invalid(op, format!("two parameters are called {}", parameter.name())));
            }
            let zeros = |kind: &&str| {
                let zeros = parameter.value().zeros_like()?;
                Ok(Parameter::buffer(format!("{kind}.{}", parameter.name()), &zeros))
            };
            let buffers = buffers.iter().map(zeros).collect::<Result<_>>()?;
            slots.push(Slot { parameter, buffers, steps: 0 });
        }
        if slots.is_empty() {
            return Err(Error::invalid(op, "there are no trained parameters"));
        }
        Ok(Slots(slots))
    }

    /// Calls `update` for every parameter with a gradient, then submits what was recorded.
    #[track_caller]
    pub fn step(&mut self, mut update: impl FnMut(&Slot, &Tensor) -> Result<()>) -> Result<()> {
        let _line = ascribe_to_caller();
        no_grad(|| {
            for slot in &mut self.0 {
                if let Some(gradient) = slot.parameter.grad() {
                    slot.steps += 1;
                    update(slot, &gradient)?;
                }
            }
            self.0[0].parameter.value().device().flush()
        })
    }

    pub fn parameters(&self) -> Vec<Parameter> {
        self.0.iter().map(|slot| slot.parameter.clone()).collect()
    }

    pub fn buffers(&self) -> Vec<Parameter> {
        self.0.iter().flat_map(|slot| slot.buffers.clone()).collect()
    }

    pub fn steps(&self) -> Vec<u64> {
        self.0.iter().map(|slot| slot.steps).collect()
    }

    pub fn set_steps(&mut self, op: &'static str, steps: &[u64]) -> Result<()> {
        if steps.len() != self.0.len() {
            let rule = format!("{} step counts for {} parameters", steps.len(), self.0.len());
            return Err(Error::invalid(op, rule));
        }
        for (slot, &steps) in self.0.iter_mut().zip(steps) {
            slot.steps = steps;
        }
        Ok(())
    }
}

/// A number that must not be negative.
pub(super) fn at_least_zero(op: &'static str, name: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be finite and not negative")))
}

/// A decay rate: from 0 up to but without 1.
pub(super) fn below_one(op: &'static str, name: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(op, format!("{name} is {value}; it must be at least 0 and below 1")))
}
