//! Bounds temporaries: to the memory that values leave free, and little more.

use crate::plan::memory::arena::{Arena, Slot, fits};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// Temporaries may take one part in so many of what values take on top of it: a layer in many small parts would be slow.
const VALUES_FRACTION: usize = 16;

/// Temporaries of fewer bytes are left as they are.
const LEAST: usize = 4 << 20;

/// The units whose temporaries make a plan take more than its values do, and the bytes that each should stay within.
/// `temporaries` are their slots by unit.
pub(in crate::plan) fn budgets(
    slots: &[Slot],
    temporaries: &BTreeMap<usize, Vec<usize>>,
    conflicts: &HashSet<(usize, usize)>,
    in_parts: bool,
) -> Vec<(usize, usize)> {
    let whole = |workspace: &[usize]| workspace.iter().map(|&slot| slots[slot].bytes).sum::<usize>();
    let mut units: Vec<(usize, &Vec<usize>)> = temporaries.iter().map(|(&unit, slots)| (unit, slots)).collect();
    units.retain(|(_, workspace)| whole(workspace) > LEAST);
    if units.is_empty() {
        return Vec::new();
    }
    let mut values = slots.to_vec();
    temporaries.values().flatten().for_each(|&slot| values[slot].bytes = 0);
    let needed = Arena::new(&values, conflicts, in_parts).bytes();
    let most = needed + LEAST.max(needed / VALUES_FRACTION);
    if fits(slots, conflicts, in_parts, most) {
        return Vec::new();
    }
    // One after the other, the largest first. A quarter, where not even that fits: more is asked in the next round.
    units.sort_by_key(|(_, workspace)| Reverse(whole(workspace)));
    let mut beside = values;
    let budget = |(unit, workspace): (usize, &Vec<usize>)| {
        let mut fit = |quarters: &usize| {
            workspace.iter().for_each(|&slot| beside[slot].bytes = slots[slot].bytes / 4 * quarters);
            fits(&beside, conflicts, in_parts, most)
        };
        let quarters = [4, 3, 2, 1].into_iter().find(&mut fit).unwrap_or(1);
        (quarters < 4).then(|| (unit, whole(workspace) / 4 * quarters))
    };
    units.into_iter().filter_map(budget).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four values of 32 MB, of which the second unit needs three and others two, and temporaries of the first, second and
    /// last unit.
    fn budgets_of(temporaries: [usize; 3]) -> Vec<(usize, usize)> {
        let slot =
            |megabytes: usize, first, last| Slot { bytes: megabytes << 20, first, last: Some(last), is_held: false };
        let mut slots = vec![slot(32, 1, 5), slot(32, 1, 2), slot(32, 2, 3), slot(32, 3, 5)];
        let mut workspaces = BTreeMap::new();
        for (unit, megabytes) in [1, 2, 5].into_iter().zip(temporaries) {
            workspaces.insert(unit, vec![slots.len()]);
            slots.push(slot(megabytes, unit, unit));
        }
        budgets(&slots, &workspaces, &HashSet::new(), true)
    }

    #[test]
    fn temporaries_take_what_is_free() {
        // With 96 MB and a sixteenth of that, the second unit has 6 MB and the others for 32.
        assert_eq!(budgets_of([32, 4, 32]), []);
        assert_eq!(budgets_of([32, 8, 32]), [(2, 6 << 20)]);
        assert_eq!(budgets_of([64, 4, 32]), [(1, 32 << 20)]);
        assert_eq!(budgets_of([32, 4, 40]), [(5, 30 << 20)]);
    }
}
