//! Parts of a schedule that run one after the other, and the values between them on the host.

use crate::device::Waiting;
use crate::error::{Error, Result};
use crate::graph::{Edge, Executor, Node, Schedule, Storage, Tensor};
use crate::host_tensor::HostTensor;
use crate::reference::Value;
use crate::shape::{Layout, Shape};
use std::collections::HashSet;
use std::sync::Arc;

/// A schedule on its way through an executor, part by part. Later parts start from the results of earlier ones.
pub(super) struct Parts<'a> {
    schedule: &'a Schedule,
    executor: &'a dyn Executor,
    /// For each node the nodes that read its storage, directly or through views; kept views too.
    readers: Vec<Vec<usize>>,
    /// Calls that have run.
    ran: Vec<bool>,
}

impl<'a> Parts<'a> {
    pub fn new(schedule: &'a Schedule, executor: &'a dyn Executor) -> Parts<'a> {
        let count = schedule.nodes.len();
        let mut readers = vec![Vec::new(); count];
        for node in (0..count).filter(|&node| !schedule.is_view(node) || schedule.kept[node]) {
            for &edge in &schedule.edges[node] {
                if let Edge::Node { index, .. } = stored(schedule, edge) {
                    readers[index].push(node);
                }
            }
        }
        Parts { schedule, executor, readers, ran: vec![false; count] }
    }

    /// The part that computes node `end` from values that exist: the call and those that were fused into it. It keeps all values
    /// that the rest of the schedule reads, except those that need no input, which cost nothing to repeat.
    pub fn of(&self, end: usize) -> Schedule {
        let node = &self.schedule.nodes[end];
        let mut part = Schedule::part(node.clone());
        let inside: HashSet<u64> = part.nodes.iter().map(|node| node.id).collect();
        let outside = |reader: &usize| !inside.contains(&self.schedule.nodes[*reader].id);
        for i in 0..part.nodes.len() {
            let at = self.position(&part.nodes[i]);
            let is_read = !part.is_view(i) && !part.edges[i].is_empty() && self.readers[at].iter().any(outside);
            part.kept[i] = at == end || self.schedule.kept[at] || is_read;
        }
        part
    }

    fn position(&self, node: &Node) -> usize {
        // A part has only nodes of the whole schedule; ids give their order.
        self.schedule.nodes.partition_point(|other| other.id < node.id)
    }

    /// Runs a part again, each call by itself, and passes each to `check`.
    pub fn each_call(&self, part: &Schedule, mut check: impl FnMut(&Schedule) -> Result<()>) -> Result<()> {
        for node in &part.nodes {
            node.forget();
        }
        for call in part.calls() {
            let single = self.of(self.position(&part.nodes[call]));
            self.executor.execute(&single)?;
            check(&single)?;
        }
        Ok(())
    }

    /// Drops the values that nothing reads any more after a part has run.
    pub fn done(&mut self, part: &Schedule) {
        for node in &part.nodes {
            let at = self.position(node);
            self.ran[at] = true;
        }
        let before = part.sources.iter().map(|source| &source.node);
        for node in part.nodes.iter().chain(before) {
            let at = self.position(node);
            let is_here = self.schedule.nodes.get(at).is_some_and(|other| other.id == node.id);
            if is_here && !self.schedule.kept[at] && self.readers[at].iter().all(|&reader| self.ran[reader]) {
                node.forget();
            }
        }
    }

    /// The values in a tensor's storage, as far as a layout reaches, and the layout.
    pub fn stored(&self, tensor: &Tensor, layout: &Layout) -> Result<Value> {
        let last: usize =
            layout.shape.iter().zip(layout.strides()).map(|(&n, &stride)| n.saturating_sub(1) * stride).sum();
        let count = if layout.shape.numel() == 0 { 0 } else { layout.offset + last + 1 };
        let storage = tensor.node.state.lock().storage.as_ref().map(|storage| storage[tensor.output].clone());
        let values = match storage {
            _ if count == 0 => Vec::new(),
            // The reference's values have digits that their bytes lack.
            Some(Storage::Host(values)) => values.values[..count].to_vec(),
            Some(storage) => {
                let bytes =
                    pollster::block_on(self.executor.read(&storage, count * layout.dtype.size(), Waiting::Here))?;
                layout.dtype.decode(&bytes)
            }
            None => return Err(Error::Internal { op: "debug", reason: "a value was not kept".to_string() }),
        };
        Ok((Arc::new(HostTensor::new(Shape::new(&[count])?, layout.dtype, values)), *layout))
    }

    /// The elements of a tensor's storage that a layout shows.
    pub fn view(&self, tensor: &Tensor, layout: &Layout) -> Result<HostTensor> {
        Ok(self.stored(tensor, layout)?.0.view(layout))
    }

    /// The values of a call's output.
    pub fn output(&self, node: &Arc<Node>, output: usize) -> Result<HostTensor> {
        self.view(&Tensor::of(node.clone(), output), &node.outputs[output])
    }
}

/// The value behind views.
pub(super) fn stored(schedule: &Schedule, mut edge: Edge) -> Edge {
    while let Edge::Node { index, .. } = edge {
        if !schedule.is_view(index) {
            break;
        }
        edge = schedule.edges[index][0];
    }
    edge
}

/// The layout through which an edge shows the value behind it.
pub(super) fn layout(schedule: &Schedule, edge: Edge) -> Layout {
    match edge {
        Edge::Node { index, output } => schedule.nodes[index].outputs[output],
        Edge::Source(source) => *schedule.sources[source].layout(),
    }
}

/// Coordinates of an element, outermost first.
pub(super) fn coordinates(shape: &Shape, mut element: usize) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (at, &size) in at.iter_mut().zip(shape.iter()).rev() {
        *at = element % size.max(1);
        element /= size.max(1);
    }
    at
}
