//! Common subexpressions: two calls with equal structure and equal inputs are one.

use crate::graph::{Edge, Schedule};
use crate::plan::analysis::key;
use std::collections::HashMap;

/// For each node the first node that computes the same; itself where there is none.
///
/// Calls with scalars stand for themselves: the numbers may differ in the next run of the same plan.
pub(in crate::plan) fn representatives(schedule: &Schedule) -> Vec<usize> {
    let mut first: HashMap<(Vec<u8>, Vec<Edge>), usize> = HashMap::new();
    let mut same: Vec<usize> = Vec::with_capacity(schedule.nodes.len());
    for (i, node) in schedule.nodes.iter().enumerate() {
        if !node.op.scalars().is_empty() {
            same.push(i);
            continue;
        }
        let edges: Vec<Edge> = schedule.edges[i].iter().map(|&edge| resolve(edge, &same)).collect();
        let key = if schedule.is_view(i) {
            let base = schedule.edges[i].first().map(|&edge| schedule.layout(edge));
            base.and_then(|base| key::view(base, &node.outputs[0]))
        } else {
            Some(key::operation(&*node.op))
        };
        same.push(key.map_or(i, |key| *first.entry((key, edges)).or_insert(i)));
    }
    same
}

/// An edge redirected to the representative of its node.
pub(in crate::plan) fn resolve(edge: Edge, same: &[usize]) -> Edge {
    match edge {
        Edge::Node { index, output } => Edge::Node { index: same[index], output },
        source => source,
    }
}
