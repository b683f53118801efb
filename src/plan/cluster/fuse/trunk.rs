//! The longest chain of calls in a schedule, which answers most questions for a path between two calls at once.

use crate::graph::Edge;
use crate::plan::analysis::wiring::Wiring;

/// The longest chain of calls, each of which reads the one before or waits for it, and how the other calls lie to it: a call
/// that reaches one of the chain reaches all after that. Such is the loss between the forward and the backward pass.
#[derive(Default)]
pub(super) struct Trunk {
    calls: Vec<usize>,
    /// For each call the first of the chain that it reaches, itself where it is in the chain; `usize::MAX` for none.
    reaches: Vec<usize>,
    /// For each call the last of the chain that reaches it, likewise.
    reached_by: Vec<Option<usize>>,
}

impl Trunk {
    pub fn new(wiring: &Wiring) -> Trunk {
        let count = wiring.schedule.nodes.len();
        let producers = |call: usize| {
            let arguments = 0..wiring.schedule.edges[call].len();
            let read = arguments.filter_map(move |argument| match wiring.argument(call, argument) {
                Edge::Node { index, .. } => Some(index),
                Edge::Source(_) => None,
            });
            read.chain(wiring.waits(call).iter().copied())
        };
        let mut lengths = vec![0; count];
        for call in wiring.calls() {
            lengths[call] = 1 + producers(call).map(|producer| lengths[producer]).max().unwrap_or(0);
        }
        let mut calls = Vec::new();
        let mut next = (0..count).max_by_key(|&call| lengths[call]).filter(|&call| lengths[call] > 0);
        while let Some(call) = next {
            calls.push(call);
            next = producers(call).max_by_key(|&producer| lengths[producer]);
        }
        calls.reverse();
        let mut positions = vec![None; count];
        calls.iter().enumerate().for_each(|(at, &call)| positions[call] = Some(at));
        let mut reaches = vec![usize::MAX; count];
        for call in (0..count).rev() {
            let users = wiring.consumers(call).iter().map(|&(user, _)| user);
            let users = users.chain(wiring.waiting(call).iter().copied()).map(|user| reaches[user]).min();
            reaches[call] = positions[call].or(users).unwrap_or(usize::MAX);
        }
        let mut reached_by = vec![None; count];
        for call in wiring.calls() {
            reached_by[call] = positions[call].or_else(|| producers(call).filter_map(|from| reached_by[from]).max());
        }
        Trunk { calls, reaches, reached_by }
    }

    /// True if a path leads from one of some calls to one of others along the chain, over a call of the chain that
    /// `is_other`. Other paths may exist.
    pub fn leads(
        &self,
        from: impl Iterator<Item = usize>,
        to: impl Iterator<Item = usize>,
        is_other: impl Fn(usize) -> bool,
    ) -> bool {
        let first = from.map(|call| self.reaches[call]).min();
        let last = to.filter_map(|call| self.reached_by[call]).max();
        let (Some(first), Some(last)) = (first, last) else { return false };
        self.calls.get(first..=last).is_some_and(|along| along.iter().any(|&call| is_other(call)))
    }
}
