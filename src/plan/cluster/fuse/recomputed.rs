//! Finds calls that each of their users computes again instead of reading their results: arithmetic on at most one value
//! of its size, which would be loaded in place of the result.

use crate::graph::Edge;
use crate::plan::analysis::wiring::{Root, Wiring};
use crate::plan::cluster::cost::distinct_bytes;
use std::collections::BTreeMap;

/// Calls that are computed again by each of their users, together; longer chains are stored.
const MOST_RECOMPUTED: usize = 6;

/// Stored values that such a chain reads.
const MOST_READ: usize = 4;

/// The calls that computing one again takes, itself among them.
struct Chain {
    calls: usize,
    /// The stored values that they read, and the bytes that they read of each.
    read: BTreeMap<Root, usize>,
}

/// For each call, whether its users compute it again.
pub(super) fn recomputed(wiring: &Wiring) -> Vec<bool> {
    let mut chains: Vec<Option<Chain>> = Vec::new();
    chains.resize_with(wiring.schedule.nodes.len(), || None);
    for node in wiring.calls().filter(|&node| is_cheap(wiring, node) && by_users(wiring, node)) {
        let chain = Chain::new(wiring, node, &chains);
        let bytes = wiring.schedule.nodes[node].outputs[0].bytes();
        let large = chain.read.values().filter(|&&read| 2 * read > bytes).count();
        let is_short = chain.calls <= MOST_RECOMPUTED && chain.read.len() <= MOST_READ && large <= 1;
        if is_short && pays(wiring, node, &chain, &chains) {
            chains[node] = Some(chain);
        }
    }
    chains.iter().map(Option::is_some).collect()
}

/// True for plain arithmetic whose result nobody keeps.
fn is_cheap(wiring: &Wiring, node: usize) -> bool {
    let is_kept = wiring.is_kept(Edge::Node { index: node, output: 0 });
    let is_plain = wiring.formula(node).is_some_and(|formula| formula.is_cheap() && formula.is_scalar());
    is_plain && !is_kept && !wiring.is_constant(node)
}

/// True if all users of a call read its elements in order, so that they can compute them.
fn by_users(wiring: &Wiring, node: usize) -> bool {
    let nodes = &wiring.schedule.nodes;
    let numel = nodes[node].outputs[0].shape.numel();
    wiring.consumers(node).iter().all(|&(user, argument)| {
        let layout = wiring.layout(wiring.schedule.edges[user][argument]);
        let takes = wiring.row_formula(user).is_some()
            || wiring.formula(user).is_some() && nodes[user].outputs[0].shape.numel() == numel;
        takes && layout.is_contiguous() && layout.offset == 0 && layout.shape.numel() == numel
    })
}

/// True if the result of a call would be read more than once, or all that it is computed from is in memory anyway. The one
/// user of a value, such as a cast, leaves it there if its own users compute it.
fn pays(wiring: &Wiring, node: usize, chain: &Chain, chains: &[Option<Chain>]) -> bool {
    let has_users = |call: usize| wiring.consumers(call).len() > 1;
    let leaves_it = |&(user, _): &(usize, usize)| chains[user].is_some() && has_users(user);
    let is_there = |root: &Root| match *root {
        Edge::Node { index, .. } => {
            wiring.is_kept(*root) || has_users(index) || wiring.consumers(index).iter().any(leaves_it)
        }
        Edge::Source(_) => true,
    };
    has_users(node) || chain.read.keys().all(is_there)
}

impl Chain {
    fn new(wiring: &Wiring, node: usize, chains: &[Option<Chain>]) -> Chain {
        let mut chain = Chain { calls: 1, read: BTreeMap::new() };
        for &edge in &wiring.schedule.edges[node] {
            let root = wiring.root(edge);
            match root.node().and_then(|index| chains[index].as_ref()) {
                Some(before) => {
                    chain.read.extend(&before.read);
                    chain.calls += before.calls;
                }
                None if wiring.constant(root).is_some() => {}
                None => _ = chain.read.insert(root, distinct_bytes(wiring.layout(edge))),
            }
        }
        chain
    }
}
