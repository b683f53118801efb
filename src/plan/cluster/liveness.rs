//! The live ranges of values: from the cluster that stores a value to the last that reads it before it is stored anew.

use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::Cluster;
use crate::plan::cluster::destinations::Destinations;
use std::collections::{BTreeMap, BTreeSet};

/// The clusters between which a value is in memory, by their positions.
pub(in crate::plan) struct LiveRange {
    /// The cluster that stores the value; `None` if an earlier run did.
    pub from: Option<usize>,
    /// The clusters that read it before it is stored anew.
    pub readers: BTreeSet<usize>,
}

impl LiveRange {
    fn starting(from: Option<usize>) -> LiveRange {
        LiveRange { from, readers: BTreeSet::new() }
    }

    /// The last cluster that reads the value.
    pub fn last(&self) -> Option<usize> {
        self.readers.last().copied()
    }
}

/// Each value's live ranges, one for each time that it is stored.
#[derive(Default)]
pub(in crate::plan) struct Liveness {
    ranges: BTreeMap<Root, Vec<LiveRange>>,
}

impl Liveness {
    pub fn new(wiring: &Wiring, clusters: &[Cluster]) -> Liveness {
        let mut liveness = Liveness::default();
        for (at, cluster) in clusters.iter().enumerate() {
            for (node, argument) in cluster.inputs(wiring) {
                liveness.read(wiring.argument(node, argument), at);
            }
            for index in cluster.core() {
                // A pack is there from the first of its parts on.
                let arguments = 0..wiring.schedule.edges[index].len();
                let parts =
                    arguments.filter_map(|argument| liveness.of(wiring.argument(index, argument)).first()?.from);
                let from = parts.min().filter(|_| wiring.is_pack(index)).unwrap_or(at);
                for root in wiring.outputs(index) {
                    liveness.ranges.entry(root).or_default().push(LiveRange::starting(Some(from)));
                }
            }
        }
        liveness
    }

    /// Keeps each pack for as long as one of its parts is read.
    pub fn extend_packs(&mut self, destinations: &Destinations) {
        for (part, pack) in destinations.parts() {
            if let Some(last) = self.of(part).last().and_then(LiveRange::last) {
                self.read(pack, last);
            }
        }
    }

    /// A value's live ranges, in order.
    pub fn of(&self, root: Root) -> &[LiveRange] {
        self.ranges.get(&root).map_or(&[], |ranges| ranges)
    }

    /// All values and their live ranges.
    pub fn iter(&self) -> impl Iterator<Item = (Root, &[LiveRange])> {
        self.ranges.iter().map(|(&root, ranges)| (root, &ranges[..]))
    }

    /// The live range in which a cluster reads a value, or would.
    pub fn at(&self, root: Root, at: usize) -> Option<&LiveRange> {
        self.of(root).iter().rfind(|range| range.from.is_none_or(|from| from < at))
    }

    /// Records that a cluster reads a value.
    pub fn read(&mut self, root: Root, at: usize) {
        let ranges = self.ranges.entry(root).or_default();
        if ranges.is_empty() {
            ranges.push(LiveRange::starting(None));
        }
        if let Some(range) = ranges.iter_mut().rfind(|range| range.from.is_none_or(|from| from < at)) {
            range.readers.insert(at);
        }
    }

    /// True if anything reads a value as a cluster stores it.
    pub fn is_read(&self, root: Root, from: usize) -> bool {
        let range = self.of(root).iter().rfind(|range| range.from.is_none_or(|first| first <= from));
        range.is_some_and(|range| !range.readers.is_empty())
    }

    /// True if a cluster is the last to read a value before it is stored anew or not needed any more.
    pub fn is_last(&self, root: Root, at: usize) -> bool {
        self.of(root).iter().any(|range| range.last() == Some(at))
    }
}
