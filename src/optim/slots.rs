//! What every optimizer keeps: parameters, their buffers, and how often each was changed.
//!
//! Parameters that are changed alike lie in one pack, and so do their gradients and buffers: a step is a formula over
//! whole packs, one launch for all of them.

use crate::error::{Error, Result};
use crate::graph::{Before, Device, Pack, Parameter, Tensor, ascribe_to_caller, no_grad};
use crate::ops::{pack, segments};
use std::collections::HashSet;
use std::iter;
use std::sync::Arc;

/// Elements of a pack: larger ones would gain nothing, and could meet the limits of a buffer.
const MOST_ELEMENTS: usize = 1 << 24;

/// One trained parameter.
struct Slot {
    parameter: Parameter,
    buffers: Vec<Parameter>,
    /// Counted for each parameter: one that gets its first gradient late has its first step late.
    steps: u64,
    /// The gradient of its last step, while others of the same call have failed: the call may be made again, and this
    /// parameter must not move twice. Held, so that no other gradient can be taken for it.
    stepped_by: Option<Tensor>,
}

/// Slots that take their steps together.
struct Group {
    members: Vec<usize>,
    parameters: Arc<Pack>,
    buffers: Vec<Arc<Pack>>,
}

impl Slot {
    /// The gradient of the next step.
    fn gradient(&self) -> Option<Tensor> {
        let is_new = |gradient: &Tensor| !self.stepped_by.as_ref().is_some_and(|by| by.is_same(gradient));
        self.parameter.grad().filter(is_new)
    }
}

impl Group {
    /// The packs of the parameters and of each kind of buffer.
    fn packs(&self) -> impl Iterator<Item = &Arc<Pack>> {
        iter::once(&self.parameters).chain(&self.buffers)
    }
}

/// A group before its step.
struct Undo {
    group: usize,
    /// Of the parameters, then of the buffers.
    packs: Vec<Before>,
    steps: u64,
}

/// A step of some parameters, side by side in tensors of one dimension.
pub(super) struct Update {
    pub value: Tensor,
    pub gradient: Tensor,
    pub buffers: Vec<Tensor>,
    /// The number of this step, from 1.
    pub steps: u64,
}

pub(super) struct Slots {
    slots: Vec<Slot>,
    groups: Vec<Group>,
}

impl Slots {
    /// Buffers of zeros for every trained parameter; others are left out.
    #[track_caller]
    pub fn new(op: &'static str, parameters: Vec<Parameter>, buffers: &[&str]) -> Result<Slots> {
        let mut names = HashSet::new();
        let mut slots = Vec::new();
        for parameter in Parameter::each_once(parameters).into_iter().filter(Parameter::is_trained) {
            if !names.insert(parameter.name().to_string()) {
                return Err(Error::invalid(op, format!("two parameters are called {}", parameter.name())));
            }
            let zeros = |kind: &&str| {
                let zeros = parameter.value().zeros_like()?;
                Ok(Parameter::buffer(format!("{kind}.{}", parameter.name()), &zeros))
            };
            let buffers = buffers.iter().map(zeros).collect::<Result<_>>()?;
            slots.push(Slot { parameter, buffers, steps: 0, stepped_by: None });
        }
        if slots.is_empty() {
            return Err(Error::invalid(op, "there are no trained parameters"));
        }
        let mut slots = Slots { slots, groups: Vec::new() };
        slots.groups = slots.grouped(&(0..slots.slots.len()).collect::<Vec<_>>())?;
        // Initial values are a plan of their own, so that the first step is planned as all others are.
        slots.flush()?;
        Ok(slots)
    }

    /// These slots in packs: those of one type and device together.
    #[track_caller]
    fn grouped(&self, slots: &[usize]) -> Result<Vec<Group>> {
        let mut alike: Vec<(Tensor, usize, Vec<usize>)> = Vec::new();
        for &slot in slots {
            let value = self.slots[slot].parameter.value();
            let fits = |(first, numel, _): &&mut (Tensor, usize, Vec<usize>)| {
                (first.dtype(), first.device()) == (value.dtype(), value.device())
                    && *numel + value.numel() <= MOST_ELEMENTS
            };
            match alike.iter_mut().find(fits) {
                Some((_, numel, members)) => {
                    *numel += value.numel();
                    members.push(slot);
                }
                None => alike.push((value.clone(), value.numel(), vec![slot])),
            }
        }
        alike.into_iter().map(|(_, _, members)| self.packed(members)).collect()
    }

    #[track_caller]
    fn packed(&self, members: Vec<usize>) -> Result<Group> {
        let slots: Vec<&Slot> = members.iter().map(|&member| &self.slots[member]).collect();
        let shapes = slots.iter().map(|slot| *slot.parameter.value().shape());
        let (segments, numel) = segments(shapes);
        let moved = |parameters: Vec<&Parameter>| -> Result<Arc<Pack>> {
            let values: Vec<Tensor> = parameters.iter().map(|parameter| parameter.value()).collect();
            let whole = Pack::new(&no_grad(|| pack(&values, &segments, numel))?, segments.clone());
            parameters.iter().enumerate().for_each(|(index, parameter)| parameter.move_into(&whole, index));
            Ok(whole)
        };
        let parameters = moved(slots.iter().map(|slot| &slot.parameter).collect())?;
        let buffers =
            (0..slots[0].buffers.len()).map(|buffer| moved(slots.iter().map(|slot| &slot.buffers[buffer]).collect()));
        let buffers = buffers.collect::<Result<_>>()?;
        Ok(Group { members, parameters, buffers })
    }

    /// Whether the members still lie in the group's packs: an assigned value stands for itself.
    fn is_whole(&self, group: &Group) -> bool {
        group.members.iter().enumerate().all(|(index, &member)| {
            let slot = &self.slots[member];
            let mut buffers = slot.buffers.iter().zip(&group.buffers);
            slot.parameter.is_part_of(&group.parameters, index)
                && buffers.all(|(buffer, pack)| buffer.is_part_of(pack, index))
        })
    }

    /// Splits groups until the members of each all have a gradient or none, and are as many steps old.
    #[track_caller]
    fn regroup(&mut self, gradients: &[Option<Tensor>]) -> Result<()> {
        let mut outdated = Vec::new();
        let mut made = Vec::new();
        for (at, group) in self.groups.iter().enumerate() {
            let key = |member: usize| (gradients[member].is_some(), self.slots[member].steps);
            if group.members.iter().all(|&member| key(member) == key(group.members[0])) && self.is_whole(group) {
                continue;
            }
            let mut parts: Vec<((bool, u64), Vec<usize>)> = Vec::new();
            for &member in &group.members {
                match parts.iter_mut().find(|part| part.0 == key(member)) {
                    Some((_, members)) => members.push(member),
                    None => parts.push((key(member), vec![member])),
                }
            }
            outdated.push(at);
            for (_, members) in parts {
                made.extend(self.grouped(&members)?);
            }
        }
        // After an error above every slot is still in a group; one whose members moved on is made anew by the next step.
        for at in outdated.into_iter().rev() {
            self.groups.remove(at);
        }
        self.groups.extend(made);
        Ok(())
    }

    /// Calls `update` for the parameters with a gradient, which returns their new values and buffers; then submits what
    /// was recorded. After an error what was not carried out is taken back, so that a repeated call is the first one's.
    #[track_caller]
    pub fn step(&mut self, update: impl FnMut(Update) -> Result<(Tensor, Vec<Tensor>)>) -> Result<()> {
        let _line = ascribe_to_caller();
        let mut undo = Vec::new();
        let result = no_grad(|| self.record(update, &mut undo)).and_then(|()| self.flush());
        match &result {
            Ok(()) => self.slots.iter_mut().for_each(|slot| slot.stepped_by = None),
            Err(_) => undo.iter().for_each(|undo| self.take_back(undo)),
        }
        result
    }

    /// Submits what is recorded on the devices of the parameters.
    fn flush(&self) -> Result<()> {
        let mut flushed: Vec<Device> = Vec::new();
        for group in &self.groups {
            // Not of a parameter's value: that would be one more holder of the pack's memory.
            let device = group.parameters.value().device().clone();
            if !flushed.contains(&device) {
                device.flush()?;
                flushed.push(device);
            }
        }
        Ok(())
    }

    #[track_caller]
    fn record(
        &mut self,
        mut update: impl FnMut(Update) -> Result<(Tensor, Vec<Tensor>)>,
        undo: &mut Vec<Undo>,
    ) -> Result<()> {
        let mut gradients: Vec<Option<Tensor>> = self.slots.iter().map(Slot::gradient).collect();
        self.regroup(&gradients)?;
        for (index, group) in self.groups.iter().enumerate() {
            let of_members: Vec<Tensor> = group.members.iter().filter_map(|&member| gradients[member].take()).collect();
            if of_members.is_empty() {
                continue;
            }
            let value = group.parameters.value();
            let gradient = pack(&of_members, group.parameters.segments(), value.numel())?;
            let before = self.slots[group.members[0]].steps;
            // A count that a file makes up may be the largest there is.
            let steps = before.saturating_add(1);
            let buffers = group.buffers.iter().map(|pack| pack.value()).collect();
            let (value, buffers) = update(Update { value, gradient, buffers, steps })?;
            let packs = group.packs().map(|pack| pack.before()).collect();
            undo.push(Undo { group: index, packs, steps: before });
            group.parameters.assign(&value);
            group.buffers.iter().zip(&buffers).for_each(|(pack, buffer)| pack.assign(buffer));
            group.members.iter().for_each(|&member| self.slots[member].steps = steps);
        }
        Ok(())
    }

    /// Takes a group's step back, or remembers that it was carried out before others failed.
    fn take_back(&mut self, undo: &Undo) {
        let group = &self.groups[undo.group];
        let is_done = group.packs().all(|pack| pack.is_computed());
        if !is_done {
            group.packs().zip(&undo.packs).for_each(|(pack, before)| pack.take_back(before));
        }
        for &member in &group.members {
            let slot = &mut self.slots[member];
            match is_done {
                true => slot.stepped_by = slot.parameter.grad(),
                false => slot.steps = undo.steps,
            }
        }
    }

    pub fn parameters(&self) -> Vec<Parameter> {
        self.slots.iter().map(|slot| slot.parameter.clone()).collect()
    }

    pub fn buffers(&self) -> Vec<Parameter> {
        self.slots.iter().flat_map(|slot| slot.buffers.clone()).collect()
    }

    pub fn zero_grad(&self) {
        self.slots.iter().for_each(|slot| slot.parameter.zero_grad());
    }

    pub fn steps(&self) -> Vec<u64> {
        self.slots.iter().map(|slot| slot.steps).collect()
    }

    pub fn set_steps(&mut self, op: &'static str, steps: &[u64]) -> Result<()> {
        if steps.len() != self.slots.len() {
            let rule = format!("{} step counts for {} parameters", steps.len(), self.slots.len());
            return Err(Error::invalid(op, rule));
        }
        for (slot, &steps) in self.slots.iter_mut().zip(steps) {
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
