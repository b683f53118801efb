//! When values are in memory: which clusters store them, and which read them until they are stored anew.

use crate::graph::Edge;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::form::Cluster;
use crate::plan::codegen::pack::is_pack;
use std::collections::{BTreeMap, BTreeSet};

/// When a value is in memory, by the positions of clusters.
pub(in crate::plan) struct Life {
    /// The cluster that stores it; `None` where an earlier run did.
    pub from: Option<usize>,
    /// Those that read it before it is stored anew.
    pub readers: BTreeSet<usize>,
}

impl Life {
    fn starting(from: Option<usize>) -> Life {
        Life { from, readers: BTreeSet::new() }
    }

    /// The last cluster that reads it.
    pub fn last(&self) -> Option<usize> {
        self.readers.last().copied()
    }
}

/// Each value's lives, one for each time that it is stored.
#[derive(Default)]
pub(in crate::plan) struct Lives {
    of: BTreeMap<Root, Vec<Life>>,
}

impl Lives {
    pub fn new(wiring: &Wiring, clusters: &[Cluster]) -> Lives {
        let mut lives = Lives::default();
        for (at, cluster) in clusters.iter().enumerate() {
            for (node, argument) in cluster.inputs(wiring) {
                lives.read(wiring.argument(node, argument), at);
            }
            for index in cluster.core() {
                // A pack is there from the first of its parts on.
                let arguments = 0..wiring.schedule.edges[index].len();
                let parts = arguments.filter_map(|argument| lives.of(wiring.argument(index, argument)).first()?.from);
                let from = parts.min().filter(|_| is_pack(wiring, index)).unwrap_or(at);
                for output in 0..wiring.schedule.nodes[index].outputs.len() {
                    lives.of.entry(Edge::Node { index, output }).or_default().push(Life::starting(Some(from)));
                }
            }
        }
        lives
    }

    /// A value's lives, in order.
    pub fn of(&self, root: Root) -> &[Life] {
        self.of.get(&root).map_or(&[], |lives| lives)
    }

    /// All values and their lives.
    pub fn iter(&self) -> impl Iterator<Item = (Root, &[Life])> {
        self.of.iter().map(|(&root, lives)| (root, &lives[..]))
    }

    /// A value's life in which a cluster reads it, or would.
    pub fn at(&self, root: Root, at: usize) -> Option<&Life> {
        self.of(root).iter().rfind(|life| life.from.is_none_or(|from| from < at))
    }

    /// Takes note that a cluster reads a value.
    pub fn read(&mut self, root: Root, at: usize) {
        let lives = self.of.entry(root).or_default();
        if lives.is_empty() {
            lives.push(Life::starting(None));
        }
        if let Some(life) = lives.iter_mut().rfind(|life| life.from.is_none_or(|from| from < at)) {
            life.readers.insert(at);
        }
    }

    /// True where anything reads a value as a cluster stores it.
    pub fn is_read(&self, root: Root, from: usize) -> bool {
        let life = self.of(root).iter().rfind(|life| life.from.is_none_or(|first| first <= from));
        life.is_some_and(|life| !life.readers.is_empty())
    }

    /// Whether nothing reads a value after a cluster, as it is.
    pub fn is_last(&self, root: Root, at: usize) -> bool {
        self.of(root).iter().any(|life| life.last() == Some(at))
    }

    /// Keeps `whole` for as long as a part of it is read.
    pub fn prolong(&mut self, whole: Root, part: Root) {
        if let Some(last) = self.of(part).last().and_then(Life::last) {
            self.read(whole, last);
        }
    }
}
