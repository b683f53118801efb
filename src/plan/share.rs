//! Which values share a buffer: by when they are in memory.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::iter;

/// When something is in a slot.
#[derive(Clone)]
pub(super) struct Span {
    pub bytes: usize,
    /// The first unit that writes it, and the last that reads it; `None` where it outlives the run.
    pub first: usize,
    pub last: Option<usize>,
}

impl Span {
    fn meets(&self, other: &Span) -> bool {
        let ends_before = |a: &Span, b: &Span| a.last.is_some_and(|last| last < b.first);
        !ends_before(self, other) && !ends_before(other, self)
    }
}

/// Values of at least so many bytes may lie side by side in one buffer.
const LEAST_PART: usize = 1 << 20;

/// Parts of a buffer begin at multiples of this, the strictest alignment that WebGPU lets an adapter ask for.
pub(super) const PART_ALIGNMENT: usize = 256;

/// Where slots lie.
#[derive(Default)]
pub(super) struct Shared {
    /// For each slot the number of its buffer, and its first byte there.
    pub places: Vec<(usize, usize)>,
    /// Bytes of the buffers.
    pub buffers: Vec<usize>,
}

/// Which slots share a buffer, one after the other or, where they are large, side by side: whichever of a few greedy ways
/// takes least.
pub(super) fn share(spans: &[Span], apart: &HashSet<(usize, usize)>, in_parts: bool) -> Shared {
    let mut forwards: Vec<usize> = (0..spans.len()).collect();
    let mut backwards = forwards.clone();
    forwards.sort_by_key(|&slot| (Reverse(spans[slot].bytes), slot));
    backwards.sort_by_key(|&slot| (Reverse(spans[slot].bytes), Reverse(slot)));
    let ways = [(&forwards, true), (&forwards, false), (&backwards, true), (&backwards, false)];
    let ways = if in_parts { &ways[..] } else { &ways[..1] };
    let tried = ways.iter().map(|&(order, smallest)| share_in(order, smallest, spans, apart, in_parts));
    tried.min_by_key(|shared| shared.buffers.iter().sum::<usize>()).unwrap_or_default()
}

/// Gives slots their buffers in an order in which sizes fall, so that whatever joins a buffer fits. Each takes the
/// `smallest`, or else the largest, with a place that is free while it is needed, and what outlives the run none that is
/// much too large. No kernel may write one part of a buffer and read another, since wgpu tracks whole buffers: such pairs
/// of slots are `apart`.
fn share_in(
    order: &[usize],
    smallest: bool,
    spans: &[Span],
    apart: &HashSet<(usize, usize)>,
    in_parts: bool,
) -> Shared {
    let mut places = vec![(0, 0); spans.len()];
    let mut buffers: Vec<(usize, Vec<usize>)> = Vec::new();
    for &slot in order {
        let span = &spans[slot];
        let most = if span.last.is_none() { (span.bytes + span.bytes / 4).max(1024) } else { usize::MAX };
        let place_in = |at: usize| {
            let (bytes, slots) = &buffers[at];
            let beside: Vec<usize> = slots.iter().copied().filter(|&other| span.meets(&spans[other])).collect();
            if *bytes > most {
                return None;
            }
            if beside.is_empty() {
                return Some((at, 0));
            }
            let stays = |slot: usize| spans[slot].last.is_none() || spans[slot].bytes < LEAST_PART;
            if !in_parts
                || stays(slot)
                || beside.iter().any(|&other| stays(other) || apart.contains(&pair(slot, other)))
            {
                return None;
            }
            let end = |slot: usize| (places[slot].1 + spans[slot].bytes).next_multiple_of(PART_ALIGNMENT);
            let is_free = |&start: &usize| {
                let clashes = |&other: &usize| start < end(other) && places[other].1 < start + span.bytes;
                start + span.bytes <= *bytes && !beside.iter().any(clashes)
            };
            let start = iter::once(0).chain(beside.iter().map(|&other| end(other))).filter(is_free).min()?;
            Some((at, start))
        };
        // Buffers are made with falling sizes.
        let found =
            if smallest { (0..buffers.len()).rev().find_map(place_in) } else { (0..buffers.len()).find_map(place_in) };
        let (at, start) = found.unwrap_or((buffers.len(), 0));
        if at == buffers.len() {
            buffers.push((span.bytes, Vec::new()));
        }
        buffers[at].1.push(slot);
        places[slot] = (at, start);
    }
    Shared { places, buffers: buffers.into_iter().map(|(bytes, _)| bytes).collect() }
}

/// Two slots, whichever is named first.
pub(super) fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random spans of sizes from 4 bytes to 16 MB, some of which outlive the run, and pairs that must be apart.
    fn random(seed: u64, count: usize) -> (Vec<Span>, HashSet<(usize, usize)>) {
        let mut state = seed;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        let spans = (0..count)
            .map(|_| {
                let first = below(count);
                let last = (below(8) > 0).then(|| first + below(count / 2));
                Span { bytes: (4 + 4 * below(4)) << below(21), first, last }
            })
            .collect();
        (spans, (0..count).map(|_| pair(below(count), below(count))).collect())
    }

    #[test]
    fn nothing_lies_where_something_else_is_needed() {
        for seed in 0..200 {
            let (spans, apart) = random(seed, 60);
            for in_parts in [false, true] {
                let Shared { places, buffers } = share(&spans, &apart, in_parts);
                let end = |slot: usize| places[slot].1 + spans[slot].bytes;
                for a in 0..spans.len() {
                    assert!(end(a) <= buffers[places[a].0], "{seed}: {a} reaches past its buffer");
                    assert_eq!(places[a].1 % PART_ALIGNMENT, 0);
                    for b in (0..a).filter(|&b| places[a].0 == places[b].0 && spans[a].meets(&spans[b])) {
                        assert!(in_parts && (end(a) <= places[b].1 || end(b) <= places[a].1), "{seed}: {a} and {b}");
                        assert!(!apart.contains(&pair(a, b)), "{seed}: {a} and {b} are apart");
                        assert!(spans[a].last.is_some() && spans[b].last.is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn small_ones_lie_in_what_a_large_one_leaves() {
        let span = |megabytes: usize, first, last| Span { bytes: megabytes << 20, first, last: Some(last) };
        let spans = [span(8, 0, 1), span(4, 2, 5), span(3, 3, 4), span(1, 2, 3)];
        let none = HashSet::new();
        assert_eq!(share(&spans, &none, true).buffers, [8 << 20]);
        assert_eq!(share(&spans, &none, false).buffers, [8 << 20, 3 << 20, 1 << 20]);
        // A kernel that reads the second writes the third.
        assert_eq!(share(&spans, &HashSet::from([(1, 2)]), true).buffers, [8 << 20, 3 << 20]);
    }
}
