//! What one flush computes, in order, and what of it is kept.

use crate::graph::node::{Node, Storage, Tensor};
use crate::graph::op::Class;
use std::collections::HashMap;
use std::sync::Arc;

/// The nodes of one flush. Leaves and values computed earlier come into it as `sources`.
pub(crate) struct Schedule {
    /// Nodes to compute, each after its inputs.
    pub nodes: Vec<Arc<Node>>,
    /// Edges of each node: indices into `nodes`, or past its end into `sources`.
    pub edges: Vec<Vec<Edge>>,
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

impl Schedule {
    /// Collects everything that the roots need and that is not computed yet.
    pub fn new(roots: Vec<Tensor>) -> Schedule {
        let mut schedule = Schedule::collect(roots);
        schedule.find_kept();
        schedule
    }

    /// Collects what one root needs, as a part of a schedule that goes on: nothing is kept yet, and nothing is
    /// overwritten.
    pub fn part(root: Tensor) -> Schedule {
        let mut schedule = Schedule::collect(vec![root]);
        schedule.dying = vec![false; schedule.sources.len()];
        schedule
    }

    fn collect(mut roots: Vec<Tensor>) -> Schedule {
        roots.retain(|root| !root.node.is_computed());
        let mut found: HashMap<u64, Arc<Node>> = HashMap::new();
        let mut stack: Vec<Arc<Node>> = roots.iter().map(|root| root.node.clone()).collect();
        drop(roots);
        while let Some(node) = stack.pop() {
            if found.contains_key(&node.id) {
                continue;
            }
            for input in &node.state.lock().inputs {
                if !input.node.is_computed() {
                    stack.push(input.node.clone());
                }
            }
            found.insert(node.id, node);
        }
        let mut nodes: Vec<Arc<Node>> = found.into_values().collect();
        // Ids count up as nodes are recorded, so this order puts every node after its inputs.
        nodes.sort_unstable_by_key(|node| node.id);

        let position: HashMap<u64, usize> = nodes.iter().enumerate().map(|(i, node)| (node.id, i)).collect();
        let mut sources: Vec<Tensor> = Vec::new();
        let mut source_at: HashMap<(u64, usize), usize> = HashMap::new();
        let mut edges = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let state = node.state.lock();
            let of_node = state.inputs.iter().map(|input| match position.get(&input.node.id) {
                Some(&index) => Edge::Node { index, output: input.output },
                None => Edge::Source(*source_at.entry((input.node.id, input.output)).or_insert_with(|| {
                    sources.push(input.clone());
                    sources.len() - 1
                })),
            });
            edges.push(of_node.collect());
        }
        Schedule {
            kept: vec![false; nodes.len()],
            dying: Vec::new(),
            retains: vec![false; nodes.len()],
            nodes,
            edges,
            sources,
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
        let same_node = |a: usize| self.sources.iter().filter(|s| Arc::ptr_eq(&s.node, &self.sources[a].node)).count();
        self.dying = (0..self.sources.len())
            .map(|i| {
                let source = &self.sources[i];
                let only_here = same_node(i) == 1 && Arc::strong_count(&source.node) == 1 + dropped_sources[i];
                only_here
                    && match &source.node.state.lock().storage {
                        Some(storage) => match &storage[source.output] {
                            Storage::Device(buffer) => buffer.is_unshared(),
                            _ => false,
                        },
                        None => false,
                    }
            })
            .collect();
    }

    /// The storage of a source.
    pub fn source_storage(&self, source: usize) -> Option<Storage> {
        let tensor = &self.sources[source];
        tensor.node.state.lock().storage.as_ref().map(|storage| storage[tensor.output].clone())
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
            let mut state = node.state.lock();
            if !retains {
                let inputs = std::mem::take(&mut state.inputs);
                drop(state);
                drop(inputs);
            }
        }
    }
}
