//! Joins calls into clusters that run as one kernel, and puts the clusters in order.

mod paths;
mod trunk;

use crate::graph::{Class, Edge};
use crate::plan::analysis::wiring::Root;
use crate::plan::cluster::cost::distinct_bytes;
use crate::plan::cluster::legality::Legality;
use crate::plan::cluster::{Cluster, Kind};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use trunk::Trunk;

/// Most calls that are computed again together by each of their users; longer chains are stored.
const MOST_RECOMPUTED: usize = 6;

/// Most stored values that such a chain reads.
const MOST_READ: usize = 4;

/// The clusters of a schedule, in an order in which each comes after those it reads from.
pub(in crate::plan) struct Fused {
    pub clusters: Vec<Cluster>,
    /// Pairs of calls that were not joined, with the reasons.
    pub notes: Vec<String>,
}

/// Joins calls. Without `enabled`, every call is a cluster of its own.
pub(in crate::plan) fn fuse(legality: &Legality, enabled: bool) -> Fused {
    let mut fusion = Fusion::new(legality, enabled);
    if enabled {
        fusion.join_side_sums();
        fusion.join_producers();
        fusion.join_reductions_of_the_same();
        fusion.copy_into_loads();
    }
    let clusters = fusion.ordered();
    Fused { clusters, notes: fusion.notes }
}

struct Fusion<'a> {
    legality: &'a Legality<'a>,
    /// By the number of a member; of joined clusters one remains.
    clusters: HashMap<usize, Cluster>,
    /// For each call the cluster that stores it.
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
            recomputed: vec![false; count],
            trunk: if enabled { Trunk::new(legality.wiring) } else { Trunk::default() },
            notes: Vec::new(),
        };
        if enabled {
            fusion.find_recomputed();
        }
        for node in legality.wiring.calls() {
            let alone = BTreeSet::from([node]);
            if let Ok(cluster) = fusion.formed(alone.clone()).or_else(|_| legality.cluster(alone, BTreeSet::new())) {
                fusion.clusters.insert(node, cluster);
            }
        }
        fusion
    }

    /// Marks calls that each of their users computes again because that costs them a load either way: arithmetic on at most one
    /// value of the call's size, which would otherwise be stored instead.
    fn find_recomputed(&mut self) {
        let wiring = self.legality.wiring;
        let nodes = &wiring.schedule.nodes;
        let mut reads: HashMap<usize, BTreeMap<Root, usize>> = HashMap::new();
        let mut costs: HashMap<usize, usize> = HashMap::new();
        for node in wiring.calls() {
            let Some(formula) = wiring.formula(node) else { continue };
            let output = &nodes[node].outputs[0];
            let is_kept = wiring.is_kept(Edge::Node { index: node, output: 0 });
            if !formula.is_cheap() || !formula.is_scalar() || is_kept || wiring.is_constant(node) {
                continue;
            }
            let by_users = wiring.consumers(node).iter().all(|&(user, argument)| {
                let layout = wiring.layout(wiring.schedule.edges[user][argument]);
                let takes = wiring.row_formula(user).is_some()
                    || wiring.formula(user).is_some() && nodes[user].outputs[0].shape.numel() == output.shape.numel();
                takes && layout.is_contiguous() && layout.offset == 0 && layout.shape.numel() == output.shape.numel()
            });
            if !by_users {
                continue;
            }
            let mut read = BTreeMap::new();
            let mut cost = 1;
            for argument in 0..wiring.schedule.edges[node].len() {
                match wiring.argument(node, argument) {
                    Edge::Node { index, .. } if self.recomputed[index] => {
                        read.extend(reads[&index].iter().map(|(&root, &bytes)| (root, bytes)));
                        cost += costs[&index];
                    }
                    root if wiring.constant(root).is_some() => {}
                    root => {
                        read.insert(root, distinct_bytes(wiring.layout(wiring.schedule.edges[node][argument])));
                    }
                }
            }
            let large = read.values().filter(|&&bytes| 2 * bytes > output.bytes()).count();
            // A value's only user would otherwise read the value; recomputed, it reads the operands, which must exist anyway. A
            // user that is itself recomputed, say a cast, counts as many if it has several users.
            let has_users = |call: usize| wiring.consumers(call).len() > 1;
            let is_there = |root: &Root| match *root {
                Edge::Node { index, .. } => {
                    let leaves_it = |&(user, _): &(usize, usize)| self.recomputed[user] && has_users(user);
                    wiring.is_kept(*root) || has_users(index) || wiring.consumers(index).iter().any(leaves_it)
                }
                Edge::Source(_) => true,
            };
            let pays = wiring.consumers(node).len() > 1 || read.keys().all(is_there);
            if cost <= MOST_RECOMPUTED && read.len() <= MOST_READ && large <= 1 && pays {
                self.recomputed[node] = true;
                reads.insert(node, read);
                costs.insert(node, cost);
            }
        }
    }

    /// A cluster of these calls and those that they compute again.
    fn formed(&self, core: BTreeSet<usize>) -> Result<Cluster, &'static str> {
        let wiring = self.legality.wiring;
        let mut members = core.clone();
        let mut open: Vec<usize> = core.iter().copied().collect();
        while let Some(member) = open.pop() {
            if !matches!(wiring.schedule.nodes[member].op.class(), Class::Pointwise(_) | Class::Rows { .. }) {
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

    /// Joins sums with calls whose kernels read all of the summed argument anyway.
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

    /// Joins each call's cluster with those of its arguments, and of the arguments of calls that it computes again.
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

    /// True if a call belongs with the reductions that read it rather than with the kernels of the call before it: the results of
    /// those are stored for others too, so that reading them costs less than storing one more value.
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
                // By now, one of them may be part of another.
                let _ = self.join(other, key);
            }
        }
    }

    /// Lets calls compute in their loads the values that only several such calls read, so that these are not stored.
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

    /// True if a value's operands take no more memory than it; they are needed for longer then.
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

    /// Joins two clusters, under the number of the first.
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

    /// A cluster's rank among others that could run: its last call. A call that adds to an earlier value, such as a gradient of
    /// other batches, is recorded last of all and does not count, or else the others' inputs would wait in memory.
    fn number(&self, cluster: &Cluster) -> Option<usize> {
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

    /// The clusters that take little work and read only values of earlier runs and each other's results, the last one first:
    /// their inputs are in memory all the time, so they can as well run just before their results are read.
    fn waiting(&self, needed: &HashSet<usize>, reads: &HashMap<usize, Vec<usize>>) -> Vec<usize> {
        let mut keys: Vec<usize> = needed.iter().copied().collect();
        keys.sort_unstable_by_key(|&key| self.number(&self.clusters[&key]));
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

    /// The needed clusters, each after those it reads from, otherwise in the order of recording.
    fn ordered(&mut self) -> Vec<Cluster> {
        let wiring = self.legality.wiring;
        let reads: HashMap<usize, Vec<usize>> = self
            .clusters
            .iter()
            .map(|(&key, cluster)| {
                let read = cluster.inputs(wiring).into_iter().filter_map(|(node, argument)| {
                    match wiring.argument(node, argument) {
                        Edge::Node { index, .. } => Some(index),
                        Edge::Source(_) => None,
                    }
                });
                let waits = cluster.members.iter().flat_map(|&member| wiring.waits(member)).copied();
                let from = read.chain(waits.filter(|&call| !self.recomputed[call])).map(|call| self.cluster_of[call]);
                (key, from.filter(|&other| other != key).collect())
            })
            .collect();
        let is_kept =
            |cluster: &Cluster| cluster.core().flat_map(|node| wiring.outputs(node)).any(|root| wiring.is_kept(root));
        let mut open: Vec<usize> =
            self.clusters.iter().filter(|(_, cluster)| is_kept(cluster)).map(|(&key, _)| key).collect();
        let mut needed: HashSet<usize> = HashSet::new();
        while let Some(key) = open.pop() {
            if needed.insert(key) {
                open.extend(&reads[&key]);
            }
        }

        let mut waits: HashMap<usize, usize> = HashMap::new();
        let mut feeds: HashMap<usize, Vec<usize>> = HashMap::new();
        for &key in &needed {
            let from: HashSet<usize> = reads[&key].iter().copied().collect();
            waits.insert(key, from.len());
            for producer in from {
                feeds.entry(producer).or_default().push(key);
            }
        }
        let mut numbers: HashMap<usize, Option<usize>> =
            needed.iter().map(|&key| (key, self.number(&self.clusters[&key]))).collect();
        for key in self.waiting(&needed, &reads) {
            let first = feeds.get(&key).into_iter().flatten().filter_map(|user| numbers[user]).min();
            numbers.entry(key).and_modify(|number| *number = first.or(*number));
        }
        let place = |key: usize| Reverse((numbers[&key], key));
        let mut ready: BinaryHeap<Reverse<(Option<usize>, usize)>> =
            waits.iter().filter(|(_, waits)| **waits == 0).map(|(&key, _)| place(key)).collect();
        let mut order = Vec::with_capacity(needed.len());
        while let Some(Reverse((_, key))) = ready.pop() {
            order.push(key);
            for &user in feeds.get(&key).into_iter().flatten() {
                if let Some(left) = waits.get_mut(&user) {
                    *left -= 1;
                    if *left == 0 {
                        ready.push(place(user));
                    }
                }
            }
        }
        order.into_iter().filter_map(|key| self.clusters.remove(&key)).collect()
    }
}
