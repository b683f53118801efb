//! About what clusters take: loads and stores, arithmetic and launches, in additions.

use crate::graph::{Class, Edge};
use crate::plan::analysis::domain::steps;
use crate::plan::cluster::form::{Cluster, Former, Kind};
use crate::plan::codegen::fuse_loads::LOAD;
use crate::shader::Formula;
use crate::shape::Layout;

/// A launch: some microseconds of the host.
const LAUNCH: u64 = 1 << 16;

/// Bytes of the different elements that a layout shows.
pub(in crate::plan) fn bytes_shown(layout: &Layout) -> usize {
    let sizes = steps(layout).into_iter().filter(|&(_, stride)| stride != 0).map(|(size, _)| size);
    sizes.product::<usize>() * layout.dtype.size()
}

impl Former<'_> {
    /// The price of running a cluster once.
    pub fn price(&self, cluster: &Cluster) -> u64 {
        let wiring = self.wiring;
        let own = self.own_kernels(cluster);
        let loads = |&(node, argument): &(usize, usize)| {
            let shown = bytes_shown(wiring.layout(wiring.schedule.edges[node][argument])) as u64 / 4;
            // Kernels may load an element several times.
            let of_call = matches!(cluster.kind, Kind::Call(call) if call == node);
            let loads = own.filter(|_| of_call).and_then(|own| own.open_loads(argument));
            loads.map_or(shown, |(loads, _)| loads.max(shown))
        };
        let outputs = |index: usize| {
            let outputs = 0..wiring.schedule.nodes[index].outputs.len();
            outputs.map(move |output| Edge::Node { index, output })
        };
        let written = cluster.core().flat_map(outputs).filter(|&root| self.is_wanted(cluster, root));
        let stores = written.map(|root| wiring.stored(root).bytes() as u64 / 4);
        let moved: u64 = cluster.inputs(wiring).iter().map(loads).chain(stores).sum();
        let computed: u64 = cluster.members.iter().map(|&member| self.computed(member)).sum();
        let kernels = own.map_or(&[][..], |own| &own.kernels);
        let work: u64 = kernels.iter().map(|kernel| kernel.work).sum();
        LAUNCH * kernels.len().max(1) as u64 + LOAD * moved + computed + work
    }

    /// The arithmetic of a call that has no kernels of its own.
    fn computed(&self, member: usize) -> u64 {
        let wiring = self.wiring;
        match wiring.schedule.nodes[member].op.class() {
            Class::Pointwise(formula) => {
                Formula::operations(formula) * wiring.schedule.nodes[member].outputs[0].shape.numel() as u64
            }
            Class::Rows(_) => wiring.layout(wiring.schedule.edges[member][0]).shape.numel() as u64,
            _ => 0,
        }
    }
}
