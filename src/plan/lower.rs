//! Chooses kernels for every group and call, in order, and hands them to be placed.

use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::graph::{Edge, Io, Schedule};
use crate::plan::fuse::{Root, Wiring, groups};
use crate::plan::place::{Placer, Plan, Unit};
use crate::plan::pointwise;
use crate::shape::Layout;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) fn lower(schedule: &Schedule, gpu: &Gpu) -> Result<Plan> {
    let wiring = Wiring::new(schedule);
    let kept_roots = kept_roots(&wiring);
    let kept_nodes: BTreeSet<usize> = kept_roots.iter().filter_map(|root| node_of(*root)).collect();
    let groups = groups(&wiring, &kept_nodes);
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (node, group) in groups.iter().enumerate() {
        if let Some(last) = *group {
            members.entry(last).or_default().push(node);
        }
    }
    // A constant nobody stores is written into its users and needs no kernel of its own.
    let stored = stored_constants(&wiring, &members, &kept_nodes);
    members.retain(|last, _| !wiring.is_constant(*last) || stored.contains(last));

    let last_use = last_uses(&wiring, &members);
    let mut placer = Placer::new(schedule, gpu, kept_roots);
    for (&last, members) in &members {
        let dying = |root: Root| placer.may_overwrite(root) && last_use.get(&root) == Some(&last);
        let unit = if wiring.is_pointwise(last) {
            let fused = pointwise::write(&wiring, members, &dying)?;
            Unit { node: last, kernels: fused.kernels, inputs: fused.inputs, scalars: fused.scalars }
        } else {
            call(&wiring, last, gpu)?
        };
        let roots: Vec<Root> =
            unit.inputs.iter().map(|&(node, input)| wiring.root(schedule.edges[node][input])).collect();
        let ends: Vec<Root> = roots.iter().copied().filter(|root| last_use.get(root) == Some(&last)).collect();
        placer.place(unit, &roots, &ends, |output| last_use.contains_key(&Edge::Node { index: last, output }))?;
    }
    placer.finish(&wiring)
}

fn node_of(root: Root) -> Option<usize> {
    match root {
        Edge::Node { index, .. } => Some(index),
        Edge::Source(_) => None,
    }
}

/// Values that must be in a buffer of their own when the run ends: all outputs of kept calls, and what kept
/// views show.
fn kept_roots(wiring: &Wiring) -> BTreeSet<Root> {
    let schedule = wiring.schedule;
    let kept = (0..schedule.nodes.len()).filter(|&node| schedule.kept[node]);
    kept.flat_map(|index| {
        let outputs = 0..schedule.nodes[index].outputs.len();
        outputs.map(move |output| wiring.root(Edge::Node { index, output }))
    })
    .collect()
}

/// Constants that a kernel binds: kept, or read by a call that is not pointwise.
fn stored_constants(wiring: &Wiring, members: &BTreeMap<usize, Vec<usize>>, kept: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut stored: BTreeSet<usize> = kept.clone();
    for node in members.values().flatten() {
        if !wiring.is_pointwise(*node) {
            stored.extend(wiring.schedule.edges[*node].iter().filter_map(|&edge| node_of(wiring.root(edge))));
        }
    }
    stored
}

/// The last kernel that reads each stored value.
fn last_uses(wiring: &Wiring, members: &BTreeMap<usize, Vec<usize>>) -> HashMap<Root, usize> {
    let mut last_use = HashMap::new();
    for (&last, members) in members {
        for &member in members {
            for &edge in &wiring.schedule.edges[member] {
                last_use.insert(wiring.root(edge), last);
            }
        }
    }
    last_use
}

/// A call with kernels of its own.
fn call(wiring: &Wiring, node: usize, gpu: &Gpu) -> Result<Unit> {
    let schedule = wiring.schedule;
    let op = &schedule.nodes[node].op;
    let inputs: Vec<Layout> = schedule.edges[node].iter().map(|&edge| *wiring.layout(edge)).collect();
    let io = Io { inputs: &inputs, outputs: &schedule.nodes[node].outputs };
    let mut kernels = op.kernels(&io, gpu.adapter())?;
    for kernel in &mut kernels.kernels {
        kernel.checked = schedule.nodes[node].custom;
    }
    if kernels.kernels.is_empty() && io.outputs.iter().any(|o| o.shape.numel() > 0) {
        return Err(Error::Internal { op: op.name(), reason: "no kernels for a result that is not empty".into() });
    }
    Ok(Unit {
        node,
        kernels,
        inputs: (0..inputs.len()).map(|input| (node, input)).collect(),
        scalars: (0..op.scalars().len()).map(|scalar| (node, scalar)).collect(),
    })
}
