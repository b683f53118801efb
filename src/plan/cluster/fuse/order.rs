//! The order in which clusters run: each after those it reads from, otherwise as their calls were recorded.

use super::Fusion;
use crate::graph::Edge;
use crate::plan::cluster::{Cluster, Kind};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// For each cluster others, such as those that it reads from.
type Links = HashMap<usize, Vec<usize>>;

impl Fusion<'_> {
    /// Takes the clusters that are needed, in order.
    pub(super) fn ordered(&mut self) -> Vec<Cluster> {
        let reads = self.reads();
        let needed = self.needed(&reads);
        let mut waits: HashMap<usize, usize> = HashMap::new();
        let mut feeds = Links::new();
        for &key in &needed {
            let from: HashSet<usize> = reads[&key].iter().copied().collect();
            waits.insert(key, from.len());
            for producer in from {
                feeds.entry(producer).or_default().push(key);
            }
        }
        let ranks = self.ranks(&needed, &reads, &feeds);
        let ranked = |key: usize| Reverse((ranks[&key], key));
        let mut ready: BinaryHeap<Reverse<(Option<usize>, usize)>> =
            waits.iter().filter(|(_, waits)| **waits == 0).map(|(&key, _)| ranked(key)).collect();
        let mut order = Vec::with_capacity(needed.len());
        while let Some(Reverse((_, key))) = ready.pop() {
            order.push(key);
            for &user in feeds.get(&key).into_iter().flatten() {
                if let Some(left) = waits.get_mut(&user) {
                    *left -= 1;
                    if *left == 0 {
                        ready.push(ranked(user));
                    }
                }
            }
        }
        order.into_iter().filter_map(|key| self.clusters.remove(&key)).collect()
    }

    /// The clusters that each cluster reads from or waits for.
    fn reads(&self) -> Links {
        let wiring = self.legality.wiring;
        let links = self.clusters.iter().map(|(&key, cluster)| {
            let read = cluster
                .inputs(wiring)
                .into_iter()
                .filter_map(|(node, argument)| wiring.argument(node, argument).node());
            let waits = cluster.members.iter().flat_map(|&member| wiring.waits(member)).copied();
            let from = read.chain(waits.filter(|&call| !self.recomputed[call])).map(|call| self.cluster_of[call]);
            (key, from.filter(|&other| other != key).collect())
        });
        links.collect()
    }

    /// The clusters that compute a kept value, and all that those read from.
    fn needed(&self, reads: &Links) -> HashSet<usize> {
        let wiring = self.legality.wiring;
        let is_kept =
            |cluster: &Cluster| cluster.core().flat_map(|node| wiring.outputs(node)).any(|root| wiring.is_kept(root));
        let mut open: Vec<usize> =
            self.clusters.iter().filter(|(_, cluster)| is_kept(cluster)).map(|(&key, _)| key).collect();
        let mut needed = HashSet::new();
        while let Some(key) = open.pop() {
            if needed.insert(key) {
                open.extend(&reads[&key]);
            }
        }
        needed
    }

    /// The ranks of clusters among others that could run: the lowest runs first. A cluster that can wait has the rank of the
    /// first that reads its results.
    fn ranks(&self, needed: &HashSet<usize>, reads: &Links, feeds: &Links) -> HashMap<usize, Option<usize>> {
        let mut ranks: HashMap<usize, Option<usize>> =
            needed.iter().map(|&key| (key, self.rank(&self.clusters[&key]))).collect();
        for key in self.can_wait(needed, reads) {
            let first = feeds.get(&key).into_iter().flatten().filter_map(|user| ranks[user]).min();
            ranks.entry(key).and_modify(|rank| *rank = first.or(*rank));
        }
        ranks
    }

    /// The rank of a cluster by itself: its last call. An addition to what was there before, such as a gradient of other
    /// batches, is recorded last of all and does not count, or else what the others read would wait in memory.
    fn rank(&self, cluster: &Cluster) -> Option<usize> {
        let wiring = self.legality.wiring;
        let is_addition = |member: usize| {
            let edges = &wiring.schedule.edges[member];
            let is_there = |edge: &Edge| match wiring.root(*edge) {
                Edge::Node { index, .. } => cluster.members.contains(&index) || wiring.is_constant(index),
                Edge::Source(_) => true,
            };
            !wiring.is_assigned(Edge::Node { index: member, output: 0 }) && edges.iter().all(is_there)
        };
        let Kind::Call(call) = cluster.kind else { return cluster.members.last().copied() };
        cluster.members.iter().rev().copied().find(|&member| member == call || !is_addition(member))
    }

    /// The clusters that take little work and read only values of earlier runs and results of each other, the last one
    /// first: what they read is in memory all the time, so they can as well run just before their results are read.
    fn can_wait(&self, needed: &HashSet<usize>, reads: &Links) -> Vec<usize> {
        let mut keys: Vec<usize> = needed.iter().copied().collect();
        keys.sort_unstable_by_key(|&key| self.rank(&self.clusters[&key]));
        let is_cheap = |kind: &Kind| match *kind {
            Kind::Pointwise => true,
            Kind::Call(call) => self.legality.wiring.schedule.nodes[call].op.is_copy(),
            Kind::Rows(_) => false,
        };
        let mut waiting = HashSet::new();
        keys.retain(|key| {
            is_cheap(&self.clusters[key].kind)
                && reads[key].iter().all(|from| waiting.contains(from))
                && waiting.insert(*key)
        });
        keys.reverse();
        keys
    }
}
