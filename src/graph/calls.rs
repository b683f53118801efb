//! The recorded calls by which a value follows from another, so that they can be repeated on other values.

use crate::error::Result;
use crate::graph::node::{Node, Tensor, record_again};
use crate::graph::op::Op;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A recorded call that depends on a value.
pub(crate) struct Call {
    node: Arc<Node>,
    /// Its inputs, each with true where it depends on the value.
    pub inputs: Vec<(Tensor, bool)>,
}

impl Call {
    /// The operation.
    pub fn op(&self) -> &dyn Op {
        &*self.node.op
    }

    /// The key by which readers know an output.
    pub fn key(&self, output: usize) -> (u64, usize) {
        (self.node.id, output)
    }

    /// Records the call once more, on other inputs.
    pub fn repeat(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let node = record_again(&self.node.device, self.node.op.clone(), inputs, self.node.custom)?;
        Ok((0..self.node.outputs.len()).map(|output| Tensor::of(node.clone(), output)).collect())
    }
}

impl Tensor {
    /// The key by which calls know this value.
    pub(crate) fn key(&self) -> (u64, usize) {
        (self.node.id, self.output)
    }

    /// The calls by which this value follows from `from`, each after those that it reads. The list is complete as long as none of
    /// them has been computed, as in a [trace](crate::graph::tracing).
    pub(crate) fn calls_since(&self, from: &Tensor) -> Vec<Call> {
        let mut nodes: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
        let mut open = vec![self.node.clone()];
        // A node's inputs are older than it is.
        while let Some(node) = open.pop() {
            if node.id > from.node.id && !nodes.contains_key(&node.id) {
                open.extend(node.state.lock().inputs.iter().map(|input| input.node.clone()));
                nodes.insert(node.id, node);
            }
        }
        let mut depending = HashSet::from([from.node.id]);
        let mut calls = Vec::new();
        for (id, node) in nodes {
            let of = |input: &Tensor| (input.edge(), depending.contains(&input.node.id));
            let inputs: Vec<(Tensor, bool)> = node.state.lock().inputs.iter().map(of).collect();
            if inputs.iter().any(|(_, depends)| *depends) {
                depending.insert(id);
                calls.push(Call { node, inputs });
            }
        }
        calls
    }
}
