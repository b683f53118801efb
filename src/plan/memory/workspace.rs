//! How much temporaries may take: what values leave free, and little more.

use crate::plan::memory::arena::{Span, fits, share};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// Temporaries may take one part in so many of what values take on top of it: a layer in many small parts would be slow.
const SHARE: usize = 16;

/// Bytes that are worth no thought.
const LEAST: usize = 4 << 20;

/// The units whose temporaries make a plan take more than its values do, and the bytes that each should stay within.
/// `temporaries` are their slots by unit.
pub(in crate::plan) fn rooms(
    spans: &[Span],
    temporaries: &BTreeMap<usize, Vec<usize>>,
    apart: &HashSet<(usize, usize)>,
    in_parts: bool,
) -> Vec<(usize, usize)> {
    let whole = |slots: &[usize]| slots.iter().map(|&slot| spans[slot].bytes).sum::<usize>();
    let mut units: Vec<(usize, &Vec<usize>)> = temporaries.iter().map(|(&unit, slots)| (unit, slots)).collect();
    units.retain(|(_, slots)| whole(slots) > LEAST);
    if units.is_empty() {
        return Vec::new();
    }
    let mut values = spans.to_vec();
    temporaries.values().flatten().for_each(|&slot| values[slot].bytes = 0);
    let needed = share(&values, apart, in_parts).bytes();
    let most = needed + LEAST.max(needed / SHARE);
    if fits(spans, apart, in_parts, most) {
        return Vec::new();
    }
    // One after the other, the largest first. A quarter, where not even that fits: more is asked in the next round.
    units.sort_by_key(|(_, slots)| Reverse(whole(slots)));
    let mut beside = values;
    let room = |(unit, slots): (usize, &Vec<usize>)| {
        let mut fit = |quarters: &usize| {
            slots.iter().for_each(|&slot| beside[slot].bytes = spans[slot].bytes / 4 * quarters);
            fits(&beside, apart, in_parts, most)
        };
        let quarters = [4, 3, 2, 1].into_iter().find(&mut fit).unwrap_or(1);
        (quarters < 4).then(|| (unit, whole(slots) / 4 * quarters))
    };
    units.into_iter().filter_map(room).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four values of 32 MB, of which the second unit needs three and others two, and temporaries of the first, second and
    /// last unit.
    fn rooms_of(temporaries: [usize; 3]) -> Vec<(usize, usize)> {
        let span =
            |megabytes: usize, first, last| Span { bytes: megabytes << 20, first, last: Some(last), is_held: false };
        let mut spans = vec![span(32, 1, 5), span(32, 1, 2), span(32, 2, 3), span(32, 3, 5)];
        let mut slots = BTreeMap::new();
        for (unit, megabytes) in [1, 2, 5].into_iter().zip(temporaries) {
            slots.insert(unit, vec![spans.len()]);
            spans.push(span(megabytes, unit, unit));
        }
        rooms(&spans, &slots, &HashSet::new(), true)
    }

    #[test]
    fn temporaries_take_what_is_free() {
        // With 96 MB and a sixteenth of that, the second unit has room for 6 MB and the others for 32.
        assert_eq!(rooms_of([32, 4, 32]), []);
        assert_eq!(rooms_of([32, 8, 32]), [(2, 6 << 20)]);
        assert_eq!(rooms_of([64, 4, 32]), [(1, 32 << 20)]);
        assert_eq!(rooms_of([32, 4, 40]), [(5, 30 << 20)]);
    }
}
