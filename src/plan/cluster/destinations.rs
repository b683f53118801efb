//! The values that are computed in place in a pack, instead of being copied there.

use crate::graph::Edge;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use std::collections::{BTreeMap, BTreeSet};

/// The part of a pack that a value is computed in.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Destination {
    pub pack: Root,
    /// First byte in the pack.
    pub start: usize,
}

/// The values that are computed in place in packs.
#[derive(Default)]
pub(in crate::plan) struct Destinations {
    of: BTreeMap<Root, Destination>,
}

impl Destinations {
    /// Finds the values that can be computed in place: those of this schedule that a pack takes as they are and only once,
    /// and that no kernel computes from another segment of the same pack, since none could read and write one buffer.
    pub fn new(wiring: &Wiring, clusters: &[Cluster]) -> Destinations {
        let mut destinations = Destinations::default();
        for call in wiring.calls() {
            let arguments = wiring.schedule.edges[call].len();
            for (argument, &start) in wiring.starts(call).iter().enumerate() {
                let edge = wiring.schedule.edges[call][argument];
                let (root, layout) = (wiring.root(edge), wiring.layout(edge));
                if (0..arguments).any(|other| other != argument && wiring.argument(call, other) == root) {
                    continue;
                }
                let Edge::Node { index, .. } = root else { continue };
                let whole = layout.is_contiguous()
                    && layout.offset == 0
                    && layout.shape.numel() == wiring.stored(root).shape.numel();
                if whole && !wiring.is_pack(index) {
                    let start = start * layout.dtype.size();
                    destinations
                        .of
                        .entry(root)
                        .or_insert(Destination { pack: Edge::Node { index: call, output: 0 }, start });
                }
            }
        }
        for cluster in clusters {
            let read: BTreeSet<Root> = cluster
                .inputs(wiring)
                .iter()
                .filter_map(|&(node, argument)| destinations.of(wiring.argument(node, argument)))
                .map(|destination| destination.pack)
                .collect();
            for index in cluster.core() {
                for root in wiring.outputs(index) {
                    if destinations.of(root).is_some_and(|destination| read.contains(&destination.pack)) {
                        destinations.of.remove(&root);
                    }
                }
            }
        }
        destinations
    }

    /// The place where a value is computed, if that is in a pack.
    pub fn of(&self, root: Root) -> Option<Destination> {
        self.of.get(&root).copied()
    }

    /// The values that are parts of packs, each with its pack.
    pub fn parts(&self) -> impl Iterator<Item = (Root, Root)> {
        self.of.iter().map(|(&part, destination)| (part, destination.pack))
    }
}
