//! The schedule as the planner sees it: views looked through, repeated calls merged, constants known.

use crate::graph::{Class, Edge, Schedule};
use crate::plan::analysis::common_subexpressions::{representatives, resolve};
use crate::shader::{Formula, RowFormula};
use crate::shape::Layout;
use std::collections::BTreeSet;

/// A value as it is stored: an output of a node that is not a view, or a source.
pub(in crate::plan) type Root = Edge;

/// Calls that a constant may take. With more, a value is computed like any other: a chain of calls over constants has any
/// length, and each reader would repeat all of it.
const MOST_OF_CONSTANT: usize = 8;

/// The schedule with views looked through and repeated calls merged.
pub(in crate::plan) struct Wiring<'a> {
    pub schedule: &'a Schedule,
    /// For each node the first that computes the same.
    same: Vec<usize>,
    /// For each view the value that it is a view of.
    bases: Vec<Option<Root>>,
    /// For each constant the calls that it takes, itself among them.
    constants: Vec<Vec<usize>>,
    /// For each node the calls that read it, through views too: the call and its argument.
    consumers: Vec<Vec<(usize, usize)>>,
    /// For each node the calls before which it must not run though it reads none of them, and for each call the nodes that
    /// wait for it so.
    waits: Vec<Vec<usize>>,
    waiting: Vec<Vec<usize>>,
    /// True for nodes whose result is asked for, directly or through others.
    live: Vec<bool>,
    /// Values that outlive the run: all outputs of kept calls, and what kept views show.
    kept: BTreeSet<Root>,
    /// Values that a parameter shows after the run.
    assigned: BTreeSet<Root>,
}

impl<'a> Wiring<'a> {
    pub fn new(schedule: &'a Schedule) -> Wiring<'a> {
        let count = schedule.nodes.len();
        let mut wiring = Wiring {
            schedule,
            same: representatives(schedule),
            bases: Vec::with_capacity(count),
            constants: Vec::with_capacity(count),
            consumers: vec![Vec::new(); count],
            waits: vec![Vec::new(); count],
            waiting: vec![Vec::new(); count],
            live: vec![false; count],
            kept: BTreeSet::new(),
            assigned: BTreeSet::new(),
        };
        for node in 0..count {
            let base = schedule.is_view(node).then(|| wiring.root(schedule.edges[node][0]));
            wiring.bases.push(base);
            wiring.constants.push(wiring.constants_of(node));
        }
        for node in (0..count).rev() {
            if schedule.kept[node] {
                for output in 0..schedule.nodes[node].outputs.len() {
                    let root = wiring.root(Edge::Node { index: node, output });
                    wiring.mark(root);
                    wiring.kept.insert(root);
                    if schedule.nodes[node].is_assigned() {
                        wiring.assigned.insert(root);
                    }
                }
            }
            if wiring.live[node] {
                for (argument, &edge) in schedule.edges[node].iter().enumerate() {
                    let root = wiring.root(edge);
                    wiring.mark(root);
                    if let Edge::Node { index, .. } = root {
                        wiring.consumers[index].push((node, argument));
                    }
                }
            }
        }
        wiring.find_waits();
        wiring
    }

    /// Finds the calls that read through views which hold them back.
    fn find_waits(&mut self) {
        // For each view the calls that its readers wait for.
        let mut behind: Vec<Vec<usize>> = vec![Vec::new(); self.live.len()];
        for node in 0..self.live.len() {
            let edges = &self.schedule.edges[node];
            let views = if self.schedule.is_view(node) { &edges[..1] } else { edges };
            let mut before: Vec<usize> = views
                .iter()
                .filter_map(|edge| match *edge {
                    Edge::Node { index, .. } => Some(&behind[index]),
                    Edge::Source(_) => None,
                })
                .flatten()
                .copied()
                .collect();
            if self.schedule.nodes[node].is_late()
                && let Edge::Node { index, .. } = self.root(edges[1])
                && self.live[index]
                && !self.is_constant(index)
            {
                before.push(index);
            }
            before.sort_unstable();
            before.dedup();
            if self.schedule.is_view(node) {
                behind[node] = before;
            } else if self.live[node] {
                before.iter().for_each(|&call| self.waiting[call].push(node));
                self.waits[node] = before;
            }
        }
    }

    /// The calls of a node that is a constant; none for other nodes.
    fn constants_of(&self, node: usize) -> Vec<usize> {
        let edges = &self.schedule.edges[node];
        let is_one_number = |formula: &Formula| formula.constant || !edges.is_empty() && !formula.is_positional();
        if !self.formula(node).is_some_and(is_one_number) {
            return Vec::new();
        }
        let mut all = vec![node];
        for &edge in edges {
            let Some(constant) = self.constant(self.root(edge)) else { return Vec::new() };
            let more: Vec<usize> =
                self.constants[constant].iter().copied().filter(|call| !all.contains(call)).collect();
            all.extend(more);
        }
        if all.len() <= MOST_OF_CONSTANT { all } else { Vec::new() }
    }

    fn mark(&mut self, root: Root) {
        if let Edge::Node { index, .. } = root {
            self.live[index] = true;
        }
    }

    /// The stored value behind an edge.
    pub fn root(&self, edge: Edge) -> Root {
        match resolve(edge, &self.same) {
            edge @ Edge::Node { index, .. } => self.bases[index].unwrap_or(edge),
            source => source,
        }
    }

    /// The stored values of a node.
    pub fn outputs(&self, index: usize) -> impl Iterator<Item = Root> + use<> {
        (0..self.schedule.nodes[index].outputs.len()).map(move |output| Edge::Node { index, output })
    }

    /// The stored value that a call's argument shows.
    pub fn argument(&self, node: usize, argument: usize) -> Root {
        self.root(self.schedule.edges[node][argument])
    }

    /// The layout through which an edge shows its root.
    pub fn layout(&self, edge: Edge) -> &Layout {
        self.schedule.layout(edge)
    }

    /// The layout of a stored value.
    pub fn stored(&self, root: Root) -> &Layout {
        self.layout(root)
    }

    /// The formula of a pointwise call.
    pub fn formula(&self, node: usize) -> Option<&'static Formula> {
        match self.schedule.nodes[node].op.class() {
            Class::Pointwise(formula) => Some(formula),
            _ => None,
        }
    }

    /// The formula of a call that reduces rows.
    pub fn row_formula(&self, node: usize) -> Option<&'static RowFormula> {
        match self.schedule.nodes[node].op.class() {
            Class::Rows { formula, .. } => Some(formula),
            _ => None,
        }
    }

    /// The first element of each argument in the result of a call that lays them side by side; empty for others.
    pub fn starts(&self, node: usize) -> &[usize] {
        match self.schedule.nodes[node].op.class() {
            Class::Pack { starts } => starts,
            _ => &[],
        }
    }

    /// True for a call that lays its arguments side by side.
    pub fn is_pack(&self, node: usize) -> bool {
        matches!(self.schedule.nodes[node].op.class(), Class::Pack { .. })
    }

    /// True for a pointwise call whose every element is the same number, because it is computed from few such numbers: its
    /// users compute it.
    pub fn is_constant(&self, node: usize) -> bool {
        !self.constants[node].is_empty()
    }

    /// The constant behind a root, if it is one.
    pub fn constant(&self, root: Root) -> Option<usize> {
        match root {
            Edge::Node { index, .. } if self.is_constant(index) => Some(index),
            _ => None,
        }
    }

    /// The calls that read a node's results, and which argument of theirs it is.
    pub fn consumers(&self, node: usize) -> &[(usize, usize)] {
        &self.consumers[node]
    }

    /// The calls after which a call must run though it reads nothing of theirs.
    pub fn waits(&self, node: usize) -> &[usize] {
        &self.waits[node]
    }

    /// The calls that must run after a call though they read nothing of its.
    pub fn waiting(&self, node: usize) -> &[usize] {
        &self.waiting[node]
    }

    /// True for a value that outlives the run.
    pub fn is_kept(&self, root: Root) -> bool {
        self.kept.contains(&root)
    }

    /// The values that outlive the run.
    pub fn kept(&self) -> &BTreeSet<Root> {
        &self.kept
    }

    /// True for a parameter's new value, as far as can be known.
    pub fn is_assigned(&self, root: Root) -> bool {
        self.assigned.contains(&root)
    }

    /// The live nodes that compute: no views, no repeated calls.
    pub fn calls(&self) -> impl Iterator<Item = usize> {
        (0..self.live.len()).filter(|&node| self.live[node])
    }
}
