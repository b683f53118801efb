//! Bounds the launches of a plan: each costs the host microseconds, however little it does.

/// A plan with no more launches is left as it is, unless it is a part of a longer one.
const FEW: usize = 256;

/// Launches that a larger plan may take per unit.
const PER_UNIT: usize = 2;

/// A part of a longer plan may take one launch less for so many units, so that a part whose whole would take too many does
/// with less as well: parts have more units for the same work.
const UNITS_OF_PART: usize = 5;

/// The most launches that any unit should take, so that together they take no more than a plan may; `None` if they do
/// already. `launches` are those of each unit now; the parts of a long recording together may take what it would take whole.
pub(in crate::plan) fn budget(launches: &[usize], is_cut: bool) -> Option<usize> {
    let most = PER_UNIT * launches.len();
    let bound = if is_cut { most - launches.len() / UNITS_OF_PART } else { FEW.max(most) };
    let total = |most: usize| launches.iter().map(|&taken| taken.min(most)).sum::<usize>();
    let largest = launches.iter().copied().max().unwrap_or(0);
    if total(largest) <= bound {
        return None;
    }
    (1..largest).rev().find(|&most| total(most) <= bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_most_launches_do_with_less() {
        assert_eq!(budget(&[], false), None);
        assert_eq!(budget(&[200, 55, 1], false), None);
        // 128 and 127, or 127 each.
        assert_eq!(budget(&[200, 150, 1], false), Some(127));
        assert_eq!(budget(&[200, 56, 1], false), Some(199));
        // 200 units may take 400.
        assert_eq!(budget(&[&[1; 198][..], &[101, 101]].concat(), false), None);
        assert_eq!(budget(&[&[1; 198][..], &[301, 10]].concat(), false), Some(192));
        assert_eq!(budget(&[200, 55, 1], true), Some(2));
        assert_eq!(budget(&[3, 2, 1], true), None);
        assert_eq!(budget(&[2; 10], true), Some(1));
    }
}
