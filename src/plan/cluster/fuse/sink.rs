//! Moves pointwise calls to the kernel that reads their results, where the values that they are computed from take no more
//! memory until then: derivatives from the forward to the backward pass.

use super::Fusion;
use crate::graph::Edge;
use crate::plan::analysis::wiring::Root;
use crate::plan::cluster::Cluster;
use std::collections::BTreeSet;

impl Fusion<'_> {
    /// Moves what clusters compute for one other cluster alone.
    pub(super) fn sink(&mut self) {
        let mut homes: Vec<usize> = self.clusters.keys().copied().collect();
        homes.sort_unstable();
        for home in homes {
            let mut readers = Vec::new();
            self.clusters[&home].core().for_each(|member| self.readers(member, &mut readers));
            readers.sort_unstable();
            readers.dedup();
            for reader in readers.into_iter().filter(|&reader| reader != home) {
                self.sink_into(reader, home);
            }
        }
    }

    /// Moves what a cluster computes for `reader` alone to that.
    fn sink_into(&mut self, reader: usize, home: usize) {
        let moved = self.computed_for(reader, home);
        let (from, to) = (&self.clusters[&home], &self.clusters[&reader]);
        if moved.is_empty() || moved.len() == from.core().count() {
            return;
        }
        let Ok(with) = self.formed(to.core().chain(moved.iter().copied()).collect()) else { return };
        let Ok(without) = self.formed(from.core().filter(|member| !moved.contains(member)).collect()) else { return };
        if self.saves(from, &without, to, &with) {
            moved.into_iter().for_each(|member| self.cluster_of[member] = reader);
            self.clusters.extend([(home, without), (reader, with)]);
        }
    }

    /// The pointwise calls of a cluster whose results lead nowhere but to `reader`.
    fn computed_for(&self, reader: usize, home: usize) -> BTreeSet<usize> {
        let wiring = self.legality.wiring;
        let mut found = BTreeSet::new();
        let core: Vec<usize> = self.clusters[&home].core().collect();
        for member in core.into_iter().rev() {
            let is_kept = wiring.is_kept(Edge::Node { index: member, output: 0 });
            if wiring.formula(member).is_some() && !is_kept && self.leads_only_to(reader, member, &found) {
                found.insert(member);
            }
        }
        found
    }

    /// True if all that read a call's result are `among` some calls or in the cluster `reader`.
    fn leads_only_to(&self, reader: usize, node: usize, among: &BTreeSet<usize>) -> bool {
        self.legality.wiring.consumers(node).iter().all(|&(user, _)| {
            let is_there = self.cluster_of[user] == reader || among.contains(&user);
            if self.recomputed[user] { self.leads_only_to(reader, user, among) } else { is_there }
        })
    }

    /// True if two clusters, of which the second reads from the first, need less memory between them in another form; or as
    /// much, and a value of the first follows from what it stores then.
    fn saves(&self, from: &Cluster, without: &Cluster, to: &Cluster, with: &Cluster) -> bool {
        let wiring = self.legality.wiring;
        let stored = |of: &Cluster| -> BTreeSet<Root> {
            of.core().flat_map(|member| wiring.outputs(member)).filter(|&root| of.is_wanted(wiring, root)).collect()
        };
        let read = |of: &Cluster| -> BTreeSet<Root> {
            of.inputs(wiring).into_iter().map(|(node, argument)| wiring.argument(node, argument)).collect()
        };
        let bytes =
            |roots: &mut dyn Iterator<Item = &Root>| roots.map(|&root| wiring.stored(root).bytes()).sum::<usize>();
        let (before, after) = (stored(from), stored(without));
        let (read_before, read_after) = (read(to), read(with));
        let elsewhere = |root: &&Root| root.node().is_some_and(|node| !from.members.contains(&node));
        let more =
            bytes(&mut after.difference(&before)) + bytes(&mut read_after.difference(&read_before).filter(elsewhere));
        let less = bytes(&mut before.difference(&after));
        let new: BTreeSet<usize> = after.difference(&before).filter_map(|root| root.node()).collect();
        let follows = |root: &Root| {
            let Some(node) = root.node().filter(|node| wiring.formula(*node).is_some() && !new.contains(node)) else {
                return false;
            };
            let upstream = without.upstream(wiring, vec![node]);
            let is_new = |member: &usize| {
                let arguments = 0..wiring.schedule.edges[*member].len();
                arguments
                    .filter_map(|argument| without.producer(wiring, *member, argument))
                    .any(|from| new.contains(&from))
            };
            upstream.iter().any(is_new)
        };
        more < less || more == less && after.iter().any(follows)
    }
}
