//! Finds paths between clusters: two clusters with a third on a path between them can't be one.

use super::Fusion;
use crate::graph::Edge;
use crate::plan::cluster::Cluster;
use std::collections::HashSet;

/// A search over clusters: those that it has found, and those of them whose neighbours it has not looked at.
#[derive(Default)]
struct Search {
    open: Vec<usize>,
    seen: HashSet<usize>,
}

impl Search {
    fn add(&mut self, found: impl Iterator<Item = usize>) {
        let Search { open, seen } = self;
        open.extend(found.filter(|&cluster| seen.insert(cluster)).inspect(|_| {
            #[cfg(test)]
            tests::FOUND.with(|found| found.set(found.get() + 1));
        }));
    }
}

impl Fusion<'_> {
    /// The clusters that read what a call computes.
    pub(super) fn readers(&self, node: usize, readers: &mut Vec<usize>) {
        for &(user, _) in self.legality.wiring.consumers(node) {
            if self.recomputed[user] {
                // Its own users compute it; a joined cluster never reads it from memory.
                self.readers(user, readers);
            } else {
                readers.push(self.cluster_of[user]);
            }
        }
    }

    /// The clusters that must run after a call: its readers, and those that wait for it.
    fn later(&self, node: usize, later: &mut Vec<usize>) {
        self.readers(node, later);
        for &call in self.legality.wiring.waiting(node) {
            if self.recomputed[call] {
                self.readers(call, later);
            } else {
                later.push(self.cluster_of[call]);
            }
        }
    }

    /// The clusters that must run before a cluster, itself among them: those that it reads from or waits for.
    fn earlier(&self, cluster: &Cluster, earlier: &mut Vec<usize>) {
        let wiring = self.legality.wiring;
        let mut open: Vec<usize> = cluster.core().collect();
        while let Some(member) = open.pop() {
            for &call in wiring.waits(member) {
                if self.recomputed[call] {
                    open.push(call);
                } else {
                    earlier.push(self.cluster_of[call]);
                }
            }
            for argument in 0..wiring.schedule.edges[member].len() {
                match wiring.argument(member, argument) {
                    Edge::Node { index, .. } if self.recomputed[index] => open.push(index),
                    Edge::Node { index, .. } => earlier.push(self.cluster_of[index]),
                    Edge::Source(_) => {}
                }
            }
        }
    }

    /// True if a third cluster would have to run between the two.
    pub(super) fn is_cyclic(&self, first: usize, second: usize, joined: &Cluster) -> bool {
        let last = joined.members.last().copied().unwrap_or(0);
        [(first, second), (second, first)].into_iter().any(|(from, to)| self.leads_over_others(from, to, last))
    }

    /// True if a path leads from one cluster to another over others. No path leads over clusters that begin after call
    /// `last`.
    ///
    /// Two searches, ahead and back, take turns until one of them has nowhere to go: where there is no path, one side is
    /// mostly small. Long paths go along the trunk.
    fn leads_over_others(&self, from: usize, to: usize, last: usize) -> bool {
        let (start, end) = (&self.clusters[&from], &self.clusters[&to]);
        let is_other = |cluster: &usize| *cluster != from && *cluster != to;
        if self.trunk.leads(start.core(), end.core(), |call| !self.recomputed[call] && is_other(&self.cluster_of[call]))
        {
            return true;
        }
        let (mut ahead, mut back) = (Search::default(), Search::default());
        let mut found = Vec::new();
        start.core().for_each(|member| self.later(member, &mut found));
        ahead.add(found.drain(..).filter(is_other));
        self.earlier(end, &mut found);
        back.add(found.drain(..).filter(is_other));
        loop {
            let Some(key) = ahead.open.pop() else { return false };
            if back.seen.contains(&key) {
                return true;
            }
            // Numbers grow along every path.
            let cluster = &self.clusters[&key];
            if cluster.core().next().is_some_and(|smallest| smallest <= last) {
                cluster.core().for_each(|member| self.later(member, &mut found));
                ahead.add(found.drain(..).filter(|&reader| reader != key));
            }
            let Some(key) = back.open.pop() else { return false };
            if ahead.seen.contains(&key) {
                return true;
            }
            self.earlier(&self.clusters[&key], &mut found);
            back.add(found.drain(..).filter(|&producer| producer != key));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Module, Scope};
    use crate::optim::{Optimizer, Sgd, SgdOptions};
    use crate::{Conv2dOptions, Device, DeviceOptions, Noop, Result, Tensor};
    use std::cell::Cell;

    thread_local! {
        /// Clusters that this thread's searches have found.
        pub(super) static FOUND: Cell<usize> = const { Cell::new(0) };
    }

    /// Clusters that the plan of a step of so many convolutions with norms looks at for paths.
    fn found(depth: usize) -> Result<usize> {
        let noop = Some(Noop::default());
        let device = Device::with_options(&DeviceOptions::default().noop(noop))?;
        let scope = Scope::new(&device);
        let options = Conv2dOptions::default().padding(1);
        let block = |at: usize| {
            let conv = Conv2d::without_bias(&scope.at(at).at("conv"), 16, 16, [3, 3], &options)?;
            Ok((conv, BatchNorm2d::new(&scope.at(at).at("norm"), 16, &BatchNormLayerOptions::default())?))
        };
        let blocks: Vec<(Conv2d, BatchNorm2d)> = (0..depth).map(block).collect::<Result<_>>()?;
        let parameters = blocks.iter().flat_map(|(conv, norm)| [conv.parameters(), norm.parameters()].concat());
        let mut sgd = Sgd::new(parameters.collect::<Vec<_>>(), SgdOptions::default())?;
        let mut y = Tensor::ones(&device, &[8, 16, 16, 16])?;
        device.sync()?;
        FOUND.take();
        for (conv, norm) in &blocks {
            y = norm.forward(&conv.forward(&y)?)?.relu()?;
        }
        y.sum_all()?.backward()?;
        sgd.step()?;
        device.sync()?;
        Ok(FOUND.take())
    }

    #[test]
    fn searches_grow_with_depth_and_no_faster() {
        // So deep that all of them exceed the bound on launches.
        let [few, more, many] = [32, 48, 64].map(|depth| found(depth).unwrap());
        let [first, second] = [more - few, many - more];
        assert!(first > 0 && 10 * second <= 11 * first, "{few}, {more}, {many} clusters");
    }
}
