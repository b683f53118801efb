//! The planner's passes, from a recorded graph to a plan, in the order in which they run.
//!
//! * analysis: `Wiring` looks through views, merges repeated calls and finds constants;
//! * kernel choice: `KernelChoice` asks operations and the tuner for the kernels of calls that have their own;
//! * clustering: `fuse` joins calls by `Legality` and `cost`, `rematerialise` computes values again for the backward pass,
//!   `Destinations` places gradients in packs, `Liveness` tells when values are in memory;
//! * codegen by kind of cluster: `pointwise`, `rows`, `call` with `fuse_loads` and `fuse_stores`, `pack`;
//! * assignment: `Assigner` gives values their slots and, in the end, slots their buffers.
//!
//! Three loops go through some of them again where a plan takes too many launches or too much memory.
//!
//! A pointwise operation is fused into a convolution's load on this path: `fuse` proposes the pair
//! (`Fusion::join_producers`), `Legality::check_loads` allows it, `Legality::pays_in_loads` (in `cost`) prices it, and
//! `codegen::fuse_loads` writes it into the hook of the convolution's template.

use crate::device::Gpu;
use crate::error::Result;
use crate::graph::Schedule;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::destinations::Destinations;
use crate::plan::cluster::fuse::{Fused, fuse};
use crate::plan::cluster::kernel_choice::KernelChoice;
use crate::plan::cluster::legality::Legality;
use crate::plan::cluster::liveness::Liveness;
use crate::plan::cluster::rematerialise::rematerialise;
use crate::plan::cluster::{Cluster, Kind};
use crate::plan::codegen::emit::{Emitted, Input};
use crate::plan::codegen::{call, pack, pointwise, rows};
use crate::plan::memory::assign::{Assigner, Plan, Unit};
use crate::tune::Tuner;

/// Times that clusters are formed anew to stay within a memory budget.
const MOST_BUDGET_ROUNDS: usize = 3;

/// Times that kernels are asked to do with smaller temporaries.
const MOST_WORKSPACE_ROUNDS: usize = 3;

pub(in crate::plan) fn lower(schedule: &Schedule, gpu: &Gpu, tuner: &Tuner) -> Result<Plan> {
    let wiring = Wiring::new(schedule);
    let kernels = KernelChoice::new(&wiring, gpu, tuner)?;
    let mut passes = Passes { wiring: &wiring, gpu, tuner, kernels, budget: gpu.memory_budget() };
    let mut order = passes.cluster();
    let mut assigner = passes.assign(&order)?;
    if passes.reduce_launches(&order, &assigner)? {
        // Other kernels may be fused with others.
        order = passes.cluster();
        assigner = passes.assign(&order)?;
    }
    for _ in 0..MOST_BUDGET_ROUNDS {
        if !passes.reduce_budget(&assigner) {
            break;
        }
        order = passes.cluster();
        assigner = passes.assign(&order)?;
    }
    for _ in 0..MOST_WORKSPACE_ROUNDS {
        if !passes.reduce_workspaces(&order, &assigner)? {
            break;
        }
        assigner = passes.assign(&order)?;
    }
    assigner.finish(order.notes)
}

/// The input of the passes, and the choices that the loops change.
struct Passes<'a> {
    wiring: &'a Wiring<'a>,
    gpu: &'a Gpu,
    tuner: &'a Tuner,
    kernels: KernelChoice,
    /// Bytes that rematerialisation aims at.
    budget: Option<u64>,
}

/// Clusters in the order in which they run, and when their results are needed.
struct Order {
    clusters: Vec<Cluster>,
    destinations: Destinations,
    liveness: Liveness,
    /// Reasons why calls were not fused, and the values that are computed again.
    notes: Vec<String>,
}

impl<'a> Passes<'a> {
    fn legality(&self) -> Legality<'_> {
        Legality { wiring: self.wiring, adapter: self.gpu.adapter(), kernels: &self.kernels }
    }

    /// Forms clusters and puts them in order: fusion, rematerialisation, destinations, liveness.
    fn cluster(&self) -> Order {
        let disable = self.gpu.adapter().disable;
        let legality = self.legality();
        let Fused { mut clusters, mut notes } = fuse(&legality, !disable.fuse);
        if !(disable.fuse || disable.rematerialise) {
            notes.extend(rematerialise(&legality, &mut clusters, self.budget));
        }
        let destinations =
            if disable.inplace { Destinations::default() } else { Destinations::new(self.wiring, &clusters) };
        let mut liveness = Liveness::new(self.wiring, &clusters);
        liveness.extend_packs(&destinations);
        Order { clusters, destinations, liveness, notes }
    }

    /// Writes the kernels of all clusters and assigns buffers to what they read and write.
    fn assign(&self, order: &Order) -> Result<Assigner<'a>> {
        let mut assigner = Assigner::new(self.wiring, self.gpu, &order.destinations);
        for at in 0..order.clusters.len() {
            let emitted = self.emit(order, at, &assigner)?;
            let nodes = order.clusters[at].core().collect();
            assigner.assign(Unit { nodes, emitted }, at, &order.liveness, &order.destinations)?;
        }
        Ok(assigner)
    }

    /// Writes the kernels of a cluster.
    fn emit(&self, order: &Order, at: usize, assigner: &Assigner) -> Result<Emitted> {
        let Passes { wiring, gpu, .. } = *self;
        let Order { clusters, destinations, liveness, .. } = order;
        let (cluster, adapter) = (&clusters[at], gpu.adapter());
        let outputs: Vec<Root> = cluster
            .core()
            .flat_map(|index| wiring.outputs(index))
            .filter(|&root| assigner.keeps(root) || liveness.is_read(root, at))
            .collect();
        let may_overwrite = |output: Root, input: &Input| {
            let is_free = assigner.may_overwrite(input.root) && liveness.is_last(input.root, at);
            !adapter.disable.inplace && is_free && destinations.of(output).is_none()
        };
        let kernels = || self.kernels.of(wiring, cluster).cloned().unwrap_or_default();
        let mut emitted = match cluster.kind {
            // All of it is computed later.
            _ if outputs.is_empty() => Emitted { inputs: cluster.inputs(wiring), ..Emitted::default() },
            Kind::Pointwise => pointwise::emit(wiring, cluster, outputs, may_overwrite, adapter)?,
            Kind::Rows(_) => rows::emit(wiring, cluster, outputs, may_overwrite, adapter)?,
            Kind::Call(call) if wiring.is_pack(call) => pack::emit(wiring, call, destinations),
            Kind::Call(call) if cluster.members.len() == 1 => Emitted::unfused(wiring, call, kernels()),
            Kind::Call(call) => call::emit(wiring, cluster, call, kernels(), outputs, may_overwrite)?,
        };
        if cluster.members.iter().any(|&member| wiring.schedule.nodes[member].custom) {
            // A caller's formula may index anything, and loop without end.
            emitted.kernels.kernels.iter_mut().for_each(|kernel| kernel.checked = true);
        }
        Ok(emitted)
    }

    /// Chooses kernels with fewer launches where a plan takes too many. True if it has chosen any.
    fn reduce_launches(&mut self, order: &Order, assigner: &Assigner) -> Result<bool> {
        let budgets = assigner.launch_budgets();
        for &(at, budget) in &budgets {
            self.kernels.tighten(self.wiring, &order.clusters[at], budget, self.gpu, self.tuner)?;
        }
        Ok(!budgets.is_empty())
    }

    /// Lowers the budget by what a plan takes beyond the device's, since buffers are larger than the values in them. False
    /// if the plan fits.
    fn reduce_budget(&mut self, assigner: &Assigner) -> bool {
        let excess = self.gpu.memory_budget().map_or(0, |most| assigner.bytes().saturating_sub(most));
        self.budget = self.budget.map(|budget| budget.saturating_sub(excess));
        excess > 0
    }

    /// Chooses kernels with smaller temporaries where these make a plan take more memory. True if any do with less.
    fn reduce_workspaces(&mut self, order: &Order, assigner: &Assigner) -> Result<bool> {
        let mut is_less = false;
        for (at, budget) in assigner.workspace_budgets() {
            is_less |= self.kernels.tighten(self.wiring, &order.clusters[at], budget, self.gpu, self.tuner)?;
        }
        Ok(is_less)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceOptions, Disable, Noop};
    use crate::error::Error;
    use crate::graph::{Device, Tensor};
    use crate::ops::{BatchNormOptions, Conv2dOptions};
    use crate::plan::Planner;
    use crate::plan::cluster::cost;

    /// The cost of what a step of residual blocks runs.
    fn cost(blocks: usize, disable: Disable) -> Result<u64> {
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
        let (gpu, tuner, wiring) = (planner.gpu(), planner.tuner(), Wiring::new(&schedule));
        let kernels = KernelChoice::new(&wiring, gpu, tuner)?;
        let passes = Passes { wiring: &wiring, gpu, tuner, kernels, budget: None };
        let clusters = passes.cluster().clusters;
        Ok(clusters.iter().map(|cluster| cost::cost(&wiring, gpu.adapter(), &passes.kernels, cluster)).sum())
    }

    #[test]
    fn computing_again_takes_a_twentieth_at_most() {
        for blocks in [4, 16] {
            let again = cost(blocks, Disable::default()).unwrap();
            let kept = cost(blocks, Disable { rematerialise: true, ..Disable::default() }).unwrap();
            assert!(kept < again && again <= kept + kept / 20, "{again} with values computed again, {kept} without");
        }
    }
}
