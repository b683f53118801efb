//! The values that are in memory at the peak of a plan, for its notes.

use crate::number::nearest;
use crate::plan::memory::arena::Slot;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Values of less than one part in so many of the peak are not named.
const NAMED_FRACTION: usize = 200;

/// The unit at which slots take most, and the large ones of those that are in use then, the largest first.
pub(in crate::plan) fn peak(slots: &[Slot]) -> Option<(usize, Vec<usize>)> {
    let mut changes: BTreeMap<usize, i64> = BTreeMap::new();
    for Slot { bytes, first, last, .. } in slots {
        *changes.entry(*first).or_default() += *bytes as i64;
        if let Some(last) = last {
            *changes.entry(last.saturating_add(1)).or_default() -= *bytes as i64;
        }
    }
    let mut live = 0;
    let totals = changes.into_iter().map(|(unit, change)| {
        live += change;
        (live, Reverse(unit))
    });
    let (bytes, Reverse(unit)) = totals.max()?;
    let is_there = |slot: &Slot| slot.first <= unit && slot.last.is_none_or(|last| unit <= last);
    let is_large = |slot: &Slot| slot.bytes > 0 && slot.bytes * NAMED_FRACTION >= nearest::<usize>(bytes);
    let mut large: Vec<usize> =
        (0..slots.len()).filter(|&slot| is_there(&slots[slot]) && is_large(&slots[slot])).collect();
    large.sort_by_key(|&slot| (Reverse(slots[slot].bytes), slot));
    Some((unit, large))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_the_first_peak_come_first() {
        let slot = |bytes, first, last| Slot { bytes, first, last, is_held: false };
        assert_eq!(peak(&[]), None);
        // 700 bytes at 2, 702 at 4 and 5.
        let slots = [
            slot(300, 1, Some(4)),
            slot(400, 2, Some(3)),
            slot(400, 4, None),
            slot(2, 4, Some(5)),
            slot(300, 5, Some(9)),
        ];
        assert_eq!(peak(&slots), Some((4, vec![2, 0])));
    }
}
