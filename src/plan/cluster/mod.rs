//! Clusters: sets of calls that become one kernel, their order, and the destinations of their results.

pub(super) mod cost;
pub(super) mod destinations;
pub(super) mod fuse;
pub(super) mod kernel_choice;
pub(super) mod legality;
pub(super) mod liveness;
pub(super) mod rematerialise;
pub(super) mod row_schedule;

use crate::graph::{Class, Edge};
use crate::plan::analysis::domain::Domain;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::shape::Layout;
use std::collections::BTreeSet;

/// The kind of kernels that carry out a cluster.
#[derive(Clone, Debug)]
pub(in crate::plan) enum Kind {
    /// The kernels of one call, with pointwise calls in their loads and stores, and a sum of one of its arguments on the
    /// side.
    Call(usize),
    /// A kernel over elements.
    Pointwise,
    /// A kernel over rows.
    Rows(Domain),
}

/// A set of calls that run as one.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Cluster {
    /// Ascending.
    pub members: BTreeSet<usize>,
    /// Members that are computed here again, and stored, if at all, by another cluster.
    pub copies: BTreeSet<usize>,
    pub kind: Kind,
}

impl Cluster {
    /// The members that are not copies.
    pub fn core(&self) -> impl Iterator<Item = usize> {
        self.members.difference(&self.copies).copied()
    }

    /// True if a member has a value for each element, false if for each row. Clusters other than `Rows` have only values for
    /// each element.
    pub fn is_full(&self, wiring: &Wiring, member: usize) -> bool {
        match (&self.kind, wiring.schedule.nodes[member].op.class()) {
            (Kind::Rows(_), Class::Rows { formula, .. }) => formula.whole,
            (Kind::Rows(domain), _) => wiring.schedule.nodes[member].outputs[0].shape.numel() == domain.numel(),
            (Kind::Call(_), Class::Rows { .. }) => false,
            _ => true,
        }
    }

    /// The sum that a call's kernels compute on the side.
    pub fn side_sum(&self, wiring: &Wiring) -> Option<usize> {
        let is_sum = |&&member: &&usize| wiring.row_formula(member).is_some();
        self.members.iter().find(is_sum).copied().filter(|_| matches!(self.kind, Kind::Call(_)))
    }

    /// The member that computes an argument.
    pub fn producer(&self, wiring: &Wiring, node: usize, argument: usize) -> Option<usize> {
        match wiring.argument(node, argument) {
            Edge::Node { index, .. } if self.members.contains(&index) => Some(index),
            _ => None,
        }
    }

    /// The layout through which a member reads an argument. True if that has one value for each row.
    pub fn view(&self, wiring: &Wiring, node: usize, argument: usize) -> (Layout, bool) {
        let layout = *wiring.layout(wiring.schedule.edges[node][argument]);
        let Kind::Rows(domain) = &self.kind else { return (layout, false) };
        let of_rows = wiring.row_formula(node).is_none() && !self.is_full(wiring, node);
        match domain.row_values(&layout, of_rows) {
            Some(rows) => (rows, true),
            None => (layout, of_rows),
        }
    }

    /// These members and the pointwise ones that they are computed from, up to the cluster's call.
    pub fn upstream(&self, wiring: &Wiring, mut open: Vec<usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        while let Some(member) = open.pop() {
            if wiring.formula(member).is_some() && found.insert(member) {
                let arguments = 0..wiring.schedule.edges[member].len();
                open.extend(arguments.filter_map(|argument| self.producer(wiring, member, argument)));
            }
        }
        found
    }

    /// The members that are computed where the kernels of `call` load an argument.
    pub fn before(&self, wiring: &Wiring, call: usize, argument: usize) -> BTreeSet<usize> {
        self.upstream(wiring, self.producer(wiring, call, argument).into_iter().collect())
    }

    /// The members that are computed where the kernels of `call` store their result.
    pub fn behind(&self, wiring: &Wiring, call: usize) -> BTreeSet<usize> {
        let arguments = 0..wiring.schedule.edges[call].len();
        let before: BTreeSet<usize> = arguments.flat_map(|argument| self.before(wiring, call, argument)).collect();
        self.upstream(wiring, self.members.difference(&before).copied().collect())
    }

    /// The arguments of members that come from elsewhere and are read from memory, each stored value through each
    /// layout once.
    pub fn inputs(&self, wiring: &Wiring) -> Vec<(usize, usize)> {
        let mut seen: Vec<(Root, Layout)> = Vec::new();
        let mut inputs = Vec::new();
        // A call's own arguments come first, and are bound by its kernels.
        let call = match self.kind {
            Kind::Call(call) => Some(call),
            _ => None,
        };
        let sum = self.side_sum(wiring);
        let rest = self.members.iter().copied().filter(|&member| Some(member) != call && Some(member) != sum);
        for member in call.into_iter().chain(rest) {
            for argument in 0..wiring.schedule.edges[member].len() {
                let root = wiring.argument(member, argument);
                let of_call = call == Some(member);
                if self.producer(wiring, member, argument).is_some() || (wiring.constant(root).is_some() && !of_call) {
                    continue;
                }
                let item = (root, self.view(wiring, member, argument).0);
                if of_call || !seen.contains(&item) {
                    inputs.push((member, argument));
                }
                if !of_call {
                    seen.push(item);
                }
            }
        }
        inputs
    }

    /// True if others read one of its values, or it is kept.
    pub fn is_wanted(&self, wiring: &Wiring, root: Root) -> bool {
        let Edge::Node { index, .. } = root else { return false };
        let mut readers =
            wiring.consumers(index).iter().filter(|&&(node, argument)| wiring.argument(node, argument) == root);
        wiring.is_kept(root)
            || readers.any(|&(node, _)| {
                // If a user is computed again by its own users, those read the value too.
                let copied = self.copies.contains(&node);
                !self.members.contains(&node) || copied && self.is_wanted(wiring, Edge::Node { index: node, output: 0 })
            })
    }
}
