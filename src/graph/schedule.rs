//! The nodes that one flush computes, in order, and those of them that are kept.

use crate::graph::list::Few;
use crate::graph::node::{Node, Storage, Tensor};
use crate::graph::op::Class;
use crate::shape::Layout;
use std::ops::Index;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Bytes of a small value: small values that are kept for gradients alone lie side by side with others.
pub(crate) const MOST_SMALL: usize = 1 << 14;

/// The nodes of one flush. Leaves and values computed earlier come into it as `sources`.
///
/// A cleared schedule keeps its memory, for the next flush.
#[derive(Default)]
pub(crate) struct Schedule {
    /// Nodes to compute, each after its inputs.
    pub nodes: Vec<Arc<Node>>,
    /// Edges of each node: indices into `nodes` or into `sources`.
    pub edges: Edges,
    /// Values that exist already.
    pub sources: Vec<Tensor>,
    /// True if the node's outputs are wanted outside this flush.
    pub kept: Vec<bool>,
    /// True if the node is kept for gradients alone: there is no handle to it.
    remembered: Vec<bool>,
    /// True if nothing holds a source once this flush is done, so that its buffer may be overwritten.
    pub dying: Vec<bool>,
    /// True if these are a part of a recording that grew long.
    pub is_cut: bool,
    /// True if the node keeps its edges, for a gradient that is still to be taken.
    retains: Vec<bool>,
    /// For each node the number of edges to it, and for each node and each source the number of those that this flush drops.
    referred: Vec<usize>,
    dropped: Vec<usize>,
    dropped_sources: Vec<usize>,
}

/// The origin of a node's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Edge {
    /// Output of a node of the schedule.
    Node { index: usize, output: usize },
    /// A value that exists already.
    Source(usize),
}

impl Edge {
    /// The node that computes it in this schedule.
    pub fn node(self) -> Option<usize> {
        match self {
            Edge::Node { index, .. } => Some(index),
            Edge::Source(_) => None,
        }
    }
}

/// The edges of every node, in one piece.
#[derive(Default)]
pub(crate) struct Edges {
    all: Vec<Edge>,
    /// The end of each node's edges.
    ends: Vec<usize>,
}

impl Edges {
    /// Every edge, in the order of the nodes.
    pub fn all(&self) -> &[Edge] {
        &self.all
    }

    fn clear(&mut self) {
        self.all.clear();
        self.ends.clear();
    }
}

impl Index<usize> for Edges {
    type Output = [Edge];
    fn index(&self, node: usize) -> &[Edge] {
        let start = if node == 0 { 0 } else { self.ends[node - 1] };
        &self.all[start..self.ends[node]]
    }
}

/// A node's index in the last schedule, among the nodes or among the sources.
#[derive(Default)]
pub(crate) struct Mark {
    schedule: AtomicU64,
    index: AtomicUsize,
}

/// Only the holder of a device's `Marker` makes schedules of its nodes, and so may mark them. It keeps the memory of the device's
/// last schedule.
#[derive(Default)]
pub(crate) struct Marker {
    pub schedule: Schedule,
    /// Memory for what is recorded while the next schedule is made.
    pub recorded: Vec<Weak<Node>>,
    pub effects: Vec<Weak<Node>>,
}

/// Identifies a schedule, so that marks of an earlier one don't count.
static NEXT_SCHEDULE: AtomicU64 = AtomicU64::new(1);

/// The index of a source that has none yet, and the bit that tells sources from nodes.
const UNPLACED: usize = usize::MAX;
const SOURCE: usize = 1 << (usize::BITS - 1);

impl Mark {
    fn is_of(&self, schedule: u64) -> bool {
        self.schedule.load(Ordering::Relaxed) == schedule
    }
    fn set(&self, schedule: u64, index: usize) {
        self.schedule.store(schedule, Ordering::Relaxed);
        self.index.store(index, Ordering::Relaxed);
    }
    fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed)
    }
}

impl Schedule {
    /// Everything that the roots need and that is not computed yet.
    pub fn new(roots: impl IntoIterator<Item = Arc<Node>>, marker: &mut Marker) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.fill(roots, marker);
        schedule
    }

    /// The calls that one root needs, as a part of a schedule under way: nothing is kept yet, and nothing is overwritten. A view
    /// needs its first input, and not those that only its gradient reads. For executors during a run, while the device's marker
    /// is held.
    pub fn part(root: Arc<Node>) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.collect([root], |node| match node.op.class() {
            Class::View => 1,
            _ => usize::MAX,
        });
        schedule.kept = vec![false; schedule.nodes.len()];
        schedule.dying = vec![false; schedule.sources.len()];
        schedule
    }

    /// Collects everything that the roots need and that is not computed yet into an empty schedule. Values that would be kept for
    /// gradients alone and take little work are not kept: the gradient computes them again, so that a pass takes no more memory
    /// if it is cut off from its gradient.
    pub fn fill(&mut self, roots: impl IntoIterator<Item = Arc<Node>>, _: &mut Marker) {
        self.collect(roots, |_| usize::MAX);
        self.find_kept();
        self.find_dying();
    }

    /// Collects everything that the roots need and that is not computed yet: a node needs the first `needed` of its inputs.
    fn collect(&mut self, roots: impl IntoIterator<Item = Arc<Node>>, needed: impl Fn(&Node) -> usize) {
        let mut number = next_number();
        for root in roots {
            if !root.mark.is_of(number) && !root.is_computed() {
                root.mark.set(number, self.nodes.len());
                self.nodes.push(root);
            }
        }
        // If everything recorded is computed, the list is complete and in order from the start.
        while !(self.nodes.is_sorted_by_key(|node| node.id) && self.connect(number, &needed)) {
            // Ids count up as nodes are recorded, so this order puts every node after its inputs.
            self.nodes.sort_unstable_by_key(|node| node.id);
            number = next_number();
            for (index, node) in self.nodes.iter().enumerate() {
                node.mark.set(number, index);
            }
        }
    }

    /// Fills in edges and sources; false if nodes were missing, which have been added.
    fn connect(&mut self, number: u64, needed: impl Fn(&Node) -> usize) -> bool {
        self.edges.clear();
        self.sources.clear();
        self.retains.clear();
        let count = self.nodes.len();
        let mut missing = Vec::new();
        let mut next = 0;
        while next < self.nodes.len() {
            let node = &self.nodes[next];
            let state = node.state.lock();
            for input in state.inputs.iter().take(needed(node)) {
                let Tensor { node, output, .. } = input;
                let is_source = if node.mark.is_of(number) {
                    node.mark.index() & SOURCE != 0
                } else if node.is_computed() {
                    node.mark.set(number, UNPLACED);
                    true
                } else {
                    node.mark.set(number, 0);
                    missing.push(node.clone());
                    false
                };
                self.edges.all.push(if is_source {
                    Edge::Source(place_source(&mut self.sources, input))
                } else {
                    Edge::Node { index: node.mark.index(), output: *output }
                });
            }
            self.edges.ends.push(self.edges.all.len());
            self.retains.push(node.is_tracked() && !state.released);
            drop(state);
            self.nodes.append(&mut missing);
            next += 1;
        }
        self.nodes.len() == count
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A value is kept if anything refers to it besides this schedule and edges that this flush drops.
    fn find_kept(&mut self) {
        refill(&mut self.kept, self.nodes.len());
        refill(&mut self.remembered, self.nodes.len());
        refill(&mut self.referred, self.nodes.len());
        refill(&mut self.dropped, self.nodes.len());
        refill(&mut self.dropped_sources, self.sources.len());
        let flags = self.kept.iter_mut().zip(&mut self.retains);
        for (i, (node, (kept, retains))) in self.nodes.iter().zip(flags).enumerate().rev() {
            // One reference is the schedule's own.
            let count = Arc::strong_count(node);
            *kept = count > 1 + self.dropped[i];
            self.remembered[i] = *kept && count == 1 + self.referred[i];
            let is_left = self.remembered[i] && is_cheap(node);
            *kept &= !is_left;
            *retains = is_left || *retains && *kept;
            for (input, edge) in self.edges[i].iter().enumerate() {
                // The gradient of a checkpointed result walks all inputs but the result itself.
                let drops = usize::from(!*retains || input == 0 && node.checkpoint().is_some());
                match *edge {
                    Edge::Node { index, .. } => {
                        self.referred[index] += 1;
                        self.dropped[index] += drops;
                    }
                    Edge::Source(source) => self.dropped_sources[source] += drops,
                }
            }
        }
    }

    fn find_dying(&mut self) {
        // Other outputs of a source's node would be other sources that hold the node.
        let is_alone = |source: &Tensor| {
            source.node.outputs.len() == 1
                || self.sources.iter().filter(|other| Arc::ptr_eq(&other.node, &source.node)).count() == 1
        };
        let is_dying = |(source, dropped): (&Tensor, &usize)| {
            Arc::strong_count(&source.node) == 1 + dropped
                && is_alone(source)
                && source.node.state.lock().storage.as_ref().is_some_and(|storage| match &storage[source.output] {
                    Storage::Device(buffer) => buffer.is_unshared(),
                    _ => false,
                })
        };
        self.dying.clear();
        self.dying.extend(self.sources.iter().zip(&self.dropped_sources).map(is_dying));
    }

    /// The storage of a source.
    pub fn source_storage(&self, source: usize) -> Option<Storage> {
        self.with_source(source, |storage| storage.cloned())
    }

    /// Passes the storage of a source to `look`.
    pub fn with_source<T>(&self, source: usize, look: impl FnOnce(Option<&Storage>) -> T) -> T {
        let tensor = &self.sources[source];
        look(tensor.node.state.lock().storage.as_ref().map(|storage| &storage[tensor.output]))
    }

    /// The layout in which an edge shows its value.
    pub fn layout(&self, edge: Edge) -> &Layout {
        match edge {
            Edge::Node { index, output } => &self.nodes[index].outputs[output],
            Edge::Source(source) => self.sources[source].layout(),
        }
    }

    /// True if a node only shows another one's storage.
    pub fn is_view(&self, index: usize) -> bool {
        matches!(self.nodes[index].op.class(), Class::View)
    }

    /// True if a node is kept for gradients alone.
    pub fn is_remembered(&self, index: usize) -> bool {
        self.remembered.get(index).copied().unwrap_or(false)
    }

    /// Nodes that compute something.
    pub fn calls(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| !self.is_view(index)).collect()
    }

    /// Releases everything once it is computed, and drops the edges that no gradient will walk.
    pub fn finish(&mut self) {
        // From the last on: most nodes are held only by those after them, and go with their edges.
        while let Some(node) = self.nodes.pop() {
            let index = self.nodes.len();
            if self.kept[index] {
                let mut state = node.state.lock();
                let retained = match (self.retains[index], node.checkpoint()) {
                    (false, _) => Few::None,
                    (true, None) => continue,
                    (true, Some(_)) => Few::of(&state.inputs[1..], Tensor::clone),
                };
                let inputs = std::mem::replace(&mut state.inputs, retained);
                drop(state);
                drop(inputs);
            }
        }
        self.clear();
    }

    /// Releases everything.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.sources.clear();
    }
}

/// True if computing a node's value again costs less than keeping it: a small one costs a launch.
fn is_cheap(node: &Node) -> bool {
    let is_small = node.outputs.iter().all(|output| output.bytes() <= MOST_SMALL);
    match node.op.class() {
        // A checkpoint that is not kept would keep the history that it exists to release.
        Class::View => node.checkpoint().is_none(),
        Class::Pointwise(_) => !is_small,
        _ => node.op.is_copy() && !is_small,
    }
}

/// Fills a list with `count` defaults, in the memory that it has.
fn refill<T: Clone + Default>(list: &mut Vec<T>, count: usize) {
    list.clear();
    list.resize(count, T::default());
}

fn next_number() -> u64 {
    NEXT_SCHEDULE.fetch_add(1, Ordering::Relaxed)
}

/// The index of a source, which is appended if it is new.
fn place_source(sources: &mut Vec<Tensor>, input: &Tensor) -> usize {
    let first = input.node.mark.index();
    if first != UNPLACED {
        // Another output of the same node is another source.
        let first = first & !SOURCE;
        let is_same = |other: &Tensor| other.output == input.output && Arc::ptr_eq(&other.node, &input.node);
        if let Some(further) = sources[first..].iter().position(is_same) {
            return first + further;
        }
    } else {
        input.node.mark.index.store(SOURCE | sources.len(), Ordering::Relaxed);
    }
    sources.push(input.clone());
    sources.len() - 1
}
