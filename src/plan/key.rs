//! The structure of a graph as bytes: equal bytes, equal plan.

use crate::graph::{Op, Schedule, Storage};
use crate::shape::Layout;
use std::hash::{Hash, Hasher};

/// Collects what is hashed instead of hashing it, so that two graphs are compared whole and never collide.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

/// Everything of a call that its kernel depends on; not its scalars, which are data.
pub(super) fn operation(op: &dyn Op) -> Vec<u8> {
    let mut bytes = Bytes::default();
    write_operation(op, &mut bytes);
    bytes.0
}

/// All that a view is, besides what it shows: its layout, whole.
pub(super) fn view(outputs: &[Layout]) -> Vec<u8> {
    let mut bytes = Bytes::default();
    outputs.hash(&mut bytes);
    bytes.0
}

fn write_operation(op: &dyn Op, bytes: &mut Bytes) {
    op.kind().hash(bytes);
    op.name().hash(bytes);
    op.structure(bytes);
    op.scalars().len().hash(bytes);
}

/// Offsets are data too, except for how they are aligned.
fn write_layout(layout: &Layout, bytes: &mut Bytes) {
    layout.shape.hash(bytes);
    layout.strides().hash(bytes);
    layout.dtype.hash(bytes);
    (layout.offset % 4).hash(bytes);
}

/// The key of a schedule in the plan cache.
pub(super) fn structure(schedule: &Schedule) -> Vec<u8> {
    let mut bytes = Bytes(Vec::with_capacity(128 * schedule.nodes.len()));
    for (i, source) in schedule.sources.iter().enumerate() {
        write_layout(source.layout(), &mut bytes);
        schedule.dying[i].hash(&mut bytes);
        matches!(schedule.source_storage(i), Some(Storage::Pending(_))).hash(&mut bytes);
    }
    for (i, node) in schedule.nodes.iter().enumerate() {
        write_operation(&*node.op, &mut bytes);
        schedule.edges[i].hash(&mut bytes);
        schedule.kept[i].hash(&mut bytes);
        for output in &node.outputs {
            write_layout(output, &mut bytes);
        }
    }
    bytes.0
}
