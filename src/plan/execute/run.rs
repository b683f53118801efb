//! Runs a plan: takes buffers, writes parameters, submits dispatches and stores the results in their nodes.

use crate::device::{Bindings, Buffer, Dispatch, Gpu};
use crate::error::{Error, Result};
use crate::graph::{OneOrMore, Profiler, Schedule, Storage};
use crate::number::nearest;
use crate::plan::execute::profile;
use crate::plan::memory::assign::{Location, PatchSource, Plan};
use std::iter;

/// State that one run of a plan leaves to the next, so that nothing is made twice.
#[derive(Default)]
pub(in crate::plan) struct Memory {
    /// The parameters as the device has them.
    params: Vec<u8>,
    /// The bind groups of each step.
    bindings: Vec<Bindings>,
    /// Ids of the buffers of this run's slots and sources, and of those that the bind groups refer to.
    buffers: Vec<u64>,
    bound: Vec<u64>,
    /// The buffer of each slot, while the plan runs.
    slots: Vec<Buffer>,
    /// The buffers that the slots were in the last run, by their ids.
    last: Vec<u64>,
    /// Ids of the buffers that each source was last uploaded to.
    uploaded: Vec<u64>,
    /// The buffers of the last run that are free.
    free: Vec<Option<Buffer>>,
}

pub(in crate::plan) fn run(
    plan: &Plan,
    memory: &mut Memory,
    schedule: &Schedule,
    gpu: &Gpu,
    profiler: &Profiler,
) -> Result<()> {
    let result = memory.run(plan, schedule, gpu, profiler);
    // Buffers that no result is in go back to the pool.
    memory.slots.clear();
    result
}

/// The buffer at a location.
fn buffer(location: Location, schedule: &Schedule, slots: &[Buffer]) -> Result<Buffer> {
    match location {
        Location::Slot(slot) => Ok(slots[slot].clone()),
        Location::Part(slot, start, bytes) => Ok(slots[slot].part(start, bytes)),
        Location::Source(source) => schedule.with_source(source, |storage| match storage {
            Some(Storage::Device(buffer)) => Ok(buffer.clone()),
            _ => Err(Error::Internal { op: "run", reason: "a source is not on the device".to_string() }),
        }),
    }
}

impl Memory {
    fn run(&mut self, plan: &Plan, schedule: &Schedule, gpu: &Gpu, profiler: &Profiler) -> Result<()> {
        self.take_buffers(plan, schedule, gpu)?;
        if !plan.steps.is_empty() {
            self.bind(plan, schedule, gpu)?;
            let params = self.patch(plan, schedule).then_some((&plan.uniform, &self.params[..]));
            let dispatches = plan.steps.iter().zip(&self.bindings).map(|(step, bindings)| Dispatch {
                pipeline: &step.pipeline,
                bindings,
                groups: step.groups,
                work: step.work,
            });
            let submitted = if profiler.is_on() {
                profile::submit(plan, schedule, gpu, params, &dispatches.collect::<Vec<_>>(), profiler)
            } else {
                gpu.submit(params, dispatches)
            };
            // After an error nobody knows what parameters the device has.
            submitted.inspect_err(|_| self.params.clear())?;
        }
        // From here on the run has happened: an error would have it repeated, on what it has changed in place.
        self.store(plan, schedule)?;
        gpu.throttle();
        gpu.check_guards(&self.slots, &plan.slots);
        Ok(())
    }

    /// Takes a buffer for each slot and each uploaded source; the last run's if they are free, so that its bind groups can
    /// be used again.
    fn take_buffers(&mut self, plan: &Plan, schedule: &Schedule, gpu: &Gpu) -> Result<()> {
        let last = self.last.iter().map(Some).chain(iter::repeat(None));
        self.free.clear();
        self.free.extend(plan.slots.iter().zip(last).map(|(&bytes, id)| gpu.take_preferred(bytes, *id?)));
        self.upload(schedule, gpu)?;
        self.last.clear();
        for (free, &bytes) in self.free.drain(..).zip(&plan.slots) {
            let buffer = free.map_or_else(|| gpu.take(bytes), Ok)?;
            self.last.push(buffer.id());
            self.slots.push(buffer);
        }
        Ok(())
    }

    /// Uploads sources that the caller handed in. They are ordinary sources afterwards, so that no plan depends on which are
    /// new.
    fn upload(&mut self, schedule: &Schedule, gpu: &Gpu) -> Result<()> {
        self.uploaded.resize(schedule.sources.len(), 0);
        for (source, last) in self.uploaded.iter_mut().enumerate() {
            let handed_in = schedule.with_source(source, |storage| match storage {
                Some(Storage::Pending(bytes)) => Some(bytes.clone()),
                _ => None,
            });
            let Some(bytes) = handed_in else { continue };
            let buffer = gpu.take_preferred(bytes.len(), *last).map_or_else(|| gpu.take(bytes.len()), Ok)?;
            gpu.upload(&buffer, &bytes)?;
            *last = buffer.id();
            schedule.sources[source].node.store(OneOrMore::One(Storage::Device(buffer)));
        }
        Ok(())
    }

    /// Writes this run's offsets and scalars into the parameters. True if any differs from the last run's.
    fn patch(&mut self, plan: &Plan, schedule: &Schedule) -> bool {
        let mut is_new = self.params.is_empty();
        if is_new {
            self.params.clone_from(&plan.params);
        }
        for patch in &plan.patches {
            let word = match patch.from {
                PatchSource::Offset(node, input) => nearest::<u32>(schedule.layout(schedule.edges[node][input]).offset),
                PatchSource::Scalar(node, index) => schedule.nodes[node].op.scalars()[index],
            };
            let word_bytes = &mut self.params[patch.at..patch.at + 4];
            is_new |= word_bytes != word.to_le_bytes();
            word_bytes.copy_from_slice(&word.to_le_bytes());
        }
        is_new
    }

    /// Binds this run's buffers to the plan's steps.
    fn bind(&mut self, plan: &Plan, schedule: &Schedule, gpu: &Gpu) -> Result<()> {
        self.buffers.clear();
        self.buffers.extend(self.slots.iter().map(Buffer::id));
        self.buffers.extend((0..schedule.sources.len()).map(|source| {
            schedule.with_source(source, |storage| match storage {
                Some(Storage::Device(buffer)) => buffer.id(),
                _ => 0,
            })
        }));
        if self.bound == self.buffers {
            return Ok(());
        }
        self.bound.clear();
        self.bindings.resize_with(plan.steps.len(), Bindings::default);
        let id = |location: &Option<Location>| match *location {
            Some(Location::Slot(slot)) => self.buffers[slot],
            Some(Location::Part(slot, start, _)) => self.slots[slot].part_id(start),
            Some(Location::Source(source)) => self.buffers[plan.slots.len() + source],
            None => 0,
        };
        for (step, bindings) in plan.steps.iter().zip(&mut self.bindings) {
            if !bindings.serve(step.buffers.iter().map(id)) {
                let show = |location: &Option<Location>| {
                    location.map(|location| buffer(location, schedule, &self.slots)).transpose()
                };
                let buffers: Vec<Option<Buffer>> = step.buffers.iter().map(show).collect::<Result<_>>()?;
                gpu.bind(bindings, &step.pipeline, (&plan.uniform, step.params_offset), &buffers)?;
            }
        }
        self.bound.clone_from(&self.buffers);
        Ok(())
    }

    /// Stores the locations of results in their nodes.
    fn store(&self, plan: &Plan, schedule: &Schedule) -> Result<()> {
        for (node, locations) in &plan.kept {
            let storage = |&location: &Location| buffer(location, schedule, &self.slots).map(Storage::Device);
            schedule.nodes[*node].store(match &locations[..] {
                [only] => OneOrMore::One(storage(only)?),
                _ => OneOrMore::More(locations.iter().map(storage).collect::<Result<_>>()?),
            });
        }
        Ok(())
    }

    /// Bind groups kept.
    pub fn bind_groups(&self) -> usize {
        self.bindings.iter().map(Bindings::len).sum()
    }

    /// Forgets the bind groups, which hold buffers.
    pub fn forget_bindings(&mut self) {
        self.bindings.clear();
        self.bound.clear();
    }
}
