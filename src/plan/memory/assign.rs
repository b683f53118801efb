//! Assigns a buffer to each value: by liveness, in place where that is safe.

use crate::device::{Gpu, Pipeline, Uniform};
use crate::error::{Error, Result};
use crate::graph::{Budget, Edge, Storage};
use crate::number::nearest;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::destinations::{Destination, Destinations};
use crate::plan::cluster::liveness::Liveness;
use crate::plan::codegen::emit::Emitted;
use crate::plan::memory::arena::{Arena, PART_ALIGNMENT, Slot, pair};
use crate::plan::memory::launches;
use crate::plan::memory::peak::peak;
use crate::plan::memory::workspace;
use crate::shader::{Kernel, Operand, Word};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The location of a value during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Location {
    /// A buffer the run takes from the pool.
    Slot(usize),
    /// A part of such a buffer: the slot, its first byte and its size.
    Part(usize, usize, usize),
    /// The buffer that a value of an earlier run is in.
    Source(usize),
}

impl Location {
    /// The slot it is in.
    fn slot(self) -> Option<usize> {
        match self {
            Location::Slot(slot) | Location::Part(slot, _, _) => Some(slot),
            Location::Source(_) => None,
        }
    }
}

/// One dispatch of a plan.
pub(in crate::plan) struct Step {
    pub name: &'static str,
    pub pipeline: Arc<Pipeline>,
    /// For each binding of the pipeline the location it shows; `None` is the device's fault words.
    pub buffers: Vec<Option<Location>>,
    pub params_offset: u32,
    pub groups: [u32; 3],
    pub work: u64,
    /// The recorded call it computes last.
    pub node: usize,
    /// All recorded calls that it computes.
    pub nodes: Arc<[usize]>,
}

/// A parameter word that each run writes anew.
#[derive(Clone, Copy)]
pub(in crate::plan) struct Patch {
    /// Byte position in the parameters.
    pub at: usize,
    pub from: PatchSource,
}

#[derive(Clone, Copy)]
pub(in crate::plan) enum PatchSource {
    /// First element of an edge's layout: call, argument.
    Offset(usize, usize),
    /// A data word: call, index.
    Scalar(usize, usize),
}

/// A graph's dispatches, and the buffers they need.
pub(in crate::plan) struct Plan {
    pub steps: Vec<Step>,
    /// Bytes of each slot.
    pub slots: Vec<usize>,
    /// Bytes that the slots' buffers, and those of values of earlier runs, count for in the pool.
    pub slot_bytes: u64,
    pub source_bytes: u64,
    /// For each kept call the locations of its outputs.
    pub kept: Vec<(usize, Vec<Location>)>,
    /// The parameters as far as they are known now.
    pub params: Vec<u8>,
    pub patches: Vec<Patch>,
    pub uniform: Uniform,
    /// The calls' names, for printing.
    pub calls: Vec<&'static str>,
    /// Notes of the passes, such as why calls were not fused; a line each.
    pub notes: Vec<String>,
}

impl Plan {
    /// Bytes in use while it runs, if nothing but its inputs was before.
    pub fn bytes(&self) -> u64 {
        self.slot_bytes + self.source_bytes
    }
}

/// The kernels of one cluster, and what they read and write.
pub(in crate::plan) struct Unit {
    /// The calls it computes; the last gives it its name.
    pub nodes: Arc<[usize]>,
    pub emitted: Emitted,
}

/// Assigns locations to units one after the other.
pub(in crate::plan) struct Assigner<'a> {
    wiring: &'a Wiring<'a>,
    gpu: &'a Gpu,
    /// Values that outlive the run.
    kept: BTreeSet<Root>,
    /// The kept values that somebody holds, and not gradients alone.
    held: BTreeSet<Root>,
    locations: HashMap<Root, Location>,
    slots: Vec<Slot>,
    /// For each slot the call whose result it holds first; `None` for temporaries.
    holds: Vec<Option<usize>>,
    /// The slots of each unit's temporaries.
    temporaries: BTreeMap<usize, Vec<usize>>,
    /// Pairs of slots of which a kernel reads one and writes the other: they must not share a buffer.
    conflicts: HashSet<(usize, usize)>,
    /// The number of the current unit.
    now: usize,
    /// The launches of each unit.
    launches: Vec<usize>,
    /// The last call of each unit.
    ends: Vec<usize>,
    steps: Vec<Step>,
    params: Vec<u8>,
    patches: Vec<Patch>,
}

impl<'a> Assigner<'a> {
    pub fn new(wiring: &'a Wiring<'a>, gpu: &'a Gpu, destinations: &Destinations) -> Assigner<'a> {
        let schedule = wiring.schedule;
        let parts = destinations.parts().filter(|&(part, _)| wiring.is_kept(part));
        let packs: Vec<Root> = parts.map(|(_, pack)| pack).collect();
        let kept = wiring.kept().iter().chain(&packs).copied().collect();
        let nodes = (0..schedule.nodes.len()).filter(|&node| schedule.kept[node] && !schedule.is_remembered(node));
        let outputs = nodes.flat_map(|index| wiring.outputs(index)).map(|output| wiring.root(output));
        let held = outputs.chain(packs).collect();
        let sources = 0..schedule.sources.len();
        let locations = sources.map(|source| (Edge::Source(source), Location::Source(source))).collect();
        Assigner {
            wiring,
            gpu,
            kept,
            held,
            locations,
            slots: Vec::new(),
            holds: Vec::new(),
            temporaries: BTreeMap::new(),
            conflicts: HashSet::new(),
            now: 0,
            launches: Vec::new(),
            ends: Vec::new(),
            steps: Vec::new(),
            params: Vec::new(),
            patches: Vec::new(),
        }
    }

    /// True if a value's buffer is free for others once nothing reads it any more.
    pub fn may_overwrite(&self, root: Root) -> bool {
        match (root, self.locations.get(&root)) {
            (Edge::Source(source), Some(Location::Source(_))) => {
                self.wiring.schedule.dying[source] && !self.kept.contains(&root)
            }
            (Edge::Node { .. }, Some(Location::Slot(_))) => !self.kept.contains(&root),
            _ => false,
        }
    }

    /// True if a value must outlive the run.
    pub fn keeps(&self, root: Root) -> bool {
        self.kept.contains(&root)
    }

    /// A new slot; which slots share a buffer is settled in the end.
    fn slot(&mut self, bytes: usize, outlives: bool, of: Option<usize>) -> usize {
        let last = if outlives { None } else { Some(usize::MAX) };
        self.slots.push(Slot { bytes, first: self.now, last, is_held: outlives });
        self.holds.push(of);
        self.slots.len() - 1
    }

    /// The slot of a value. A pack has it from its first segment on.
    fn slot_of(&mut self, root: Root) -> usize {
        if let Some(&Location::Slot(slot)) = self.locations.get(&root) {
            return slot;
        }
        let bytes = self.wiring.stored(root).bytes();
        let slot = self.slot(bytes, self.kept.contains(&root), root.node());
        self.slots[slot].is_held = self.held.contains(&root);
        self.locations.insert(root, Location::Slot(slot));
        slot
    }

    fn release(&mut self, root: Root) {
        if let (Edge::Node { .. }, Some(&Location::Slot(slot))) = (root, self.locations.get(&root))
            && !self.kept.contains(&root)
        {
            self.slots[slot].last = Some(self.now);
            // If it is computed again, it gets another location.
            self.locations.remove(&root);
        }
    }

    /// Gives the outputs and temporaries of the unit at position `at` their locations and appends its dispatches.
    pub fn assign(&mut self, unit: Unit, at: usize, liveness: &Liveness, destinations: &Destinations) -> Result<()> {
        let layout = |root: Root| self.wiring.stored(root);
        let inputs: Vec<Root> =
            unit.emitted.inputs.iter().map(|&(node, argument)| self.wiring.argument(node, argument)).collect();
        self.now = at + 1;
        self.launches.push(unit.emitted.kernels.kernels.len());
        self.ends.push(unit.nodes.last().copied().unwrap_or(0));
        let outputs = unit.emitted.outputs.clone();
        let mut overwritten = Vec::new();
        for (output, &root) in outputs.iter().enumerate() {
            let location = match unit.emitted.in_place.iter().find(|taken| taken.0 == output) {
                Some(&(_, input)) => {
                    overwritten.push(inputs[input]);
                    self.locations[&inputs[input]]
                }
                None => match destinations.of(root) {
                    Some(Destination { pack, start }) => {
                        Location::Part(self.slot_of(pack), start, layout(root).bytes())
                    }
                    None => Location::Slot(self.slot_of(root)),
                },
            };
            self.locations.insert(root, location);
        }
        let temporaries: Vec<usize> =
            unit.emitted.kernels.temporaries.iter().map(|&bytes| self.slot(bytes, false, None)).collect();
        // Nothing to compute: kernels never run over empty results.
        if outputs.iter().any(|&root| layout(root).shape.numel() > 0) {
            self.dispatch(&unit, &inputs, &temporaries)?;
        }
        for &slot in &temporaries {
            self.slots[slot].last = Some(self.now);
        }
        if !temporaries.is_empty() {
            self.temporaries.insert(self.now, temporaries);
        }
        let packs = inputs.iter().filter_map(|&root| destinations.of(root)).map(|destination| destination.pack);
        for root in inputs.iter().copied().chain(packs).filter(|&root| liveness.is_last(root, at)) {
            if overwritten.contains(&root) {
                self.locations.remove(&root);
            } else {
                self.release(root);
            }
        }
        for root in outputs.into_iter().filter(|&root| !liveness.is_read(root, at)) {
            self.release(root);
        }
        Ok(())
    }

    fn dispatch(&mut self, unit: &Unit, inputs: &[Root], temporaries: &[usize]) -> Result<()> {
        let node = unit.nodes.last().copied().unwrap_or(0);
        let op = self.wiring.schedule.nodes[node].op.name();
        let internal = |reason: String| Error::Internal { op, reason };
        for kernel in &unit.emitted.kernels.kernels {
            let pipeline = self.gpu.pipeline(kernel)?;
            let buffers = pipeline.operands(kernel, |operand| match operand {
                Operand::Input(input) => self.locations.get(&inputs[input]).copied(),
                Operand::Output(output) => self.locations.get(&unit.emitted.outputs[output]).copied(),
                Operand::Temporary(temporary) => temporaries.get(temporary).map(|&slot| Location::Slot(slot)),
                Operand::BadIndex => None,
            })?;
            for (k, (name, _, _)) in pipeline.buffers.iter().enumerate().filter(|(_, (_, _, writes))| *writes) {
                for (other, (_, _, also_writes)) in pipeline.buffers.iter().enumerate().filter(|&(other, _)| other != k)
                {
                    let (Some(written), Some(bound)) = (buffers[k], buffers[other]) else { continue };
                    if written == bound {
                        return Err(internal(format!("binding {name} of {} is written and bound twice", kernel.name)));
                    }
                    if let (Some(a), Some(b), false) = (written.slot(), bound.slot(), *also_writes) {
                        self.conflicts.insert(pair(a, b));
                    }
                }
            }
            let params_offset = self.write_params(unit, kernel, &pipeline)?;
            self.steps.push(Step {
                name: kernel.name,
                pipeline,
                buffers,
                params_offset: nearest::<u32>(params_offset),
                groups: kernel.groups,
                work: kernel.work,
                node,
                nodes: unit.nodes.clone(),
            });
        }
        Ok(())
    }

    fn write_params(&mut self, unit: &Unit, kernel: &Kernel, pipeline: &Pipeline) -> Result<usize> {
        let start = self.gpu.append_params(&mut self.params, (pipeline, kernel), |_| 0, |_| 0)?;
        for (i, word) in kernel.params.iter().enumerate() {
            let from = match *word {
                Word::Value(_) | Word::Fault(_) => continue,
                Word::Offset(input) => {
                    let (node, argument) = unit.emitted.inputs[input];
                    PatchSource::Offset(node, argument)
                }
                Word::Scalar(scalar) => {
                    let (node, index) = unit.emitted.scalars[scalar];
                    PatchSource::Scalar(node, index)
                }
            };
            self.patches.push(Patch { at: start + 4 * i, from });
        }
        Ok(start)
    }

    /// The units with more launches than the plan should have, by their position, and what they should stay within.
    pub fn launch_budgets(&self) -> Vec<(usize, Budget)> {
        let Some(launches) = launches::budget(&self.launches, self.wiring.schedule.is_cut) else { return Vec::new() };
        let units = self.launches.iter().enumerate().filter(|(_, taken)| **taken > launches);
        units.map(|(unit, _)| (unit, Budget { launches, ..Budget::default() })).collect()
    }

    /// The units whose temporaries make the plan take more memory, by their position, and what they should stay within.
    pub fn workspace_budgets(&self) -> Vec<(usize, Budget)> {
        let in_parts = !self.gpu.adapter().disable.parts;
        let budgets = workspace::budgets(&self.slots, &self.temporaries, &self.conflicts, in_parts);
        budgets.into_iter().map(|(unit, bytes)| (unit - 1, Budget { bytes, ..Budget::default() })).collect()
    }

    /// The bytes that the slots and the sources count for in the pool, as it stands.
    pub fn bytes(&self) -> u64 {
        let Arena { buffers, .. } = Arena::new(&self.slots, &self.conflicts, !self.gpu.adapter().disable.parts);
        buffers.iter().map(|&bytes| self.gpu.size_class(bytes)).sum::<u64>() + self.source_bytes()
    }

    fn source_bytes(&self) -> u64 {
        let mut buffers: BTreeMap<u64, u64> = BTreeMap::new();
        let mut uploaded = 0;
        for source in 0..self.wiring.schedule.sources.len() {
            match self.wiring.schedule.source_storage(source) {
                Some(Storage::Device(buffer)) => _ = buffers.insert(buffer.whole_id(), buffer.class()),
                Some(Storage::Pending(bytes)) => uploaded += self.gpu.size_class(bytes.len()),
                _ => {}
            }
        }
        uploaded + buffers.values().sum::<u64>()
    }

    /// Notes on the large values in memory at the peak.
    fn peak_notes(&self) -> Vec<String> {
        let name = |node: usize| format!("{} {node}", self.wiring.schedule.nodes[node].op.name());
        let Some((unit, slots)) = peak(&self.slots) else { return Vec::new() };
        let by = self.ends.get(unit - 1).map_or(String::new(), |&end| name(end));
        let held = |slot: usize| self.holds[slot].map_or("temporaries".to_string(), name);
        slots
            .into_iter()
            .map(|slot| format!("at the peak, {by}: {} bytes of {}", self.slots[slot].bytes, held(slot)))
            .collect()
    }

    pub fn finish(mut self, mut notes: Vec<String>) -> Result<Plan> {
        notes.extend(self.peak_notes());
        let wiring = self.wiring;
        let schedule = wiring.schedule;
        let mut kept = Vec::new();
        for index in (0..schedule.nodes.len()).filter(|&node| schedule.kept[node]) {
            let locations = wiring.outputs(index).map(|output| {
                let root = wiring.root(output);
                self.locations.get(&root).copied().ok_or_else(|| Error::Internal {
                    op: schedule.nodes[index].op.name(),
                    reason: "a kept value has no place".to_string(),
                })
            });
            kept.push((index, locations.collect::<Result<_>>()?));
        }
        let Arena { positions, buffers: slots } =
            Arena::new(&self.slots, &self.conflicts, !self.gpu.adapter().disable.parts);
        let beside: HashSet<usize> =
            positions.iter().filter(|position| position.1 > 0).map(|position| position.0).collect();
        let settled = |location: Location| match location {
            Location::Slot(slot) => match positions[slot] {
                (buffer, start) if beside.contains(&buffer) => {
                    Location::Part(buffer, start, self.slots[slot].bytes.next_multiple_of(PART_ALIGNMENT))
                }
                (buffer, _) => Location::Slot(buffer),
            },
            Location::Part(slot, start, bytes) => Location::Part(positions[slot].0, positions[slot].1 + start, bytes),
            source => source,
        };
        for location in self.steps.iter_mut().flat_map(|step| step.buffers.iter_mut().flatten()) {
            *location = settled(*location);
        }
        kept.iter_mut().flat_map(|kept| &mut kept.1).for_each(|location: &mut Location| *location = settled(*location));
        Ok(Plan {
            slot_bytes: slots.iter().map(|&bytes| self.gpu.size_class(bytes)).sum(),
            source_bytes: self.source_bytes(),
            uniform: self.gpu.uniform(self.params.len())?,
            calls: schedule.nodes.iter().map(|node| node.op.name()).collect(),
            steps: self.steps,
            slots,
            kept,
            params: self.params,
            patches: self.patches,
            notes,
        })
    }
}
