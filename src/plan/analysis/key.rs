//! The structure of a graph: equal structure, equal plan.

use crate::graph::{Edge, Fingerprint, Fingerprinter, Op, Schedule, write_operation};
use crate::shape::Layout;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Collects the hashed bytes instead of hashing them, so that structures are compared whole.
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
pub(in crate::plan) fn operation(op: &dyn Op) -> Vec<u8> {
    let mut bytes = Bytes::default();
    write_operation(op, &mut bytes);
    bytes.0
}

/// The layout of a view that shows all of a value in some order. Other views begin at an offset that is data and may differ
/// in the next run.
pub(in crate::plan) fn view(base: &Layout, output: &Layout) -> Option<Vec<u8>> {
    let steps = output.shape.iter().zip(output.strides()).filter(|&(&size, &stride)| size != 1 && stride != 0);
    let mut steps: Vec<(usize, usize)> = steps.map(|(&size, &stride)| (stride, size)).collect();
    steps.sort_unstable();
    let mut covered = 1;
    for (stride, size) in steps {
        if stride != covered {
            return None;
        }
        covered *= size;
    }
    let mut bytes = Bytes::default();
    output.hash(&mut bytes);
    (covered == base.shape.numel() && base.is_contiguous()).then_some(bytes.0)
}

/// A fingerprint shared by schedules that differ only in sizes.
pub(in crate::plan) fn family(schedule: &Schedule) -> u64 {
    let mut state = DefaultHasher::new();
    for (i, node) in schedule.nodes.iter().enumerate() {
        (node.op.name(), &schedule.edges[i]).hash(&mut state);
    }
    state.finish()
}

/// The key of a schedule in the plan cache. Each call's part of it was computed when the call was recorded.
pub(in crate::plan) fn fingerprint(schedule: &Schedule) -> Fingerprint {
    let mut state = Fingerprinter::new();
    write_context(schedule, &mut state);
    for (i, node) in schedule.nodes.iter().enumerate() {
        state.write_fingerprint(node.structure);
        let edges = &schedule.edges[i];
        let flags = [schedule.kept[i], node.is_assigned(), schedule.is_remembered(i)];
        let uses = flags.into_iter().fold(0, |uses, flag| uses << 1 | usize::from(flag));
        state.write_usize(edges.len() << flags.len() | uses);
        for edge in edges {
            state.write_usize(match *edge {
                Edge::Node { index, output } => index << 17 | output << 1,
                Edge::Source(source) => source << 1 | 1,
            });
        }
    }
    state.fingerprint()
}

/// The structure behind a fingerprint, byte by byte, in the memory of an earlier one.
pub(in crate::plan) fn structure(schedule: &Schedule, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    let mut state = Bytes(bytes);
    write_context(schedule, &mut state);
    for (i, node) in schedule.nodes.iter().enumerate() {
        write_operation(&*node.op, &mut state);
        node.outputs.iter().for_each(|output| output.write_structure(&mut state));
        schedule.edges[i].hash(&mut state);
        (schedule.kept[i], node.is_assigned(), schedule.is_remembered(i)).hash(&mut state);
    }
    state.0
}

fn write_context(schedule: &Schedule, state: &mut impl Hasher) {
    state.write_u8(u8::from(schedule.is_cut));
    for (i, source) in schedule.sources.iter().enumerate() {
        source.layout().write_structure(state);
        state.write_u8(u8::from(schedule.dying[i]));
    }
}
