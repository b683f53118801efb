//! Decides which calls can be one kernel.

use crate::device::Adapter;
use crate::graph::{Class, Edge};
use crate::plan::analysis::domain::{Domain, Wide, steps_in_memory};
use crate::plan::analysis::wiring::Wiring;
use crate::plan::cluster::cost;
use crate::plan::cluster::kernel_choice::KernelChoice;
use crate::plan::cluster::row_schedule;
use crate::plan::cluster::{Cluster, Kind};
use crate::shader::Kernels;
use std::collections::BTreeSet;

/// Most calls of one kernel, so that compiling it stays quick.
const MOST_CALLS_PER_KERNEL: usize = 48;

/// The rules that calls of one kernel must meet, and what they depend on.
pub(in crate::plan) struct Legality<'a> {
    pub wiring: &'a Wiring<'a>,
    pub adapter: &'a Adapter,
    pub kernels: &'a KernelChoice,
}

impl Legality<'_> {
    /// A cluster of these calls, of which `copies` are stored elsewhere, or why there is none.
    pub fn cluster(&self, members: BTreeSet<usize>, copies: BTreeSet<usize>) -> Result<Cluster, &'static str> {
        let nodes = &self.wiring.schedule.nodes;
        let mut call = None;
        let mut reductions = Vec::new();
        let mut domain: Option<Domain> = None;
        for &member in &members {
            match nodes[member].op.class() {
                Class::Pointwise(_) => {}
                Class::Rows { dims, .. } => {
                    let edge = self.wiring.schedule.edges[member][0];
                    let rows = Domain::new(self.wiring.layout(edge), dims);
                    if domain.as_ref().is_some_and(|domain| *domain != rows) {
                        return Err("reductions over different rows");
                    }
                    domain = Some(rows);
                    reductions.push(member);
                }
                _ if call.is_some() => return Err("two calls with kernels of their own"),
                _ => call = Some(member),
            }
        }
        let kind = match (call, domain) {
            (Some(call), None) => Kind::Call(call),
            (Some(call), Some(_)) if matches!(reductions[..], [sum] if self.sums(call, sum)) => Kind::Call(call),
            (Some(_), Some(_)) => return Err("a reduction beside kernels of its own"),
            (None, Some(domain)) => Kind::Rows(domain),
            (None, None) => Kind::Pointwise,
        };
        let cluster = Cluster { members, copies, kind };
        if cluster.members.len() > 1 {
            self.check(&cluster)?;
        }
        Ok(cluster)
    }

    fn check(&self, cluster: &Cluster) -> Result<(), &'static str> {
        let wiring = self.wiring;
        if cluster.members.len() > MOST_CALLS_PER_KERNEL {
            return Err("too many calls for one kernel");
        }
        let output = |member: usize| wiring.schedule.nodes[member].outputs[0].shape.numel();
        let (full, rows) = match &cluster.kind {
            Kind::Rows(domain) if domain.rows == domain.numel() || domain.numel() == 0 => return Err("rows of one"),
            Kind::Rows(domain) => (domain.numel(), domain.rows),
            Kind::Call(call) => (output(*call), 0),
            Kind::Pointwise => {
                let numel = cluster.members.first().map_or(0, |&member| output(member));
                (numel, numel)
            }
        };
        let single = match &cluster.kind {
            Kind::Rows(domain) => domain.wide() == Wide::Single,
            Kind::Call(_) => true,
            Kind::Pointwise => false,
        };
        // Values in a call's loads have sizes of their own.
        let sized = match &cluster.kind {
            Kind::Call(call) => cluster.behind(wiring, *call),
            _ => cluster.members.clone(),
        };
        for &member in &cluster.members {
            if let Some(formula) = wiring.formula(member) {
                if output(member) != full && output(member) != rows && sized.contains(&member) {
                    return Err("sizes differ");
                }
                // Rows' values have no four neighbours in one vector.
                if (single || !cluster.is_full(wiring, member)) && !formula.is_scalar() {
                    return Err("a formula of four numbers in a kernel of single ones");
                }
                if !cluster.is_full(wiring, member) && formula.is_positional() {
                    return Err("a formula of elements' places among rows");
                }
            }
            for argument in 0..wiring.schedule.edges[member].len() {
                if let Some(producer) = cluster.producer(wiring, member, argument) {
                    self.check_edge(cluster, producer, member, argument)?;
                }
            }
        }
        match &cluster.kind {
            Kind::Rows(_) => row_schedule::check(cluster, wiring, self.adapter)?,
            Kind::Call(call) => {
                self.check_loads(cluster, *call, &sized)?;
                self.check_stores(cluster, &sized)?;
            }
            Kind::Pointwise => {}
        }
        if self.buffers(cluster) > self.adapter.max_storage_buffers {
            return Err("too many buffers for one kernel");
        }
        Ok(())
    }

    /// Checks that one member's result can reach another without going through memory.
    fn check_edge(
        &self,
        cluster: &Cluster,
        producer: usize,
        consumer: usize,
        argument: usize,
    ) -> Result<(), &'static str> {
        let wiring = self.wiring;
        let edge = wiring.schedule.edges[consumer][argument];
        if matches!(cluster.kind, Kind::Call(call) if call == consumer || cluster.side_sum(wiring) == Some(consumer)) {
            // Through any view: its kernels say which element they load.
            return Ok(());
        }
        if wiring.root(edge) != (Edge::Node { index: producer, output: 0 }) {
            return Err("not the first output");
        }
        let layout = wiring.layout(edge);
        let flat = layout.is_contiguous()
            && layout.offset == 0
            && layout.shape.numel() == wiring.schedule.nodes[producer].outputs[0].shape.numel();
        let is_reduction = wiring.row_formula(consumer).is_some();
        let to_full = is_reduction || cluster.is_full(wiring, consumer);
        match (cluster.is_full(wiring, producer), to_full) {
            (true, true) | (false, false) if flat => Ok(()),
            (false, true) => match &cluster.kind {
                Kind::Rows(domain) if domain.is_row_value(layout) => Ok(()),
                _ => Err("not the rows' order"),
            },
            _ => Err("read in another order than it is computed"),
        }
    }

    /// Checks that the kernels of a call load fused arguments through hooks that the planner may rewrite, and not too often.
    fn check_loads(&self, cluster: &Cluster, call: usize, behind: &BTreeSet<usize>) -> Result<(), &'static str> {
        let wiring = self.wiring;
        for argument in 0..wiring.schedule.edges[call].len() {
            if cluster.producer(wiring, call, argument).is_none() {
                continue;
            }
            let before = cluster.before(wiring, call, argument);
            let layout = wiring.layout(wiring.schedule.edges[call][argument]);
            let loads = self.kernels(cluster).and_then(|kernels| kernels.open_loads(argument));
            let loads = loads.filter(|_| layout.dtype.is_float()).ok_or("its loads are not open")?;
            if before.is_empty() {
                return Err("not pointwise");
            }
            if layout.offset != 0 {
                return Err("a view that begins elsewhere");
            }
            let mut unstored =
                before.iter().copied().filter(|member| !behind.contains(member) && !cluster.copies.contains(member));
            if unstored.any(|index| cluster.is_wanted(self.wiring, Edge::Node { index, output: 0 })) {
                return Err("it is stored for others anyway");
            }
            if !cost::pays_in_loads(wiring, self.adapter, cluster, [call, argument], loads) {
                return Err("loaded too often to be computed again each time");
            }
        }
        Ok(())
    }

    /// Checks that the kernels of a call store their first output through the hook that the planner may rewrite.
    fn check_stores(&self, cluster: &Cluster, behind: &BTreeSet<usize>) -> Result<(), &'static str> {
        let is_changed = !behind.is_empty() || cluster.side_sum(self.wiring).is_some();
        let kernels = self.kernels(cluster).ok_or("no kernels")?;
        if !is_changed || kernels.has_open_stores() { Ok(()) } else { Err("its stores are not open") }
    }

    /// The kernels chosen for a cluster's call.
    pub fn kernels(&self, cluster: &Cluster) -> Option<&Kernels> {
        self.kernels.of(self.wiring, cluster)
    }

    /// Bytes that the kernels of a call need besides inputs and outputs.
    pub fn temporaries(&self, cluster: &Cluster) -> usize {
        self.kernels(cluster).map_or(0, |kernels| kernels.temporaries.iter().sum())
    }

    /// True if the kernels of a call can compute a sum on the side.
    pub fn sums(&self, call: usize, sum: usize) -> bool {
        let Some((input, dim)) = self.kernels.summed(call) else { return false };
        let wiring = self.wiring;
        let nodes = &wiring.schedule.nodes;
        let Class::Rows { formula, dims: summed } = nodes[sum].op.class() else { return false };
        if !formula.is_sum() || wiring.argument(sum, 0) != wiring.argument(call, input) {
            return false;
        }
        let [of_call, of_sum] =
            [(call, input), (sum, 0)].map(|(node, argument)| wiring.layout(wiring.schedule.edges[node][argument]));
        of_call.offset == of_sum.offset
            && steps_in_memory(of_call, |_| true) == steps_in_memory(of_sum, |_| true)
            && steps_in_memory(of_call, |kept| kept == dim) == steps_in_memory(of_sum, |kept| !summed.contains(&kept))
            && nodes[sum].outputs[0].dtype == nodes[call].outputs[0].dtype
    }

    /// Storage buffers of the largest kernel a cluster makes.
    pub fn buffers(&self, cluster: &Cluster) -> usize {
        let outputs = self.outputs(cluster, |_| true);
        let inputs = cluster.inputs(self.wiring).len();
        match cluster.kind {
            // The kernels bind the call's inputs themselves, and its outputs even if nothing reads them.
            Kind::Call(call) => {
                let own = self.kernels(cluster).into_iter().flat_map(|kernels| &kernels.kernels);
                let own = own.map(|kernel| kernel.bindings.len()).max().unwrap_or(0);
                let of_call = self.outputs(cluster, |member| member == call);
                own + inputs - self.wiring.schedule.edges[call].len() + outputs - of_call
            }
            Kind::Rows(_) if row_schedule::is_split(cluster, self.wiring, self.adapter) => {
                let of_elements = self.outputs(cluster, |member| cluster.is_full(self.wiring, member));
                let [first, second] = row_schedule::inputs_of_stages(cluster, self.wiring);
                1 + (first + of_elements).max(second + outputs - of_elements)
            }
            _ => inputs + outputs,
        }
    }

    /// The number of values of these members that others read or that are kept.
    fn outputs(&self, cluster: &Cluster, of: impl Fn(usize) -> bool) -> usize {
        let roots = cluster.core().filter(|&member| of(member)).flat_map(|member| {
            (0..self.wiring.schedule.nodes[member].outputs.len()).map(move |output| (member, output))
        });
        roots.filter(|&(index, output)| cluster.is_wanted(self.wiring, Edge::Node { index, output })).count()
    }
}
