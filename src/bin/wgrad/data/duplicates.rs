//! Pictures that a set holds more than once.
//!
//! The signs of differences between neighbours in small thumbnails are a hash that scaling and recompressing hardly
//! change (Krawetz's dHash). Pictures with hashes that differ in a few bits are then compared by their thumbnails.

use super::look::{Facts, Looked, SIDE};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Bits of a hash, and how many of them may differ.
const BITS: usize = 256;
const MOST_BITS: u32 = 12;
/// Parts of a hash: one more than bits may differ, so that near hashes have one of them in common.
const PARTS: usize = MOST_BITS as usize + 1;
/// The mean difference of thumbnails, in bytes of 256, below which pictures are nearly identical.
const MOST_DIFFERENCE: f64 = 3.0;
/// A difference between neighbours up to which it is noise of the compression.
const NOISE: u8 = 2;

/// Identical or nearly identical pictures.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Identical pixel by pixel.
    pub identical: bool,
    pub pictures: Vec<String>,
    /// The pictures are in several parts, so that a validation on them measures memory.
    pub across_parts: bool,
    /// The pictures have several classes, of which all but one are wrong.
    pub across_classes: bool,
}

/// Groups of identical pictures, then groups of nearly identical ones among the rest.
pub fn find(looked: &[Looked]) -> Vec<Group> {
    let readable = looked.iter().filter_map(|picture| Some((picture, picture.facts.as_ref().ok()?)));
    let mut by_hash = BTreeMap::<u64, Vec<(&Looked, &Facts)>>::new();
    for (picture, facts) in readable {
        by_hash.entry(facts.hash).or_default().push((picture, facts));
    }
    let mut first: Vec<(&Looked, &Facts)> = by_hash.values().map(|group| group[0]).collect();
    // In the order of the set, not of hashes.
    first.sort_by_key(|(picture, _)| (picture.part, picture.index));
    let mut groups: Vec<Group> =
        by_hash.into_values().filter(|group| group.len() > 1).map(|group| Group::of(true, &group)).collect();
    groups.sort_by(|a, b| a.pictures.cmp(&b.pictures));
    groups.extend(alike(&first).into_iter().map(|group| Group::of(false, &group)));
    groups
}

impl Group {
    fn of(identical: bool, members: &[(&Looked, &Facts)]) -> Group {
        let (first, rest) = (members[0].0, &members[1..]);
        Group {
            identical,
            pictures: members.iter().map(|(picture, _)| picture.name.clone()).collect(),
            across_parts: rest.iter().any(|(picture, _)| picture.part != first.part),
            across_classes: rest.iter().any(|(picture, _)| picture.label != first.label),
        }
    }
}

/// Groups of pictures nearly identical to the first of the group.
fn alike<'a>(pictures: &[(&'a Looked, &'a Facts)]) -> Vec<Vec<(&'a Looked, &'a Facts)>> {
    let hashes: Vec<[u64; 4]> = pictures.iter().map(|(_, facts)| difference_hash(facts)).collect();
    let by_part = ByPart::new(&hashes);
    let mut is_taken = vec![false; pictures.len()];
    let mut groups = Vec::new();
    for first in 0..pictures.len() {
        if is_taken[first] {
            continue;
        }
        let is_free = |at: &usize| !is_taken[*at];
        let same =
            |&at: &usize| difference(pictures[first].1, pictures[at].1).is_some_and(|mean| mean < MOST_DIFFERENCE);
        let others: Vec<usize> = by_part.near(first).into_iter().filter(is_free).filter(same).collect();
        if !others.is_empty() {
            others.iter().for_each(|&at| is_taken[at] = true);
            groups.push([first].into_iter().chain(others).map(|at| pictures[at]).collect());
        }
    }
    groups
}

/// A bit for each position of 16 x 16: set where it is brighter than its right neighbour.
fn difference_hash(facts: &Facts) -> [u64; 4] {
    let plane = SIDE * (SIDE + 1);
    let grey = |at: usize| {
        let channels = facts.thumbnail.chunks_exact(plane).take(3);
        let (count, sum) = channels.fold((0, 0), |(count, sum), plane| (count + 1, sum + u16::from(plane[at])));
        sum / u16::max(count, 1)
    };
    let mut hash = [0; 4];
    for place in 0..SIDE * SIDE {
        let at = place / SIDE * (SIDE + 1) + place % SIDE;
        hash[place / 64] |= u64::from(grey(at) > grey(at + 1) + u16::from(NOISE)) << (place % 64);
    }
    hash
}

/// Hashes by each of their parts, so that few are compared with each other.
struct ByPart<'a> {
    hashes: &'a [[u64; 4]],
    /// For a part's number and bits the hashes that have them, in order.
    with: HashMap<(usize, u32), Vec<usize>>,
}

impl<'a> ByPart<'a> {
    fn new(hashes: &'a [[u64; 4]]) -> ByPart<'a> {
        let mut with = HashMap::<_, Vec<usize>>::new();
        for (at, hash) in hashes.iter().enumerate() {
            (0..PARTS).for_each(|number| with.entry((number, part(hash, number))).or_default().push(at));
        }
        ByPart { hashes, with }
    }

    /// The hashes after one that are near it, in order.
    fn near(&self, first: usize) -> Vec<usize> {
        let hash = &self.hashes[first];
        let later = |number| {
            let all = &self.with[&(number, part(hash, number))];
            &all[all.partition_point(|&at| at <= first)..]
        };
        let mut near: Vec<usize> = (0..PARTS).flat_map(later).copied().collect();
        near.sort_unstable();
        near.dedup();
        near.retain(|&at| are_near(hash, &self.hashes[at]));
        near
    }
}

/// The bits of one of the parts of a hash.
fn part(hash: &[u64; 4], number: usize) -> u32 {
    let bits = number * BITS / PARTS..(number + 1) * BITS / PARTS;
    bits.fold(0, |part, bit| part << 1 | u32::from(hash[bit / 64] >> (bit % 64) & 1 == 1))
}

fn are_near(left: &[u64; 4], right: &[u64; 4]) -> bool {
    let mut bits = 0;
    left.iter().zip(right).all(|(left, right)| {
        bits += (left ^ right).count_ones();
        bits <= MOST_BITS
    })
}

/// The mean difference of two thumbnails with equally many channels.
fn difference(left: &Facts, right: &Facts) -> Option<f64> {
    if left.thumbnail.len() != right.thumbnail.len() {
        return None;
    }
    let sum: f64 = left.thumbnail.iter().zip(&right.thumbnail).map(|(l, r)| f64::from(l.abs_diff(*r))).sum();
    Some(sum / left.thumbnail.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_find_what_comparing_all_finds() {
        let mut state = 3u64;
        let mut word = || {
            // Its upper bits are the random ones.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as usize
        };
        // Some hashes, and others that differ from them in up to 16 bits, of which a flat picture has few.
        let mut hashes: Vec<[u64; 4]> = vec![[0; 4]];
        hashes.extend((0..40).map(|_| [0; 4].map(|_: u64| (word() << 32 | word()) as u64)));
        for at in 0..400 {
            let mut hash = hashes[at % 41];
            for _ in 0..word() % 17 {
                let bit = word() % BITS;
                hash[bit / 64] ^= 1 << (bit % 64);
            }
            hashes.push(hash);
        }
        let by_part = ByPart::new(&hashes);
        let mut found = 0;
        for first in 0..hashes.len() {
            let all = (first + 1..hashes.len()).filter(|&at| are_near(&hashes[first], &hashes[at]));
            let near = by_part.near(first);
            assert_eq!(near, all.collect::<Vec<_>>());
            found += near.len();
        }
        assert!(found > 500, "only {found} pairs");
    }
}
