//! Chooses kernels for every cluster of calls, in order, and hands them to be placed.

use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::graph::{Class, Edge, Io, Room, Schedule, Summing};
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::form::{Cluster, Former, Kind};
use crate::plan::cluster::fuse::{Fused, fuse};
use crate::plan::cluster::liveness::Lives;
use crate::plan::cluster::rematerialise::rematerialise;
use crate::plan::codegen::emit::{Input, Written};
use crate::plan::codegen::fuse_stores;
use crate::plan::codegen::pack;
use crate::plan::codegen::pack::Packs;
use crate::plan::codegen::pointwise;
use crate::plan::codegen::rows;
use crate::plan::memory::assign::{Placer, Plan, Unit};
use crate::shader::Kernels;
use crate::shape::Layout;
use crate::tune::{Call, Tuner};
use std::collections::BTreeSet;

/// How often kernels may be asked to do with less.
const MOST_ROUNDS: usize = 3;

/// The kernels of calls that have their own.
struct Own {
    kernels: Vec<Option<Kernels>>,
    /// Those that add up an argument too.
    summing: Vec<Option<Summing>>,
    /// What the kernels of each call should make do with.
    rooms: Vec<Room>,
}

impl Own {
    fn new(wiring: &Wiring, gpu: &Gpu, tuner: &Tuner) -> Result<Own> {
        let nodes = &wiring.schedule.nodes;
        let calls = nodes.len();
        let room = Room { dynamic: gpu.has_dynamic_sizes(), ..Room::default() };
        let mut own = Own { kernels: vec![None; calls], summing: vec![None; calls], rooms: vec![room; calls] };
        for call in wiring.calls().filter(|&call| matches!(nodes[call].op.class(), Class::Kernel)) {
            own.kernels[call] = Some(own_kernels(wiring, call, own.rooms[call], gpu, tuner)?);
            own.summing[call] = summing_kernels(wiring, call, own.rooms[call], gpu)?;
        }
        Ok(own)
    }

    fn former<'a>(&'a self, wiring: &'a Wiring, gpu: &'a Gpu, kept: &'a BTreeSet<Root>) -> Former<'a> {
        Former { wiring, adapter: gpu.adapter(), kernels: &self.kernels, summing: &self.summing, kept }
    }

    /// Those that carry out a cluster's call.
    fn of(&self, wiring: &Wiring, cluster: &Cluster, call: usize) -> Option<&Kernels> {
        let summing = self.summing[call].as_ref().filter(|_| cluster.side_sum(wiring).is_some());
        summing.map(|summing| &summing.kernels).or(self.kernels[call].as_ref())
    }

    /// Asks a cluster's call for kernels that make do with `room`, and tells whether they take less.
    fn fit(&mut self, cluster: &Cluster, room: Room, order: &Order, tuner: &Tuner) -> Result<bool> {
        let Order { wiring, gpu, .. } = order;
        let Kind::Call(call) = cluster.kind else { return Ok(false) };
        // A pack copies what exists already, and nobody chooses how.
        if pack::is_pack(wiring, call) {
            return Ok(false);
        }
        let taken = |own: &Own| {
            let own = own.of(wiring, cluster, call);
            own.map_or((0, 0), |own| (own.temporaries.iter().sum::<usize>(), own.kernels.len()))
        };
        let before = taken(self);
        let room = self.rooms[call].min(room);
        self.rooms[call] = room;
        if cluster.side_sum(wiring).is_some() {
            self.summing[call] = summing_kernels(wiring, call, room, gpu)?;
        } else {
            self.kernels[call] = Some(own_kernels(wiring, call, room, gpu, tuner)?);
        }
        let after = taken(self);
        Ok(after.0 < before.0 || after.1 < before.1)
    }
}

/// Clusters in the order in which they run, and when what they compute is needed.
struct Order<'a> {
    wiring: &'a Wiring<'a>,
    gpu: &'a Gpu,
    clusters: Vec<Cluster>,
    packs: Packs,
    lives: Lives,
    /// The values that outlive the run.
    kept: &'a BTreeSet<Root>,
}

pub(in crate::plan) fn lower(schedule: &Schedule, gpu: &Gpu, tuner: &Tuner) -> Result<Plan> {
    let wiring = Wiring::new(schedule);
    let kept = kept_roots(&wiring);
    let mut own = Own::new(&wiring, gpu, tuner)?;
    let mut budget = gpu.memory_budget();
    let (mut order, mut notes) = Order::new(&wiring, gpu, &own, &kept, budget);
    let mut placer = order.place(&own)?;
    let fewer = placer.with_fewer_launches();
    if !fewer.is_empty() {
        drop(placer);
        for (at, room) in fewer {
            own.fit(&order.clusters[at], room, &order, tuner)?;
        }
        // Other kernels may be fused with others.
        (order, notes) = Order::new(&wiring, gpu, &own, &kept, budget);
        placer = order.place(&own)?;
    }
    for _ in 0..MOST_ROUNDS {
        // Buffers take more than the values in them.
        let excess = gpu.memory_budget().map_or(0, |most| placer.bytes().saturating_sub(most));
        if excess == 0 {
            break;
        }
        drop(placer);
        budget = budget.map(|budget| budget.saturating_sub(excess));
        (order, notes) = Order::new(&wiring, gpu, &own, &kept, budget);
        placer = order.place(&own)?;
    }
    for _ in 0..MOST_ROUNDS {
        let mut is_less = false;
        for (at, room) in placer.with_less_memory() {
            is_less |= own.fit(&order.clusters[at], room, &order, tuner)?;
        }
        if !is_less {
            break;
        }
        placer = order.place(&own)?;
    }
    placer.finish(&wiring, notes)
}

impl<'a> Order<'a> {
    /// The order in which a plan takes `budget` bytes, as far as that can be, and what the passes have to tell.
    fn new(
        wiring: &'a Wiring<'a>,
        gpu: &'a Gpu,
        own: &Own,
        kept: &'a BTreeSet<Root>,
        budget: Option<u64>,
    ) -> (Order<'a>, Vec<String>) {
        let former = own.former(wiring, gpu, kept);
        let disable = gpu.adapter().disable;
        let Fused { mut clusters, mut notes } = fuse(&former, !disable.fuse);
        if !(disable.fuse || disable.rematerialise) {
            notes.extend(rematerialise(&former, &mut clusters, budget));
        }
        let packs = if disable.inplace { Packs::default() } else { Packs::new(wiring, &clusters) };
        let mut lives = Lives::new(wiring, &clusters);
        packs.prolong(&mut lives);
        (Order { wiring, gpu, clusters, packs, lives, kept }, notes)
    }

    /// Writes the kernels of all clusters and places what they read and write.
    fn place(&'a self, own: &Own) -> Result<Placer<'a>> {
        let Order { wiring, gpu, packs, lives, .. } = self;
        let schedule = wiring.schedule;
        let disable = gpu.adapter().disable;
        let mut placer = Placer::new(wiring, gpu, self.kept.clone(), packs);
        for (at, cluster) in self.clusters.iter().enumerate() {
            let outputs: Vec<Root> = cluster
                .core()
                .flat_map(|index| {
                    (0..schedule.nodes[index].outputs.len()).map(move |output| Edge::Node { index, output })
                })
                .filter(|root| placer.keeps(*root) || lives.is_read(*root, at))
                .collect();
            let may_take = |output: Root, input: &Input| {
                let free = placer.may_overwrite(input.root) && lives.is_last(input.root, at);
                !disable.inplace && free && packs.home(output).is_none()
            };
            let kernels = |call| own.of(wiring, cluster, call).cloned().unwrap_or_default();
            let mut written = match cluster.kind {
                // All of it is computed later.
                _ if outputs.is_empty() => Written { inputs: cluster.inputs(wiring), ..Written::default() },
                Kind::Pointwise => pointwise::write(wiring, cluster, outputs, may_take, gpu.adapter())?,
                Kind::Rows(_) => rows::write(wiring, cluster, outputs, may_take, gpu.adapter())?,
                Kind::Call(call) if pack::is_pack(wiring, call) => pack::write(wiring, call, packs),
                Kind::Call(call) if cluster.members.len() == 1 => alone(wiring, call, kernels(call)),
                Kind::Call(call) => fuse_stores::write(wiring, cluster, call, kernels(call), outputs, may_take)?,
            };
            if cluster.members.iter().any(|&member| schedule.nodes[member].custom) {
                // A caller's formula may index what it likes, and run on.
                written.kernels.kernels.iter_mut().for_each(|kernel| kernel.checked = true);
            }
            let roots: Vec<Root> = written.inputs.iter().map(|&(node, input)| wiring.argument(node, input)).collect();
            let packed = roots.iter().filter_map(|&root| packs.home(root)).map(|home| home.pack);
            let mut ends: Vec<Root> = roots.iter().copied().chain(packed).collect();
            ends.retain(|root| lives.is_last(*root, at));
            let nodes = cluster.core().collect();
            placer.place(Unit { nodes, written }, &roots, &ends, |root| lives.is_read(root, at))?;
        }
        Ok(placer)
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

/// The kernels of a call that has its own, which should make do with `room`.
fn own_kernels(wiring: &Wiring, call: usize, room: Room, gpu: &Gpu, tuner: &Tuner) -> Result<Kernels> {
    let schedule = wiring.schedule;
    let op = &schedule.nodes[call].op;
    let inputs = input_layouts(wiring, call);
    let io = Io { inputs: &inputs, outputs: &schedule.nodes[call].outputs, room };
    let kernels = tuner.kernels(&Call { op: &**op, io: &io, gpu, checked: schedule.nodes[call].custom })?;
    if kernels.kernels.is_empty() && io.outputs.iter().any(|o| o.shape.numel() > 0) {
        return Err(Error::Internal { op: op.name(), reason: "no kernels for a result that is not empty".into() });
    }
    Ok(kernels)
}

/// The kernels of such a call that add up one of its arguments too, where such a sum may be asked for.
fn summing_kernels(wiring: &Wiring, call: usize, room: Room, gpu: &Gpu) -> Result<Option<Summing>> {
    let schedule = wiring.schedule;
    let is_reduced = |argument: usize| match wiring.argument(call, argument) {
        Edge::Node { index, .. } => {
            let mut users = wiring.consumers(index).iter();
            users.any(|&(user, _)| matches!(schedule.nodes[user].op.class(), Class::Rows(_)))
        }
        Edge::Source(_) => false,
    };
    if !(0..schedule.edges[call].len()).any(is_reduced) {
        return Ok(None);
    }
    let inputs = input_layouts(wiring, call);
    let node = &schedule.nodes[call];
    let io = Io { inputs: &inputs, outputs: &node.outputs, room };
    let mut summing = node.op.summing(&io, gpu.adapter())?;
    for kernel in summing.iter_mut().flat_map(|summing| &mut summing.kernels.kernels) {
        kernel.checked = node.custom;
    }
    Ok(summing)
}

fn input_layouts(wiring: &Wiring, call: usize) -> Vec<Layout> {
    wiring.schedule.edges[call].iter().map(|&edge| *wiring.layout(edge)).collect()
}

/// A call as its own kernels carry it out.
fn alone(wiring: &Wiring, call: usize, kernels: Kernels) -> Written {
    let schedule = wiring.schedule;
    Written {
        kernels,
        inputs: (0..schedule.edges[call].len()).map(|argument| (call, argument)).collect(),
        outputs: (0..schedule.nodes[call].outputs.len()).map(|output| Edge::Node { index: call, output }).collect(),
        scalars: (0..schedule.nodes[call].op.scalars().len()).map(|scalar| (call, scalar)).collect(),
        in_place: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceOptions, Disable, Noop};
    use crate::graph::{Device, Tensor};
    use crate::ops::{BatchNormOptions, Conv2dOptions};
    use crate::plan::Planner;

    /// The price of what a step of residual blocks runs.
    fn price(blocks: usize, disable: Disable) -> Result<u64> {
        let options = DeviceOptions::default().noop(Noop::default()).disable(disable);
        let device = Device::with_options(&options)?;
        let padded = Conv2dOptions::default().padding(1);
        let training = BatchNormOptions::default().training(true);
        let mut y = Tensor::from_slice(&device, &[1f32; 8 << 14], &[8, 16, 32, 32])?;
        let weight = || Ok(Tensor::from_slice(&device, &[1f32; 16 * 16 * 9], &[16, 16, 3, 3])?.requires_grad());
        let weights: Vec<Tensor> = (0..blocks).map(|_| weight()).collect::<Result<_>>()?;
        for weight in &weights {
            let normed = y.conv2d(weight, None, &padded)?.batch_norm(None, None, None, None, &training)?;
            y = normed.relu()?.add(&y)?;
        }
        y.square()?.mean_all()?.backward()?;
        drop(y);
        let gradients: Vec<Tensor> = weights.iter().filter_map(Tensor::grad).collect();
        let schedule = device.schedule(&gradients.iter().collect::<Vec<_>>());
        let planner: Option<&Planner> = device.executor().as_any().downcast_ref();
        let planner = planner.ok_or(Error::Internal { op: "test", reason: "no planner".to_string() })?;
        let (gpu, wiring) = (planner.gpu(), Wiring::new(&schedule));
        let kept = kept_roots(&wiring);
        let own = Own::new(&wiring, gpu, planner.tuner())?;
        let (order, _) = Order::new(&wiring, gpu, &own, &kept, None);
        let former = own.former(&wiring, gpu, &kept);
        Ok(order.clusters.iter().map(|cluster| former.price(cluster)).sum())
    }

    #[test]
    fn computing_again_takes_a_twentieth_at_most() {
        for blocks in [4, 16] {
            let again = price(blocks, Disable::default()).unwrap();
            let kept = price(blocks, Disable { rematerialise: true, ..Disable::default() }).unwrap();
            assert!(kept < again && again <= kept + kept / 20, "{again} with values computed again, {kept} without");
        }
    }
}
