//! Chooses the kernels of calls that have their own, such as convolutions and products.

use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::graph::{Budget, Class, Edge, Io, Summing};
use crate::plan::analysis::wiring::Wiring;
use crate::plan::cluster::{Cluster, Kind};
use crate::shader::Kernels;
use crate::shape::Layout;
use crate::tune::{Call, Tuner};

/// The kernels chosen for each call of [`Class::Kernel`].
pub(in crate::plan) struct KernelChoice {
    kernels: Vec<Option<Kernels>>,
    /// Kernels that add up an argument of the call too.
    summing: Vec<Option<Summing>>,
    /// The limits that the kernels of each call stay within.
    budgets: Vec<Budget>,
}

impl KernelChoice {
    pub fn new(wiring: &Wiring, gpu: &Gpu, tuner: &Tuner) -> Result<KernelChoice> {
        let nodes = &wiring.schedule.nodes;
        let calls = nodes.len();
        let budget = Budget { dynamic: gpu.has_dynamic_sizes(), ..Budget::default() };
        let mut choice =
            KernelChoice { kernels: vec![None; calls], summing: vec![None; calls], budgets: vec![budget; calls] };
        for call in wiring.calls().filter(|&call| matches!(nodes[call].op.class(), Class::Kernel)) {
            choice.kernels[call] = Some(kernels(wiring, call, budget, gpu, tuner)?);
            choice.summing[call] = summing(wiring, call, budget, gpu)?;
        }
        Ok(choice)
    }

    /// The kernels that carry out a cluster's call; summing ones if the cluster has a side sum.
    pub fn of(&self, wiring: &Wiring, cluster: &Cluster) -> Option<&Kernels> {
        match cluster.kind {
            Kind::Call(call) if cluster.side_sum(wiring).is_some() => Some(&self.summing[call].as_ref()?.kernels),
            Kind::Call(call) => self.kernels[call].as_ref(),
            _ => None,
        }
    }

    /// The input of a call that its summing kernels add up, and the dimension that remains.
    pub fn summed(&self, call: usize) -> Option<(usize, usize)> {
        self.summing[call].as_ref().map(|summing| (summing.input, summing.dim))
    }

    /// Asks a cluster's call for kernels within `budget`. True if the new ones take less memory or fewer launches.
    pub fn tighten(
        &mut self,
        wiring: &Wiring,
        cluster: &Cluster,
        budget: Budget,
        gpu: &Gpu,
        tuner: &Tuner,
    ) -> Result<bool> {
        let Kind::Call(call) = cluster.kind else { return Ok(false) };
        // The planner writes the kernels of a pack itself.
        if wiring.is_pack(call) {
            return Ok(false);
        }
        let taken = |choice: &KernelChoice| {
            let kernels = choice.of(wiring, cluster);
            kernels.map_or((0, 0), |kernels| (kernels.temporaries.iter().sum::<usize>(), kernels.kernels.len()))
        };
        let before = taken(self);
        let budget = self.budgets[call].min(budget);
        self.budgets[call] = budget;
        if cluster.side_sum(wiring).is_some() {
            self.summing[call] = summing(wiring, call, budget, gpu)?;
        } else {
            self.kernels[call] = Some(kernels(wiring, call, budget, gpu, tuner)?);
        }
        let after = taken(self);
        Ok(after.0 < before.0 || after.1 < before.1)
    }
}

/// The kernels of a call within `budget`, measured ones if the tuner has some.
fn kernels(wiring: &Wiring, call: usize, budget: Budget, gpu: &Gpu, tuner: &Tuner) -> Result<Kernels> {
    let node = &wiring.schedule.nodes[call];
    let inputs = input_layouts(wiring, call);
    let io = Io { inputs: &inputs, outputs: &node.outputs, budget };
    let kernels = tuner.kernels(&Call { op: &*node.op, io: &io, gpu, checked: node.custom })?;
    if kernels.kernels.is_empty() && io.outputs.iter().any(|output| output.shape.numel() > 0) {
        let reason = "no kernels for a result that is not empty".into();
        return Err(Error::Internal { op: node.op.name(), reason });
    }
    Ok(kernels)
}

/// The kernels of a call that add up one of its arguments too, if a reduction reads one.
fn summing(wiring: &Wiring, call: usize, budget: Budget, gpu: &Gpu) -> Result<Option<Summing>> {
    let schedule = wiring.schedule;
    let is_reduced = |argument: usize| match wiring.argument(call, argument) {
        Edge::Node { index, .. } => {
            let mut users = wiring.consumers(index).iter();
            users.any(|&(user, _)| wiring.row_formula(user).is_some())
        }
        Edge::Source(_) => false,
    };
    if !(0..schedule.edges[call].len()).any(is_reduced) {
        return Ok(None);
    }
    let inputs = input_layouts(wiring, call);
    let node = &schedule.nodes[call];
    let io = Io { inputs: &inputs, outputs: &node.outputs, budget };
    let mut summing = node.op.summing(&io, gpu.adapter())?;
    for kernel in summing.iter_mut().flat_map(|summing| &mut summing.kernels.kernels) {
        kernel.checked = node.custom;
    }
    Ok(summing)
}

fn input_layouts(wiring: &Wiring, call: usize) -> Vec<Layout> {
    wiring.schedule.edges[call].iter().map(|&edge| *wiring.layout(edge)).collect()
}
