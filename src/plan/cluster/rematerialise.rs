//! Computes values a second time, just before the backward pass reads them, instead of keeping them from the forward pass:
//! pointwise ones, from values that are in memory at that time anyway, and copies, from the values that they copy.

use crate::graph::Edge;
use crate::number::nearest;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::cost::cost;
use crate::plan::cluster::legality::Legality;
use crate::plan::cluster::liveness::{LiveRange, Liveness};
use crate::plan::cluster::{Cluster, Kind};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Calls of one cluster that computes a value again.
const MOST_CALLS_PER_COPY: usize = 8;

/// A value is worth a launch if it takes at least one part in so many of the peak; in as many as there are clusters, if
/// those are more.
const PEAK_FRACTION: usize = 256;

/// Computing again may add one part in so many of a plan's own time.
const TIME_FRACTION: u64 = 20;

/// Length of a chain of values computed again one from the other, each call of them once: in a longer one all of them would be
/// in memory at once.
const LONGEST_CHAIN: usize = 3;

/// Rounds, each of which looks for the peak that the one before left.
const MOST_PEAKS: usize = 16;

/// Computes values again that are in memory at the peak but neither written nor read there: those that save most memory for
/// their cost, as far as the plan's time allows, and beyond that while it takes more than `budget` bytes. Returns notes on
/// which.
pub(in crate::plan) fn rematerialise(
    legality: &Legality,
    clusters: &mut Vec<Cluster>,
    budget: Option<u64>,
) -> Vec<String> {
    let mut chosen = Chosen::default();
    let mut notes = Vec::new();
    let mut left =
        clusters.iter().map(|cluster| cost(legality.wiring, legality.adapter, legality.kernels, cluster)).sum::<u64>()
            / TIME_FRACTION;
    let values_budget = budget.map(|budget| nearest::<usize>(budget).saturating_sub(source_bytes(legality.wiring)));
    for _ in 0..MOST_PEAKS {
        let mut round = Round::new(legality, clusters, &chosen);
        let (peak, bytes) = round.peak();
        let excess = values_budget.map_or(0, |budget| bytes.saturating_sub(budget));
        let least = if excess > 0 { 1 } else { bytes.div_ceil(PEAK_FRACTION.max(clusters.len())) };
        let mut values: Vec<Root> = round.across(peak).filter(|&root| round.bytes(root) >= least).collect();
        // The last value first, so that a value computed again has read its inputs before they are computed again.
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.iter().for_each(|&root| round.compute_again(root, peak));
        let affordable = round.affordable(left, excess);
        if affordable.len() < round.again.len() {
            // Others may be computed again now that some are not.
            round = Round::new(legality, clusters, &chosen);
            values.retain(|root| affordable.contains(root));
            values.iter().for_each(|&root| round.compute_again(root, peak));
        }
        notes.extend(round.notes());
        let Round { again, chosen: of_round, .. } = round;
        if again.is_empty() {
            break;
        }
        chosen = of_round;
        let mut copies = again.into_iter().peekable();
        for (at, cluster) in std::mem::take(clusters).into_iter().enumerate() {
            while let Some((_, copy)) = copies.next_if(|((before, _), _)| *before == at) {
                left = left.saturating_sub(copy.cost);
                clusters.push(copy.cluster);
            }
            clusters.push(cluster);
        }
    }
    notes
}

/// Bytes of the values of earlier runs, which are in memory all the time.
fn source_bytes(wiring: &Wiring) -> usize {
    wiring.schedule.sources.iter().map(|source| source.layout().bytes()).sum()
}

/// The choices made so far.
#[derive(Clone, Default)]
struct Chosen {
    /// Values that are computed again, and the values that they are computed from.
    again: HashMap<Root, Vec<Root>>,
    /// The calls that are computed again: those values, and what is computed on the way to them.
    calls: HashSet<usize>,
    /// Values that others are computed again from, and those others.
    read: HashMap<Root, Vec<Root>>,
    /// Values that are stored only to compute others again, by the first call of the cluster that stores them.
    added: HashMap<usize, BTreeSet<Root>>,
}

impl Chosen {
    /// The length of the chain of values computed again from this one on.
    fn behind(&self, root: Root) -> usize {
        self.read.get(&root).into_iter().flatten().map(|&of| 1 + self.behind(of)).max().unwrap_or(0)
    }

    /// The length of the chain up to this value, with it.
    fn up_to(&self, root: Root) -> usize {
        self.again.get(&root).map_or(0, |from| 1 + from.iter().map(|&from| self.up_to(from)).max().unwrap_or(0))
    }

    /// True if a value may be computed again from others by a cluster: no call twice, and in no longer chain than there may be.
    fn allows(&self, root: Root, from: &[Root], cluster: &Cluster) -> bool {
        let before = from.iter().map(|&from| self.up_to(from)).max().unwrap_or(0);
        cluster.members.iter().all(|call| !self.calls.contains(call)) && before + 1 + self.behind(root) <= LONGEST_CHAIN
    }

    fn take(&mut self, root: Root, from: Vec<Root>, cluster: &Cluster) {
        self.calls.extend(&cluster.members);
        from.iter().for_each(|&from| self.read.entry(from).or_default().push(root));
        self.again.insert(root, from);
    }
}

/// A cluster that computes a value again.
struct Copy {
    cluster: Cluster,
    cost: u64,
}

/// One round: the values computed again because of one peak.
struct Round<'a> {
    legality: &'a Legality<'a>,
    clusters: &'a [Cluster],
    liveness: Liveness,
    /// Clusters that compute values again, by the position before which they run and the value.
    again: BTreeMap<(usize, Root), Copy>,
    chosen: Chosen,
    /// Bytes of the temporaries of each cluster.
    temporaries: Vec<usize>,
}

impl<'a> Round<'a> {
    fn new(legality: &'a Legality<'a>, clusters: &'a [Cluster], chosen: &Chosen) -> Round<'a> {
        Round {
            legality,
            clusters,
            liveness: Liveness::new(legality.wiring, clusters),
            again: BTreeMap::new(),
            chosen: chosen.clone(),
            temporaries: clusters.iter().map(|cluster| legality.temporaries(cluster)).collect(),
        }
    }

    /// The values of the round that save most for their cost, and of equal ones those that are read last and so save it for
    /// longest. They cost `left` at most; more if `excess` bytes have to be saved.
    fn affordable(&self, left: u64, excess: usize) -> HashSet<Root> {
        let mut by_price: Vec<(&Root, &Copy)> = self.again.iter().map(|((_, root), copy)| (root, copy)).collect();
        let saved_for = |&(root, copy): &(&Root, &Copy)| self.bytes(*root) as f64 / copy.cost.max(1) as f64;
        by_price.sort_by(|a, b| saved_for(b).total_cmp(&saved_for(a)).then(a.0.cmp(b.0)));
        let (mut cost, mut saved) = (0, 0);
        let taken = by_price.into_iter().take_while(|&(&root, copy)| {
            cost += copy.cost;
            let is_needed = saved < excess;
            saved += self.bytes(root);
            is_needed || cost <= left
        });
        taken.map(|(&root, _)| root).collect()
    }

    fn wiring(&self) -> &'a Wiring<'a> {
        self.legality.wiring
    }

    fn bytes(&self, root: Root) -> usize {
        self.wiring().stored(root).bytes()
    }

    /// The last cluster before which a value is in memory.
    fn last(&self, root: Root, range: &LiveRange) -> Option<usize> {
        let is_kept = self.wiring().is_kept(root);
        if is_kept { Some(self.clusters.len() - 1) } else { range.last() }
    }

    /// The cluster at which most bytes are in memory, and how many, without those of earlier runs.
    fn peak(&self) -> (usize, usize) {
        let mut changes = vec![0i64; self.clusters.len() + 1];
        for (root, liveness) in self.liveness.iter() {
            for range in liveness {
                let (Some(from), Some(last)) = (range.from, self.last(root, range)) else { continue };
                let bytes = self.bytes(root) as i64;
                changes[from] += bytes;
                changes[last + 1] -= bytes;
            }
        }
        let mut live = 0;
        let at = changes.iter().zip(&self.temporaries).enumerate().map(|(at, (change, temporaries))| {
            live += change;
            (nearest::<usize>(live) + temporaries, at)
        });
        at.max().map_or((0, 0), |(bytes, at)| (at, bytes))
    }

    /// The values that are in memory at a cluster which neither stores nor reads them, except values that outlive the run or
    /// lie in packs.
    fn across(&self, at: usize) -> impl Iterator<Item = Root> {
        let by_pack = |&reader: &usize| match self.clusters[reader].kind {
            Kind::Call(call) => self.wiring().is_pack(call),
            _ => false,
        };
        let is_across = move |range: &LiveRange| {
            let stays = range.readers.iter().any(by_pack) || range.readers.contains(&at);
            range.from.is_some_and(|from| from < at) && range.last().is_some_and(|last| at < last) && !stays
        };
        let free = self.liveness.iter().filter(|(root, _)| !self.wiring().is_kept(*root));
        free.filter(move |(_, liveness)| liveness.iter().any(is_across)).map(|(root, _)| root)
    }

    /// Computes a value again before it is read next after a cluster, if that is possible.
    fn compute_again(&mut self, root: Root, at: usize) {
        if self.chosen.again.contains_key(&root) {
            return;
        }
        let Some(LiveRange { readers, .. }) = self.liveness.at(root, at) else { return };
        let Some(&next) = readers.range(at..).next() else { return };
        let Some((cluster, added)) = self.copy(root, next) else { return };
        let wiring = self.wiring();
        let read: Vec<Root> =
            cluster.inputs(wiring).iter().map(|&(node, argument)| wiring.argument(node, argument)).collect();
        if !self.chosen.allows(root, &read, &cluster) {
            return;
        }
        read.iter().for_each(|&read| self.liveness.read(read, next));
        self.chosen.take(root, read, &cluster);
        for (name, value) in added {
            self.chosen.added.entry(name).or_default().insert(value);
        }
        let cost = cost(self.wiring(), self.legality.adapter, self.legality.kernels, &cluster);
        self.again.insert((next, root), Copy { cluster, cost });
    }

    /// A cluster that computes a value again before another one, from values in memory then, and values that other clusters
    /// must store for it.
    fn copy(&self, root: Root, before: usize) -> Option<(Cluster, Vec<(usize, Root)>)> {
        let wiring = self.wiring();
        let value = root.node()?;
        if wiring.schedule.nodes[value].op.is_copy() {
            return self.copied_again(root, before).map(|copy| (copy, Vec::new()));
        }
        let numel = wiring.stored(root).shape.numel();
        let mut members = BTreeSet::new();
        let mut added = Vec::new();
        let mut open = vec![value];
        while let Some(member) = open.pop() {
            wiring.formula(member)?;
            if !members.insert(member) {
                continue;
            }
            if members.len() > MOST_CALLS_PER_COPY {
                return None;
            }
            for argument in 0..wiring.schedule.edges[member].len() {
                let read = wiring.argument(member, argument);
                if wiring.constant(read).is_some() || self.is_at_hand(read, before) {
                    continue;
                }
                let Edge::Node { index, .. } = read else { return None };
                let is_small = 16 * self.bytes(read) <= self.bytes(root);
                let of_full = wiring.schedule.nodes[index].outputs[0].shape.numel() == numel;
                match self.liveness.of(read) {
                    [first, ..] if is_small && !first.readers.is_empty() => {}
                    [LiveRange { from: Some(from), .. }, ..] if is_small => {
                        added.push((self.able_to_store(*from, read)?, read))
                    }
                    _ if of_full => open.push(index),
                    _ => return None,
                }
            }
        }
        let copies = members.iter().copied().filter(|&member| member != value).collect();
        let copy = self.legality.cluster(members, copies).ok()?;
        matches!(copy.kind, Kind::Pointwise).then_some((copy, added))
    }

    /// A cluster that copies a value again, if keeping its inputs takes at most three quarters of its memory.
    fn copied_again(&self, root: Root, before: usize) -> Option<Cluster> {
        let wiring = self.wiring();
        let value = root.node()?;
        let mut kept = 0;
        for argument in 0..wiring.schedule.edges[value].len() {
            let read = wiring.argument(value, argument);
            if self.is_at_hand(read, before) {
                continue;
            }
            // It must be stored once, so that its contents are the same.
            let [LiveRange { from: Some(_), .. }] = self.liveness.of(read) else { return None };
            kept += self.bytes(read);
        }
        (4 * kept <= 3 * self.bytes(root)).then_some(())?;
        self.legality.cluster(BTreeSet::from([value]), BTreeSet::new()).ok()
    }

    /// True if a value is in memory before a cluster and needs not be kept for longer than now.
    fn is_at_hand(&self, root: Root, before: usize) -> bool {
        let stays = matches!(root, Edge::Source(source) if !self.wiring().schedule.dying[source]);
        let range = self.liveness.at(root, before);
        stays || range.and_then(|range| self.last(root, range)).is_some_and(|last| before <= last)
    }

    /// The key of a cluster, its first call, if it can store one more value.
    fn able_to_store(&self, cluster: usize, root: Root) -> Option<usize> {
        let of = &self.clusters[cluster];
        let name = of.core().next()?;
        let added = self.chosen.added.get(&name);
        let more = added.map_or(0, |added| added.iter().filter(|&&value| value != root).count());
        let stores_rest = matches!(of.kind, Kind::Rows(_) | Kind::Pointwise);
        (stores_rest && self.legality.buffers(of) + more < self.legality.adapter.max_storage_buffers).then_some(name)
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let name = |index: usize| self.wiring().schedule.nodes[index].op.name();
        self.again.iter().map(move |(&(before, root), copy)| {
            let of = root.node().unwrap_or(0);
            let by = self.clusters[before].members.last().copied().unwrap_or(0);
            let from: Vec<usize> = self.chosen.again[&root].iter().filter_map(|read| read.node()).collect();
            let bytes = self.bytes(root);
            let calls: Vec<usize> = copy.cluster.members.iter().copied().collect();
            format!(
                "{} {of}: {bytes} bytes computed again before {} {by}, by {calls:?} from {from:?}",
                name(of),
                name(by)
            )
        })
    }
}
