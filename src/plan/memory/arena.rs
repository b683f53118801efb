//! Shares buffers among values that are in memory at different times.

use crate::graph::MOST_SMALL;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::iter;

/// The size of a slot, and when it is in use.
#[derive(Clone)]
pub(in crate::plan) struct Slot {
    pub bytes: usize,
    /// The first unit that writes it, and the last that reads it; `None` if it outlives the run.
    pub first: usize,
    pub last: Option<usize>,
    /// True if it outlives the run because somebody holds it, and not for gradients alone.
    pub is_held: bool,
}

impl Slot {
    fn overlaps(&self, other: &Slot) -> bool {
        let ends_before = |a: &Slot, b: &Slot| a.last.is_some_and(|last| last < b.first);
        !ends_before(self, other) && !ends_before(other, self)
    }
}

/// Values of at least so many bytes may lie side by side in one buffer.
const LEAST_PART: usize = 1 << 20;

/// Parts of a buffer begin at multiples of this, the strictest alignment that WebGPU lets an adapter ask for.
pub(in crate::plan) const PART_ALIGNMENT: usize = 256;

/// Small values that are kept for gradients alone lie side by side in buffers of so many bytes: history that nobody reads may
/// be of hundreds of thousands of them, and goes all at once.
const SLAB: usize = 1 << 20;

/// Buffers that slots share, one after the other or, where they are large, side by side.
#[derive(Default)]
pub(in crate::plan) struct Arena {
    /// For each slot the number of its buffer, and its first byte there.
    pub positions: Vec<(usize, usize)>,
    /// Bytes of the buffers.
    pub buffers: Vec<usize>,
}

impl Arena {
    /// The smallest of a few greedy arrangements. Without `in_parts`, no two slots are in one buffer at a time.
    pub fn new(slots: &[Slot], conflicts: &HashSet<(usize, usize)>, in_parts: bool) -> Arena {
        arrangements(slots, conflicts, in_parts).min_by_key(Arena::bytes).unwrap_or_default()
    }

    pub fn bytes(&self) -> usize {
        self.buffers.iter().sum()
    }
}

/// True if one of these arrangements takes at most `most` bytes.
pub(in crate::plan) fn fits(slots: &[Slot], conflicts: &HashSet<(usize, usize)>, in_parts: bool, most: usize) -> bool {
    arrangements(slots, conflicts, in_parts).any(|arena| arena.bytes() <= most)
}

/// The greedy arrangements.
fn arrangements(slots: &[Slot], conflicts: &HashSet<(usize, usize)>, in_parts: bool) -> impl Iterator<Item = Arena> {
    let slabs = if in_parts { Slabs::new(slots, conflicts) } else { Slabs::default() };
    let mut forwards: Vec<usize> = (0..slots.len()).filter(|slot| !slabs.positions.contains_key(slot)).collect();
    let mut backwards = forwards.clone();
    forwards.sort_by_key(|&slot| (Reverse(slots[slot].bytes), slot));
    backwards.sort_by_key(|&slot| (Reverse(slots[slot].bytes), Reverse(slot)));
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    ways.into_iter().take(if in_parts { ways.len() } else { 1 }).map(move |(is_forwards, smallest)| {
        let order = if is_forwards { &forwards } else { &backwards };
        let mut arena = arrange(order, smallest, slots, conflicts, in_parts);
        for (&slot, &(slab, start)) in &slabs.positions {
            arena.positions[slot] = (arena.buffers.len() + slab, start);
        }
        arena.buffers.extend(&slabs.bytes);
        arena
    })
}

/// Small values of the history, side by side.
#[derive(Default)]
struct Slabs {
    /// For each of their slots the number of its slab, and its first byte there.
    positions: HashMap<usize, (usize, usize)>,
    /// Bytes of the slabs.
    bytes: Vec<usize>,
}

impl Slabs {
    /// Puts each slot into the first slab with space in which it conflicts with no other.
    fn new(slots: &[Slot], conflicts: &HashSet<(usize, usize)>) -> Slabs {
        let is_small = |slot: usize| {
            let Slot { bytes, last, is_held, .. } = slots[slot];
            last.is_none() && !is_held && bytes <= MOST_SMALL
        };
        let mut small: Vec<usize> = (0..slots.len()).filter(|&slot| is_small(slot)).collect();
        if small.len() < 2 {
            small.clear();
        }
        let mut neighbours: HashMap<usize, Vec<usize>> = HashMap::new();
        for &(a, b) in conflicts.iter().filter(|&&(a, b)| is_small(a) && is_small(b)) {
            neighbours.entry(a).or_default().push(b);
            neighbours.entry(b).or_default().push(a);
        }
        let mut slabs = Slabs::default();
        let mut open: Vec<usize> = Vec::new();
        for slot in small {
            let beside = neighbours.get(&slot).into_iter().flatten();
            let taken: Vec<usize> = beside.filter_map(|other| Some(slabs.positions.get(other)?.0)).collect();
            let slab = open.iter().copied().find(|slab| !taken.contains(slab)).unwrap_or_else(|| {
                slabs.bytes.push(0);
                open.push(slabs.bytes.len() - 1);
                slabs.bytes.len() - 1
            });
            let bytes = &mut slabs.bytes[slab];
            slabs.positions.insert(slot, (slab, *bytes));
            // An empty value is bound all the same, and a binding shows something.
            *bytes += slots[slot].bytes.max(1).next_multiple_of(PART_ALIGNMENT);
            if *bytes + MOST_SMALL > SLAB {
                open.retain(|&other| other != slab);
            }
        }
        slabs
    }
}

/// Gives slots their buffers in order of falling size, so that a slot fits any buffer. Each takes the `smallest`, or else
/// the largest, buffer with a place that is free while it is in use; a slot that outlives the run takes none that is much
/// too large. Slots with `conflicts` are never parts of one buffer at a time, since wgpu tracks whole buffers.
fn arrange(
    order: &[usize],
    smallest: bool,
    slots: &[Slot],
    conflicts: &HashSet<(usize, usize)>,
    in_parts: bool,
) -> Arena {
    let mut positions = vec![(0, 0); slots.len()];
    let mut buffers: Vec<(usize, Vec<usize>)> = Vec::new();
    for &slot in order {
        let needed = &slots[slot];
        let most = if needed.last.is_none() { (needed.bytes + needed.bytes / 4).max(1024) } else { usize::MAX };
        let position_in = |at: usize| {
            let (bytes, inside) = &buffers[at];
            if *bytes > most {
                return None;
            }
            let mut beside = inside.iter().copied().filter(|&other| needed.overlaps(&slots[other])).peekable();
            if beside.peek().is_none() {
                return Some((at, 0));
            }
            // Most end here, at the first that they meet.
            let stays = |slot: usize| slots[slot].last.is_none() || slots[slot].bytes < LEAST_PART;
            if !in_parts || stays(slot) {
                return None;
            }
            let beside: Vec<usize> = beside.collect();
            if beside.iter().any(|&other| stays(other) || conflicts.contains(&pair(slot, other))) {
                return None;
            }
            let end = |slot: usize| (positions[slot].1 + slots[slot].bytes).next_multiple_of(PART_ALIGNMENT);
            let is_free = |&start: &usize| {
                let clashes = |&other: &usize| start < end(other) && positions[other].1 < start + needed.bytes;
                start + needed.bytes <= *bytes && !beside.iter().any(clashes)
            };
            let start = iter::once(0).chain(beside.iter().map(|&other| end(other))).filter(is_free).min()?;
            Some((at, start))
        };
        // Buffers are made with falling sizes.
        let found = if smallest {
            (0..buffers.len()).rev().find_map(position_in)
        } else {
            (0..buffers.len()).find_map(position_in)
        };
        let (at, start) = found.unwrap_or((buffers.len(), 0));
        if at == buffers.len() {
            buffers.push((needed.bytes, Vec::new()));
        }
        buffers[at].1.push(slot);
        positions[slot] = (at, start);
    }
    Arena { positions, buffers: buffers.into_iter().map(|(bytes, _)| bytes).collect() }
}

/// Two slots, whichever is named first.
pub(in crate::plan) fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random slots of up to 16 MB, some of them empty, some of which outlive the run, and conflicts.
    fn random(seed: u64, count: usize) -> (Vec<Slot>, HashSet<(usize, usize)>) {
        let mut state = seed;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        let slots = (0..count)
            .map(|_| {
                let first = below(count);
                let last = (below(8) > 0).then(|| first + below(count / 2));
                Slot { bytes: (4 * below(5)) << below(21), first, last, is_held: last.is_none() && below(2) > 0 }
            })
            .collect();
        (slots, (0..count).map(|_| pair(below(count), below(count))).collect())
    }

    #[test]
    fn nothing_lies_where_something_else_is_needed() {
        for seed in 0..200 {
            let (slots, conflicts) = random(seed, 60);
            for in_parts in [false, true] {
                let Arena { positions, buffers } = Arena::new(&slots, &conflicts, in_parts);
                // An empty one has room for a binding, too.
                let end = |slot: usize| positions[slot].1 + slots[slot].bytes.max(1);
                for a in 0..slots.len() {
                    assert!(end(a) <= buffers[positions[a].0].max(1), "{seed}: {a} reaches past its buffer");
                    assert_eq!(positions[a].1 % PART_ALIGNMENT, 0);
                    for b in (0..a).filter(|&b| positions[a].0 == positions[b].0 && slots[a].overlaps(&slots[b])) {
                        assert!(
                            in_parts && (end(a) <= positions[b].1 || end(b) <= positions[a].1),
                            "{seed}: {a} and {b}"
                        );
                        assert!(!conflicts.contains(&pair(a, b)), "{seed}: {a} and {b} are conflicts");
                        let stays = |slot: usize| slots[slot].last.is_none() && slots[slot].is_held;
                        assert!(!stays(a) && !stays(b), "{seed}: {a} and {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn small_ones_lie_in_what_a_large_one_leaves() {
        let slot =
            |megabytes: usize, first, last| Slot { bytes: megabytes << 20, first, last: Some(last), is_held: false };
        let slots = [slot(8, 0, 1), slot(4, 2, 5), slot(3, 3, 4), slot(1, 2, 3)];
        let none = HashSet::new();
        assert_eq!(Arena::new(&slots, &none, true).buffers, [8 << 20]);
        assert_eq!(Arena::new(&slots, &none, false).buffers, [8 << 20, 3 << 20, 1 << 20]);
        // A kernel that reads the second writes the third.
        assert_eq!(Arena::new(&slots, &HashSet::from([(1, 2)]), true).buffers, [8 << 20, 3 << 20]);
    }
}
