//! Carries out a plan: buffers, parameters, dispatches, and the results' new homes.

use crate::device::{Bindings, Buffer, Dispatch, Gpu};
use crate::error::{Error, Result};
use crate::graph::{Edge, OneOrMore, Profiler, Schedule, Storage};
use crate::plan::place::{PatchSource, Place, Plan};
use crate::plan::profile;

/// What a run leaves to the next run of its plan, so that nothing has to be made twice.
#[derive(Default)]
pub(super) struct Memory {
    /// The parameters as the device has them.
    params: Vec<u8>,
    /// The bind groups of each step.
    bindings: Vec<Bindings>,
    /// The buffer that each source is in, by its id.
    sources: Vec<u64>,
}

pub(super) fn run(plan: &Plan, memory: &mut Memory, schedule: &Schedule, gpu: &Gpu, profiler: &Profiler) -> Result<()> {
    let slots = take_slots(plan, gpu)?;
    for &(source, slot) in &plan.uploads {
        schedule.with_source(source, |storage| match storage {
            Some(Storage::Pending(bytes)) => gpu.upload(&slots[slot], bytes),
            _ => Ok(()),
        })?;
    }
    if !plan.steps.is_empty() {
        if memory.patch(plan, schedule) {
            // After an error nobody knows what the device has.
            gpu.write_uniform(&plan.uniform, &memory.params).inspect_err(|_| memory.params.clear())?;
        }
        let dispatches = memory.dispatches(plan, schedule, &slots, gpu)?;
        if profiler.is_on() {
            profile::submit(plan, schedule, gpu, &dispatches, profiler)?;
        } else {
            gpu.submit(&dispatches)?;
        }
        gpu.check_guards(&slots, &plan.slots)?;
    }
    for &(source, slot) in &plan.uploads {
        let tensor = &schedule.sources[source];
        tensor.node.store(OneOrMore::One(Storage::Device(slots[slot].clone())));
    }
    for (node, places) in &plan.kept {
        let home = |&place: &Place| buffer(place, schedule, &slots).map(Storage::Device);
        schedule.nodes[*node].store(match &places[..] {
            [only] => OneOrMore::One(home(only)?),
            _ => OneOrMore::More(places.iter().map(home).collect::<Result<_>>()?),
        });
    }
    Ok(())
}

/// A buffer for each slot; those of the last run where they are free, so that its bind groups serve again.
fn take_slots(plan: &Plan, gpu: &Gpu) -> Result<Vec<Buffer>> {
    let mut last = plan.last_buffers.lock();
    let mut taken: Vec<Option<Buffer>> = vec![None; plan.slots.len()];
    for ((slot, &bytes), &id) in taken.iter_mut().zip(&plan.slots).zip(last.iter()) {
        *slot = gpu.take_preferred(bytes, id);
    }
    let slots: Vec<Buffer> = taken
        .into_iter()
        .zip(&plan.slots)
        .map(|(slot, &bytes)| slot.map_or_else(|| gpu.take(bytes), Ok))
        .collect::<Result<_>>()?;
    last.clear();
    last.extend(slots.iter().map(Buffer::id));
    Ok(slots)
}

/// The buffer at a place.
fn buffer(place: Place, schedule: &Schedule, slots: &[Buffer]) -> Result<Buffer> {
    match place {
        Place::Slot(slot) => Ok(slots[slot].clone()),
        Place::Part(slot, start, bytes) => Ok(slots[slot].part(start, bytes)),
        Place::Source(source) => schedule.with_source(source, |storage| match storage {
            Some(Storage::Device(buffer)) => Ok(buffer.clone()),
            _ => Err(Error::Internal { op: "run", reason: "a source is not on the device".to_string() }),
        }),
    }
}

impl Memory {
    /// Puts this run's offsets and scalars into the parameters; whether any differs from the last run's.
    fn patch(&mut self, plan: &Plan, schedule: &Schedule) -> bool {
        let mut is_new = self.params.is_empty();
        if is_new {
            self.params.clone_from(&plan.params);
        }
        for patch in &plan.patches {
            let word = match patch.from {
                PatchSource::Offset(node, input) => match schedule.edges[node][input] {
                    Edge::Node { index, output } => schedule.nodes[index].outputs[output].offset as u32,
                    Edge::Source(source) => schedule.sources[source].layout().offset as u32,
                },
                PatchSource::Scalar(node, index) => schedule.nodes[node].op.scalars()[index],
            };
            let place = &mut self.params[patch.at..patch.at + 4];
            is_new |= place != word.to_le_bytes();
            place.copy_from_slice(&word.to_le_bytes());
        }
        is_new
    }

    /// The plan's steps with this run's buffers bound.
    fn dispatches<'a>(
        &'a mut self,
        plan: &'a Plan,
        schedule: &Schedule,
        slots: &[Buffer],
        gpu: &Gpu,
    ) -> Result<Vec<Dispatch<'a>>> {
        self.bindings.resize_with(plan.steps.len(), Bindings::default);
        self.sources.clear();
        self.sources.extend((0..schedule.sources.len()).map(|source| {
            schedule.with_source(source, |storage| match storage {
                Some(Storage::Device(buffer)) => buffer.id(),
                _ => 0,
            })
        }));
        let sources = &self.sources;
        let id = |place: &Option<Place>| match *place {
            Some(Place::Slot(slot)) => slots[slot].id(),
            Some(Place::Part(slot, start, _)) => slots[slot].part_id(start),
            Some(Place::Source(source)) => sources[source],
            None => 0,
        };
        let mut dispatches = Vec::with_capacity(plan.steps.len());
        for (step, bindings) in plan.steps.iter().zip(&mut self.bindings) {
            if !bindings.serve(step.buffers.iter().map(id)) {
                let show = |place: &Option<Place>| place.map(|place| buffer(place, schedule, slots)).transpose();
                let buffers: Vec<Option<Buffer>> = step.buffers.iter().map(show).collect::<Result<_>>()?;
                gpu.bind(bindings, &step.pipeline, &plan.uniform, &buffers)?;
            }
            dispatches.push(Dispatch {
                pipeline: &step.pipeline,
                bindings,
                params_offset: step.params_offset,
                groups: step.groups,
                work: step.work,
            });
        }
        Ok(dispatches)
    }

    /// Forgets the bind groups, which hold buffers.
    pub fn forget_bindings(&mut self) {
        self.bindings.clear();
    }
}
