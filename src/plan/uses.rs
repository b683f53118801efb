//! Which values are read, and when their buffers are free for others.

use crate::graph::Edge;
use crate::plan::form::Cluster;
use crate::plan::wiring::{Root, Wiring};
use std::collections::HashMap;

/// For each value that is read the positions of the clusters that do so last: one, or one more for each time that it is
/// computed again.
#[derive(Default)]
pub(super) struct Uses {
    ends: HashMap<Root, Vec<usize>>,
}

impl Uses {
    pub fn new(wiring: &Wiring, clusters: &[Cluster]) -> Uses {
        let mut uses = Uses::default();
        let mut is_fresh: HashMap<Root, bool> = HashMap::new();
        for (at, cluster) in clusters.iter().enumerate() {
            for (node, argument) in cluster.inputs(wiring) {
                let root = wiring.argument(node, argument);
                let ends = uses.ends.entry(root).or_default();
                if !is_fresh.insert(root, false).unwrap_or(true) {
                    ends.pop();
                }
                ends.push(at);
            }
            for index in cluster.core() {
                for output in 0..wiring.schedule.nodes[index].outputs.len() {
                    is_fresh.insert(Edge::Node { index, output }, true);
                }
            }
        }
        uses
    }

    /// Whether anything reads a value.
    pub fn is_read(&self, root: Root) -> bool {
        self.ends.contains_key(&root)
    }

    /// Whether nothing reads a value after a cluster, as it is.
    pub fn is_last(&self, root: Root, at: usize) -> bool {
        self.ends.get(&root).is_some_and(|ends| ends.contains(&at))
    }

    /// Keeps `whole` for as long as a part of it is read.
    pub fn prolong(&mut self, whole: Root, part: Root) {
        let Some(&of_part) = self.ends.get(&part).and_then(|ends| ends.last()) else { return };
        match self.ends.entry(whole).or_default().last_mut() {
            Some(last) => *last = of_part.max(*last),
            None => {
                self.ends.insert(whole, vec![of_part]);
            }
        }
    }
}
