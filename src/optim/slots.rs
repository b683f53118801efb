//! The state of an optimizer: parameters, their buffers, and the number of steps of each.
//!
//! Parameters that are changed by the same formula lie in one pack, and so do their gradients and buffers: a step is a formula
//! over whole packs, one launch for all of them.

use super::bundle::{Bundle, Slot};
use super::clip::Clipping;
use super::guard::{Guard, not_finite};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Before, Device, Parameter, RandomState, Tensor, ascribe_to_caller, no_grad};
use crate::number::nearest;
use crate::shape::Shape;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bundle before its step.
struct Undo {
    bundle: usize,
    /// Packs of the parameters, then of the buffers.
    packs: Vec<Before>,
    steps: u64,
    stopped: Option<Tensor>,
}

/// Parameters of a group that is being added.
pub(super) struct Entering {
    pub group: usize,
    /// The first group of the same form.
    pub form: usize,
    pub parameters: Vec<Parameter>,
    /// Names of the buffers, and their initial values.
    pub buffers: Vec<(&'static str, f64)>,
    /// The shape of a buffer, from its name and the parameter's shape, if such a parameter has it.
    pub buffer_shape: fn(&str, &Shape) -> Option<Shape>,
}

/// The pack of a bundle during a step.
pub(super) struct Part<'a> {
    pub bundle: &'a mut Bundle,
    /// The first group of the members' form.
    pub form: usize,
    /// In f32.
    pub gradient: Tensor,
    /// The number of this step, from 1, if none was stopped.
    pub steps: u64,
    /// Not 0 if this step has to change nothing, `[1, 1]`.
    pub stop: Option<&'a Tensor>,
}

pub(super) struct Slots {
    slots: Vec<Slot>,
    bundles: Vec<Bundle>,
    /// The norm of the last step's gradients, if it is limited.
    norm: Option<Tensor>,
    /// Identifies this optimizer among others.
    number: u64,
}

static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl Slots {
    pub fn new() -> Slots {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Slots { slots: Vec::new(), bundles: Vec::new(), norm: None, number }
    }

    /// Adds groups: their trained parameters, with buffers.
    #[track_caller]
    pub fn add(&mut self, op: &'static str, groups: Vec<Entering>) -> Result<()> {
        let mut names: HashSet<String> = self.slots.iter().map(|slot| slot.parameter.name().to_string()).collect();
        let mut known = self.parameters();
        let mut slots = Vec::new();
        for Entering { group, form, parameters, buffers, buffer_shape } in groups {
            let trained = Parameter::each_once(parameters).into_iter().filter(|parameter| !parameter.is_buffer());
            let trained: Vec<Parameter> = trained.collect();
            if trained.is_empty() {
                return Err(Error::invalid(op, format!("group {group} has no trained parameters")));
            }
            for parameter in &trained {
                let name = parameter.name();
                if !names.insert(name.to_string()) {
                    let is_known = known.iter().any(|other| other.is_same(parameter));
                    let rule = if is_known { "is in two groups" } else { "is the name of two parameters" };
                    return Err(Error::invalid(op, format!("{name} {rule}")));
                }
                let (shape, _, device) = parameter.holds();
                let buffer = |(kind, start, shape): (&str, f64, Shape)| {
                    let start = Tensor::from_f64(&device, &[start], &[])?.expand_to(shape, op)?.copy()?;
                    Ok(Parameter::buffer(format!("{kind}.{name}"), &start))
                };
                let shaped =
                    buffers.iter().filter_map(|&(kind, start)| Some((kind, start, buffer_shape(kind, &shape)?)));
                let buffers = no_grad(|| shaped.map(buffer).collect::<Result<_>>())?;
                slots.push(Slot { parameter: parameter.clone(), group, form, buffers, steps: 0, stepped_by: None });
            }
            known.extend(trained);
        }
        let first = self.slots.len();
        self.slots.extend(slots);
        match Bundle::of(&self.slots, &(first..self.slots.len()).collect::<Vec<_>>()) {
            Ok(bundles) => self.bundles.extend(bundles),
            Err(error) => {
                self.slots.truncate(first);
                return Err(error);
            }
        }
        // Initial values get a plan of their own, so that the first step is planned as all others are.
        self.flush()
    }

    /// Splits bundles until the members of each all have a gradient or none, and have taken the same number of steps.
    #[track_caller]
    fn regroup(&mut self, gradients: &[Option<Tensor>]) -> Result<()> {
        let mut outdated = Vec::new();
        let mut made = Vec::new();
        for (at, bundle) in self.bundles.iter().enumerate() {
            let key = |member: usize| (gradients[member].is_some(), self.slots[member].steps);
            let first = key(bundle.members[0]);
            if bundle.members.iter().all(|&member| key(member) == first) && bundle.is_whole(&self.slots) {
                continue;
            }
            for (segment, &member) in bundle.parameters.segments().iter().zip(&bundle.members) {
                let parameter = &self.slots[member].parameter;
                let (shape, before) = (parameter.holds().0, segment.shape);
                if shape != before {
                    let name = parameter.name();
                    let rule =
                        format!("{name} has shape {shape}, and had {before} when the optimizer was made: make it anew");
                    return Err(Error::invalid("step", rule));
                }
            }
            let mut parts: Vec<((bool, u64), Vec<usize>)> = Vec::new();
            for &member in &bundle.members {
                match parts.iter_mut().find(|part| part.0 == key(member)) {
                    Some((_, members)) => members.push(member),
                    None => parts.push((key(member), vec![member])),
                }
            }
            outdated.push(at);
            for (_, members) in parts {
                let mut parts = Bundle::of(&self.slots, &members)?;
                parts.iter_mut().for_each(|part| part.stopped.clone_from(&bundle.stopped));
                made.extend(parts);
            }
        }
        // After an earlier error every slot is still in a bundle; a bundle whose members have left is made anew by the next step.
        for at in outdated.into_iter().rev() {
            self.bundles.remove(at);
        }
        self.bundles.extend(made);
        Ok(())
    }

    /// Calls `update` for each bundle with gradients, which returns new values and buffers; then submits the recording. After an
    /// error, steps that were not carried out are taken back, so that a repeated call does the same as the first.
    #[track_caller]
    pub fn step(
        &mut self,
        mut guard: Option<&mut Guard>,
        clipping: &Clipping,
        update: impl Fn(Part) -> Result<(Tensor, Vec<Tensor>)>,
    ) -> Result<()> {
        let _line = ascribe_to_caller();
        let (mut undo, before, streams) = (Vec::new(), guard.as_deref().cloned(), self.streams());
        let recorded = no_grad(|| self.record(guard.as_deref_mut(), clipping, update, &mut undo));
        let result = recorded.and_then(|()| self.flush());
        if result.is_ok() {
            for slot in &mut self.slots {
                slot.stepped_by = None;
                slot.parameter.changed_by(self.number);
            }
            return result;
        }
        undo.into_iter().for_each(|undo| self.take_back(undo));
        self.norm = None;
        streams.iter().for_each(|(device, state)| device.set_random_state(*state));
        if let (Some(guard), Some(before)) = (guard, before) {
            *guard = before;
        }
        result
    }

    /// The devices of the parameters.
    fn devices(&self) -> Vec<Device> {
        let mut devices: Vec<Device> = Vec::new();
        for bundle in &self.bundles {
            // Not from a parameter's value: that would be one more holder of the pack's memory.
            let device = bundle.parameters.value().device().clone();
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        devices
    }

    /// Submits the recordings of the parameters' devices.
    fn flush(&self) -> Result<()> {
        self.devices().iter().try_for_each(Device::flush)
    }

    /// The states of their random streams.
    fn streams(&self) -> Vec<(Device, RandomState)> {
        let stream = |device: Device| {
            let state = device.random_state();
            (device, state)
        };
        self.devices().into_iter().map(stream).collect()
    }

    /// The norm of the last step's gradients, if it is limited.
    pub fn norm(&self) -> Option<&Tensor> {
        self.norm.as_ref()
    }

    #[track_caller]
    fn record(
        &mut self,
        guard: Option<&mut Guard>,
        clipping: &Clipping,
        update: impl Fn(Part) -> Result<(Tensor, Vec<Tensor>)>,
        undo: &mut Vec<Undo>,
    ) -> Result<()> {
        let mut of_slots: Vec<Option<Tensor>> = self.slots.iter().map(Slot::gradient).collect();
        for (slot, gradient) in self.slots.iter().zip(&of_slots) {
            if gradient.as_ref().is_some_and(|gradient| slot.parameter.is_changed_by_other(self.number, gradient)) {
                let rule = "has been changed by another optimizer by this gradient: it should belong to one of them, or \
                            zero_grad be called between their steps";
                return Err(Error::invalid("step", format!("{} {rule}", slot.parameter.name())));
            }
        }
        self.regroup(&of_slots)?;
        let mut gradients = Vec::new();
        for (index, bundle) in self.bundles.iter().enumerate() {
            let of_members: Vec<Tensor> = bundle.members.iter().filter_map(|&member| of_slots[member].take()).collect();
            if !of_members.is_empty() {
                let gradient = bundle.gradient(&of_members)?.to_dtype(DType::F32)?;
                gradients
                    .push((index, guard.as_ref().map_or(Ok(gradient.clone()), |guard| guard.unscaled(&gradient))?));
            }
        }
        let stop = match guard {
            Some(guard) => self.stop(guard, &gradients)?,
            None => None,
        };
        let slots = &self.slots;
        self.norm = clipping.apply(&mut self.bundles, &mut gradients, |bundle| slots[bundle.members[0]].steps)?;
        for (index, gradient) in gradients {
            let bundle = &mut self.bundles[index];
            let Slot { form, steps: before, .. } = self.slots[bundle.members[0]];
            // A count from a file may be the largest possible.
            let steps = before.saturating_add(1);
            let stopped = bundle.stopped.clone();
            let (value, buffers) = update(Part { bundle, form, gradient, steps, stop: stop.as_ref() })?;
            if let (Some(stopped), Some(stop)) = (&stopped, &stop) {
                bundle.stopped = Some(stopped.add(stop)?);
            }
            let packs = bundle.packs().map(|pack| pack.before()).collect();
            undo.push(Undo { bundle: index, packs, steps: before, stopped });
            bundle.parameters.assign(&value)?;
            bundle.buffers.iter().zip(&buffers).try_for_each(|(pack, buffer)| pack.assign(buffer))?;
            bundle.members.iter().for_each(|&member| self.slots[member].steps = steps);
        }
        Ok(())
    }

    /// The guard's flag for a step by these gradients.
    #[track_caller]
    fn stop(&mut self, guard: &mut Guard, gradients: &[(usize, Tensor)]) -> Result<Option<Tensor>> {
        let mut total: Option<Tensor> = None;
        for (index, gradient) in gradients {
            let bundle = &mut self.bundles[*index];
            if bundle.stopped.is_none() {
                bundle.stopped = Some(Tensor::from_slice(gradient.device(), &[0.0f32], &[1, 1])?);
            }
            let count = bundle.runs()?.total(&not_finite(gradient)?)?;
            total = Some(total.map_or(Ok(count.clone()), |total| total.add(&count))?);
        }
        total.map(|total| guard.stop(&total)).transpose()
    }

    /// Takes a bundle's step back, or remembers that it was carried out before others failed.
    fn take_back(&mut self, undo: Undo) {
        let bundle = &mut self.bundles[undo.bundle];
        let is_done = bundle.packs().all(|pack| pack.is_computed());
        if !is_done {
            bundle.packs().zip(&undo.packs).for_each(|(pack, before)| pack.take_back(before));
            bundle.stopped = undo.stopped;
        }
        for &member in &bundle.members {
            let slot = &mut self.slots[member];
            match is_done {
                true => {
                    slot.stepped_by = slot.parameter.grad();
                    slot.parameter.changed_by(self.number);
                }
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

    /// The number of steps of each parameter, which only the device knows if some may have been stopped.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = self.slots.iter().map(|slot| slot.steps).collect();
        for bundle in &self.bundles {
            if let Some(stopped) = &bundle.stopped {
                let stopped = nearest::<u64>(f64::from(stopped.item::<f32>()?));
                bundle.members.iter().for_each(|&member| steps[member] = steps[member].saturating_sub(stopped));
            }
        }
        Ok(steps)
    }

    pub fn set_steps(&mut self, op: &'static str, steps: &[u64]) -> Result<()> {
        if steps.len() != self.slots.len() {
            let rule = format!("{} step counts for {} parameters", steps.len(), self.slots.len());
            return Err(Error::invalid(op, rule));
        }
        for (slot, &steps) in self.slots.iter_mut().zip(steps) {
            slot.steps = steps;
        }
        self.bundles.iter_mut().for_each(|bundle| bundle.stopped = None);
        Ok(())
    }
}
