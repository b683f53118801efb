//! Which pointwise calls run as one kernel.

use crate::graph::{Class, Edge, Schedule};
use crate::plan::simplify::{representatives, resolve};
use crate::shape::Layout;
use std::collections::BTreeSet;

/// Storage buffers a kernel may bind by WebGPU's default limits, less the output.
const MOST_INPUTS: usize = 7;

/// Calls of one kernel, so that compiling it stays quick.
const MOST_CALLS: usize = 48;

/// A value as it is stored: an output of a node that is not a view, or a source.
pub(super) type Root = Edge;

/// The schedule with views looked through and repeated calls merged.
pub(super) struct Wiring<'a> {
    pub schedule: &'a Schedule,
    /// For each node the first that computes the same.
    pub same: Vec<usize>,
    constant: Vec<bool>,
}

impl<'a> Wiring<'a> {
    pub fn new(schedule: &'a Schedule) -> Wiring<'a> {
        let mut wiring = Wiring { schedule, same: representatives(schedule), constant: Vec::new() };
        for node in 0..schedule.nodes.len() {
            let of_constants = || {
                let edges = &schedule.edges[node];
                let is_constant =
                    |&edge| matches!(wiring.root(edge), Edge::Node { index, .. } if wiring.constant[index]);
                !edges.is_empty() && edges.iter().all(is_constant)
            };
            let constant = match schedule.nodes[node].op.class() {
                Class::Pointwise(formula) => formula.constant || of_constants(),
                _ => false,
            };
            wiring.constant.push(constant);
        }
        wiring
    }

    /// The stored value behind an edge.
    pub fn root(&self, edge: Edge) -> Root {
        let mut edge = resolve(edge, &self.same);
        while let Edge::Node { index, .. } = edge {
            if !self.schedule.is_view(index) {
                break;
            }
            edge = resolve(self.schedule.edges[index][0], &self.same);
        }
        edge
    }

    /// The layout through which an edge shows its root.
    pub fn layout(&self, edge: Edge) -> &Layout {
        match edge {
            Edge::Node { index, output } => &self.schedule.nodes[index].outputs[output],
            Edge::Source(source) => self.schedule.sources[source].layout(),
        }
    }

    pub fn is_pointwise(&self, index: usize) -> bool {
        matches!(self.schedule.nodes[index].op.class(), Class::Pointwise(_))
    }

    /// A pointwise call whose every element is the same number, because all it is computed from is such numbers:
    /// written into whoever uses it.
    pub fn is_constant(&self, index: usize) -> bool {
        self.constant[index]
    }
}

/// For each node the last node of the kernel that computes it; `None` for views, for repeated calls and for
/// what nobody needs.
pub(super) fn groups(wiring: &Wiring, kept: &BTreeSet<usize>) -> Vec<Option<usize>> {
    let schedule = wiring.schedule;
    let count = schedule.nodes.len();
    let mut consumers: Vec<Vec<(usize, bool)>> = vec![Vec::new(); count];
    let mut group: Vec<Option<usize>> = vec![None; count];
    let mut inputs: Vec<BTreeSet<(usize, usize)>> = vec![BTreeSet::new(); count];
    let mut calls = vec![0usize; count];
    let external = |node: usize| -> BTreeSet<(usize, usize)> {
        let edges = schedule.edges[node].iter().enumerate();
        let stored = edges.filter(|(_, edge)| match wiring.root(**edge) {
            Edge::Node { index, .. } => !wiring.is_constant(index),
            Edge::Source(_) => true,
        });
        stored.map(|(input, _)| (node, input)).collect()
    };
    let distinct = |set: &BTreeSet<(usize, usize)>| {
        let mut seen: Vec<(Root, Layout)> = Vec::new();
        for &(node, input) in set {
            let edge = schedule.edges[node][input];
            let item = (wiring.root(edge), *wiring.layout(edge));
            if !seen.contains(&item) {
                seen.push(item);
            }
        }
        seen.len()
    };
    for node in (0..count).rev() {
        if schedule.is_view(node) || wiring.same[node] != node {
            continue;
        }
        if consumers[node].is_empty() && !kept.contains(&node) {
            continue;
        }
        let mut home = node;
        if wiring.is_pointwise(node) && !kept.contains(&node) && !wiring.is_constant(node) {
            let first = consumers[node][0].0;
            if let Some(last) = group[first].filter(|_| wiring.is_pointwise(first)) {
                let alone = consumers[node].iter().all(|&(user, flat)| flat && group[user] == Some(last));
                let mut joined: BTreeSet<(usize, usize)> = inputs[last]
                    .iter()
                    .copied()
                    .filter(|&(user, input)| {
                        !matches!(wiring.root(schedule.edges[user][input]), Edge::Node { index, .. } if index == node)
                    })
                    .collect();
                joined.extend(external(node));
                if alone && calls[last] < MOST_CALLS && distinct(&joined) <= MOST_INPUTS {
                    inputs[last] = joined;
                    home = last;
                }
            }
        }
        if home == node {
            inputs[node] = external(node);
        }
        calls[home] += 1;
        group[node] = Some(home);
        for &edge in &schedule.edges[node] {
            if let Edge::Node { index, .. } = wiring.root(edge) {
                let layout = wiring.layout(edge);
                let output = &schedule.nodes[index].outputs[0];
                let flat = layout.is_contiguous()
                    && layout.offset == 0
                    && layout.shape.numel() == output.shape.numel()
                    && layout.shape.numel() == schedule.nodes[node].outputs[0].shape.numel();
                consumers[index].push((node, flat));
            }
        }
    }
    group
}
