//! Joins calls into clusters that run as one kernel, and puts the clusters in order.

mod order;
mod paths;
mod recomputed;
mod sink;
mod trunk;

use crate::graph::Edge;
use crate::plan::analysis::wiring::Root;
use crate::plan::cluster::cost::distinct_bytes;
use crate::plan::cluster::legality::Legality;
use crate::plan::cluster::{Cluster, Kind};
use recomputed::recomputed;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use trunk::Trunk;

/// The clusters of a schedule, in an order in which each comes after those it reads from.
pub(in crate::plan) struct Fused {
    pub clusters: Vec<Cluster>,
    /// The pairs of calls that were not joined, and why.
    pub notes: Vec<String>,
}

/// Joins calls. Without `enabled`, every call is a cluster of its own.
pub(in crate::plan) fn fuse(legality: &Legality, enabled: bool) -> Fused {
    let mut fusion = Fusion::new(legality, enabled);
    if enabled {
        fusion.join_side_sums();
        fusion.join_producers();
        fusion.join_reductions_of_the_same();
        fusion.sink();
        fusion.copy_into_loads();
    }
    let clusters = fusion.ordered();
    Fused { clusters, notes: fusion.notes }
}

struct Fusion<'a> {
    legality: &'a Legality<'a>,
    /// By the number of a member; where clusters are joined, one of them is left.
    clusters: HashMap<usize, Cluster>,
    /// For each call the cluster that stores its results.
    cluster_of: Vec<usize>,
    /// Calls that each user computes again.
    recomputed: Vec<bool>,
    trunk: Trunk,
    notes: Vec<String>,
}

impl<'a> Fusion<'a> {
    fn new(legality: &'a Legality<'a>, enabled: bool) -> Fusion<'a> {
        let count = legality.wiring.schedule.nodes.len();
        let mut fusion = Fusion {
            legality,
            clusters: HashMap::new(),
            cluster_of: (0..count).collect(),
            recomputed: if enabled { recomputed(legality.wiring) } else { vec![false; count] },
            trunk: if enabled { Trunk::new(legality.wiring) } else { Trunk::default() },
            notes: Vec::new(),
        };
        for node in legality.wiring.calls() {
            let alone = BTreeSet::from([node]);
            if let Ok(cluster) = fusion.formed(alone.clone()).or_else(|_| legality.cluster(alone, BTreeSet::new())) {
                fusion.clusters.insert(node, cluster);
            }
        }
        fusion
    }

    /// A cluster of these calls and what they compute again.
    fn formed(&self, core: BTreeSet<usize>) -> Result<Cluster, &'static str> {
        let wiring = self.legality.wiring;
        let mut members = core.clone();
        let mut open: Vec<usize> = core.iter().copied().collect();
        while let Some(member) = open.pop() {
            if !(wiring.formula(member).is_some() || wiring.row_formula(member).is_some()) {
                continue;
            }
            for argument in 0..wiring.schedule.edges[member].len() {
                if let Edge::Node { index, .. } = wiring.argument(member, argument)
                    && self.recomputed[index]
                    && members.insert(index)
                {
                    open.push(index);
                }
            }
        }
        let copies = members.difference(&core).copied().collect();
        self.legality.cluster(members, copies)
    }

    /// Joins sums with calls whose kernels read all of the summed value anyway.
    fn join_side_sums(&mut self) {
        let wiring = self.legality.wiring;
        for sum in wiring.calls().filter(|&node| wiring.row_formula(node).is_some()) {
            let Edge::Node { index, .. } = wiring.argument(sum, 0) else { continue };
            let readers = wiring.consumers(index).iter().map(|&(user, _)| user);
            let calls: Vec<usize> = readers.filter(|&user| self.legality.sums(user, sum)).collect();
            // A call absorbs at most one sum.
            let _ = calls.into_iter().any(|call| self.join(self.cluster_of[call], self.cluster_of[sum]).is_ok());
        }
    }

    /// Joins each call's cluster with those of its arguments, and of the arguments of what it computes again.
    fn join_producers(&mut self) {
        let wiring = self.legality.wiring;
        for node in wiring.calls() {
            if wiring.is_constant(node) || self.recomputed[node] {
                continue;
            }
            let mut open = vec![node];
            while let Some(reader) = open.pop() {
                for argument in 0..wiring.schedule.edges[reader].len() {
                    let Edge::Node { index, .. } = wiring.argument(reader, argument) else { continue };
                    if self.recomputed[index] {
                        open.push(index);
                    } else if !wiring.is_constant(index)
                        && !self.is_for_reductions(index, node)
                        && let Err(reason) = self.join(self.cluster_of[index], self.cluster_of[node])
                    {
                        let name = |node: usize| wiring.schedule.nodes[node].op.name();
                        self.notes.push(format!("{} {index} and {} {node}: {reason}", name(index), name(node)));
                    }
                }
            }
        }
    }

    /// True for a call that belongs to the reductions that read it rather than to the kernels of the call before it: those
    /// kernels store their result for others too, so that reading it costs less than storing one more value.
    fn is_for_reductions(&self, producer: usize, node: usize) -> bool {
        let wiring = self.legality.wiring;
        let is_reduction = |&(user, _): &(usize, usize)| wiring.row_formula(user).is_some();
        let by_call = self.clusters.get(&self.cluster_of[producer]).is_some_and(|of| matches!(of.kind, Kind::Call(_)));
        by_call
            && wiring.formula(node).is_some()
            && wiring.consumers(producer).len() > 1
            && wiring.consumers(node).iter().all(is_reduction)
            && !wiring.is_kept(Edge::Node { index: node, output: 0 })
    }

    /// Joins reductions over the same rows of the same value, so that it is read once.
    fn join_reductions_of_the_same(&mut self) {
        let wiring = self.legality.wiring;
        let mut readers: HashMap<Root, Vec<usize>> = HashMap::new();
        let mut keys: Vec<usize> = self.clusters.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let cluster = &self.clusters[&key];
            let Kind::Rows(domain) = &cluster.kind else { continue };
            let mut others = Vec::new();
            for (node, argument) in cluster.inputs(wiring) {
                let root = wiring.argument(node, argument);
                if wiring.stored(root).shape.numel() == domain.numel() {
                    let of_root = readers.entry(root).or_default();
                    others.extend(of_root.iter().copied());
                    of_root.push(key);
                }
            }
            for other in others {
                // One of them may be part of another by now.
                let _ = self.join(other, key);
            }
        }
    }

    /// Lets calls compute a value in their loads that only they read, so that it is not stored.
    fn copy_into_loads(&mut self) {
        let wiring = self.legality.wiring;
        let is_stored = |node: usize| wiring.is_kept(Edge::Node { index: node, output: 0 });
        let values: Vec<usize> = wiring
            .calls()
            .filter(|&node| wiring.formula(node).is_some() && !wiring.is_constant(node))
            .filter(|&node| !self.recomputed[node] && !is_stored(node))
            .collect();
        for node in values {
            let home = self.cluster_of[node];
            let mut readers = Vec::new();
            self.readers(node, &mut readers);
            let readers: BTreeSet<usize> = readers.into_iter().filter(|&reader| reader != home).collect();
            let kind = |key: &usize| self.clusters.get(key).map(|cluster| &cluster.kind);
            let are_calls = readers.iter().all(|reader| matches!(kind(reader), Some(Kind::Call(_))));
            if readers.len() < 2 || !are_calls || !matches!(kind(&home), Some(Kind::Pointwise)) {
                continue;
            }
            let copied = self.clusters[&home].upstream(wiring, vec![node]);
            let joined = self.replaces_no_more(node, &copied).and_then(|()| {
                let with = |&reader: &usize| {
                    let Cluster { members, copies, .. } = &self.clusters[&reader];
                    Ok((reader, self.legality.cluster(members | &copied, copies | &copied)?))
                };
                readers.iter().map(with).collect::<Result<Vec<_>, &'static str>>()
            });
            match joined {
                Ok(joined) => self.clusters.extend(joined),
                Err(reason) => {
                    let name = wiring.schedule.nodes[node].op.name();
                    self.notes.push(format!("{name} {node} and its {} readers: {reason}", readers.len()));
                }
            }
        }
    }

    /// Checks that the values from which a value is computed take no more memory than it, since they are needed for longer
    /// then.
    fn replaces_no_more(&self, node: usize, members: &BTreeSet<usize>) -> Result<(), &'static str> {
        let wiring = self.legality.wiring;
        let bytes = wiring.schedule.nodes[node].outputs[0].bytes();
        let edges = members.iter().flat_map(|&member| wiring.schedule.edges[member].iter());
        let read: BTreeMap<Root, usize> = edges
            .map(|&edge| (wiring.root(edge), distinct_bytes(wiring.layout(edge))))
            .filter(|&(root, _)| wiring.constant(root).is_none())
            .filter(|(root, _)| !matches!(root, Edge::Node { index, .. } if members.contains(index)))
            .collect();
        let large: Vec<usize> = read.into_values().filter(|read| 2 * read > bytes).collect();
        if large.iter().sum::<usize>() <= bytes {
            Ok(())
        } else {
            Err("it takes less memory than what it is computed from")
        }
    }

    /// Makes one cluster of two, under the number of the first.
    fn join(&mut self, first: usize, second: usize) -> Result<(), &'static str> {
        if first == second {
            return Ok(());
        }
        let (Some(a), Some(b)) = (self.clusters.get(&first), self.clusters.get(&second)) else {
            return Err("joined already");
        };
        let core: BTreeSet<usize> = a.core().chain(b.core()).collect();
        let joined = self.formed(core)?;
        if self.is_cyclic(first, second, &joined) {
            return Err("what lies between them needs the one and feeds the other");
        }
        for member in joined.core() {
            self.cluster_of[member] = first;
        }
        self.clusters.remove(&second);
        self.clusters.insert(first, joined);
        Ok(())
    }
}
