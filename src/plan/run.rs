//! Carries out a plan: buffers, parameters, dispatches, and the results' new homes.

use crate::device::{Buffer, Dispatch, Gpu};
use crate::error::{Error, Result};
use crate::graph::{Edge, Profiler, Schedule, Storage};
use crate::plan::place::{PatchSource, Place, Plan};
use crate::plan::profile;
use std::borrow::Cow;

pub(super) fn run(plan: &Plan, schedule: &Schedule, gpu: &Gpu, profiler: &Profiler) -> Result<()> {
    let slots = take_slots(plan, gpu)?;
    for &(source, slot) in &plan.uploads {
        if let Some(Storage::Pending(bytes)) = schedule.source_storage(source) {
            gpu.upload(&slots[slot], &bytes)?;
        }
    }
    let sources: Vec<Option<Buffer>> = (0..schedule.sources.len())
        .map(|source| match schedule.source_storage(source) {
            Some(Storage::Device(buffer)) => Some(buffer),
            _ => None,
        })
        .collect();
    let buffer = |place: Place| match place {
        Place::Slot(slot) => Ok(slots[slot].clone()),
        Place::Source(source) => sources[source]
            .clone()
            .ok_or_else(|| Error::Internal { op: "run", reason: "a source is not on the device".to_string() }),
    };

    if !plan.steps.is_empty() {
        gpu.write_uniform(&plan.uniform, &params(plan, schedule))?;
        let mut dispatches = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let buffers: Vec<Option<Buffer>> =
                step.buffers.iter().map(|place| place.map(buffer).transpose()).collect::<Result<_>>()?;
            dispatches.push(Dispatch {
                bind_group: gpu.bind_group(&step.pipeline, &plan.uniform, &buffers)?,
                pipeline: step.pipeline.clone(),
                params_offset: step.params_offset,
                groups: step.groups,
                work: step.work,
            });
        }
        if profiler.is_on() {
            profile::submit(plan, schedule, gpu, &dispatches, profiler)?;
        } else {
            gpu.submit(&dispatches)?;
        }
        gpu.check_guards(&slots, &plan.slots)?;
    }

    for &(source, slot) in &plan.uploads {
        let tensor = &schedule.sources[source];
        tensor.node.state.lock().storage = Some(vec![Storage::Device(slots[slot].clone())]);
    }
    for (node, places) in &plan.kept {
        let storage = places.iter().map(|&place| buffer(place).map(Storage::Device)).collect::<Result<_>>()?;
        schedule.nodes[*node].state.lock().storage = Some(storage);
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
    *last = slots.iter().map(Buffer::id).collect();
    Ok(slots)
}

/// The plan's parameters with this run's offsets and scalars.
fn params<'a>(plan: &'a Plan, schedule: &Schedule) -> Cow<'a, [u8]> {
    if plan.patches.is_empty() {
        return Cow::Borrowed(&plan.params);
    }
    let mut bytes = plan.params.clone();
    for patch in &plan.patches {
        let word = match patch.from {
            PatchSource::Offset(node, input) => match schedule.edges[node][input] {
                Edge::Node { index, output } => schedule.nodes[index].outputs[output].offset as u32,
                Edge::Source(source) => schedule.sources[source].layout().offset as u32,
            },
            PatchSource::Scalar(node, index) => schedule.nodes[node].op.scalars()[index],
        };
        bytes[patch.at..patch.at + 4].copy_from_slice(&word.to_le_bytes());
    }
    Cow::Owned(bytes)
}
