//! What one flush computes, in order, and what of it is kept.

use crate::graph::node::{Node, Storage, Tensor};
use crate::graph::op::Class;
use crate::shape::Layout;
use std::ops::Index;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The nodes of one flush. Leaves and values computed earlier come into it as `sources`.
pub(crate) struct Schedule {
    /// Nodes to compute, each after its inputs.
    pub nodes: Vec<Arc<Node>>,
    /// Edges of each node: indices into `nodes` or into `sources`.
    pub edges: Edges,
    /// Values that exist already.
    pub sources: Vec<Tensor>,
    /// Whether somebody outside this flush will want the node's outputs.
    pub kept: Vec<bool>,
    /// Whether a source is held by nobody once this flush is done, so that its buffer may be overwritten.
    pub dying: Vec<bool>,
    /// Whether the node keeps its edges, for a gradient that is still to be taken.
    retains: Vec<bool>,
}

/// Where an input of a node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Edge {
    /// Output of a node of the schedule.
    Node { index: usize, output: usize },
    /// A value that exists already.
    Source(usize),
}

/// The edges of every node, in one piece.
#[derive(Default)]
pub(crate) struct Edges {
    all: Vec<Edge>,
    /// Where each node's edges end.
    ends: Vec<usize>,
}

impl Edges {
    /// Every edge, in the order of the nodes.
    pub fn all(&self) -> &[Edge] {
        &self.all
    }
}

impl Index<usize> for Edges {
    type Output = [Edge];
    fn index(&self, node: usize) -> &[Edge] {
        let start = if node == 0 { 0 } else { self.ends[node - 1] };
        &self.all[start..self.ends[node]]
    }
}

/// A node's place in the schedule that was made last: its index among the nodes or among the sources.
#[derive(Default)]
pub(crate) struct Mark {
    schedule: AtomicU64,
    index: AtomicUsize,
}

/// Whoever holds a device's is the only one who makes schedules of its nodes, and so may mark them.
#[derive(Default)]
pub(crate) struct Marker;

/// Tells schedules apart, so that marks of an earlier one don't count.
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
    /// Collects everything that the roots need and that is not computed yet.
    pub fn new(roots: Vec<Tensor>, marker: &mut Marker) -> Schedule {
        let mut schedule = Schedule::collect(roots, marker);
        schedule.find_kept();
        schedule
    }

    /// Collects what one root needs, as a part of a schedule that goes on: nothing is kept yet, and nothing is
    /// overwritten. For executors in the course of a run, while the device's marker is held.
    pub fn part(root: Tensor) -> Schedule {
        let mut schedule = Schedule::collect(vec![root], &mut Marker);
        schedule.dying = vec![false; schedule.sources.len()];
        schedule
    }

    fn collect(roots: Vec<Tensor>, _: &mut Marker) -> Schedule {
        let number = NEXT_SCHEDULE.fetch_add(1, Ordering::Relaxed);
        let nodes = uncomputed(roots, number);
        let mut schedule = Schedule {
            kept: vec![false; nodes.len()],
            dying: Vec::new(),
            retains: vec![false; nodes.len()],
            edges: Edges { all: Vec::with_capacity(2 * nodes.len()), ends: Vec::with_capacity(nodes.len()) },
            nodes,
            sources: Vec::new(),
        };
        schedule.connect(number);
        schedule
    }

    /// Fills in edges and sources.
    fn connect(&mut self, number: u64) {
        for (index, node) in self.nodes.iter().enumerate() {
            node.mark.set(number, index);
        }
        for node in &self.nodes {
            for input in &node.state.lock().inputs {
                let output = input.output;
                let edge = match input.node.mark.index() {
                    index if index & SOURCE == 0 => Edge::Node { index, output },
                    _ => Edge::Source(place_source(&mut self.sources, input)),
                };
                self.edges.all.push(edge);
            }
            self.edges.ends.push(self.edges.all.len());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A value is kept if anything refers to it besides this schedule and edges that this flush drops.
    fn find_kept(&mut self) {
        let mut dropped = vec![0; self.nodes.len()];
        let mut dropped_sources = vec![0; self.sources.len()];
        for i in (0..self.nodes.len()).rev() {
            let node = &self.nodes[i];
            // One reference is the schedule's own.
            self.kept[i] = Arc::strong_count(node) > 1 + dropped[i];
            self.retains[i] = self.kept[i] && node.is_tracked() && !node.state.lock().released;
            if !self.retains[i] {
                for edge in &self.edges[i] {
                    match *edge {
                        Edge::Node { index, .. } => dropped[index] += 1,
                        Edge::Source(source) => dropped_sources[source] += 1,
                    }
                }
            }
        }
        // Other outputs of a source's node would be other sources that hold the node.
        let is_alone = |source: &Tensor| {
            source.node.outputs.len() == 1
                || self.sources.iter().filter(|other| Arc::ptr_eq(&other.node, &source.node)).count() == 1
        };
        let is_dying = |(source, dropped): (&Tensor, usize)| {
            Arc::strong_count(&source.node) == 1 + dropped
                && is_alone(source)
                && source.node.state.lock().storage.as_ref().is_some_and(|storage| match &storage[source.output] {
                    Storage::Device(buffer) => buffer.is_unshared(),
                    _ => false,
                })
        };
        self.dying = self.sources.iter().zip(dropped_sources).map(is_dying).collect();
    }

    /// The storage of a source.
    pub fn source_storage(&self, source: usize) -> Option<Storage> {
        self.with_source(source, |storage| storage.cloned())
    }

    /// Looks at the storage of a source.
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

    /// Whether a node only shows another one's storage.
    pub fn is_view(&self, index: usize) -> bool {
        matches!(self.nodes[index].op.class(), Class::View)
    }

    /// Nodes that compute something.
    pub fn calls(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| !self.is_view(index)).collect()
    }

    /// Drops the edges that no gradient will walk.
    pub fn finish(self) {
        for (node, retains) in self.nodes.iter().zip(&self.retains) {
            if !retains {
                let inputs = std::mem::take(&mut node.state.lock().inputs);
                drop(inputs);
            }
        }
    }
}

/// The nodes to compute for the roots, each after its inputs; they and the computed ones that they need are marked.
fn uncomputed(roots: Vec<Tensor>, schedule: u64) -> Vec<Arc<Node>> {
    let mut nodes: Vec<Arc<Node>> = Vec::with_capacity(roots.len());
    for root in roots {
        if !root.node.mark.is_of(schedule) && !root.node.is_computed() {
            root.node.mark.set(schedule, 0);
            nodes.push(root.node);
        }
    }
    // The list grows while it is walked. Where everything recorded is computed, it is whole from the start.
    let mut found = Vec::new();
    let mut next = 0;
    while next < nodes.len() {
        for input in &nodes[next].state.lock().inputs {
            if input.node.mark.is_of(schedule) {
                continue;
            }
            if input.node.is_computed() {
                input.node.mark.set(schedule, UNPLACED);
            } else {
                input.node.mark.set(schedule, 0);
                found.push(input.node.clone());
            }
        }
        nodes.append(&mut found);
        next += 1;
    }
    // Ids count up as nodes are recorded, so this order puts every node after its inputs.
    nodes.sort_unstable_by_key(|node| node.id);
    nodes
}

/// The index of a source, which is appended where it is new.
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
