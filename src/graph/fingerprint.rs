//! 128 bits that stand for a structure.

use crate::number::{halves, nearest};
use std::hash::Hasher;

/// Identifies everything that was written into a [`Fingerprinter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u64; 2]);

/// Two lanes. Each is multiplied by a constant word by word, and the two halves of the product are folded together.
///
/// No two of a process's structures are expected to share their 128 bits: with the 512 plans a device keeps and a
/// million new structures a second, the first pair comes after some 10^22 years. Debug builds, in which the tests
/// run, compare the structures themselves as well.
pub(crate) struct Fingerprinter([u64; 2]);

/// The fractional parts of the square roots of 2, 3, 5 and 7, made odd.
const START: [u64; 2] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b];
const FACTOR: [u64; 2] = [0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

fn fold(x: u64, y: u64) -> u64 {
    let [low, high] = halves(u128::from(x) * u128::from(y));
    low ^ high
}

impl Fingerprinter {
    pub fn new() -> Fingerprinter {
        Fingerprinter(START)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        // Each lane sees the other, so that all bits depend on all words twice.
        let [a, b] = self.0;
        Fingerprint([fold(a ^ b.rotate_left(32), FACTOR[0]), fold(b ^ a.rotate_left(32), FACTOR[1])])
    }

    /// Each lane takes in one half.
    pub fn write_fingerprint(&mut self, fingerprint: Fingerprint) {
        let Fingerprint([a, b]) = fingerprint;
        self.0 = [fold(self.0[0] ^ a, FACTOR[0]), fold(self.0[1] ^ b, FACTOR[1])];
    }
}

impl Hasher for Fingerprinter {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        // The last word carries its length.
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = nearest::<u8>(rest.len());
        self.write_u64(u64::from_le_bytes(last));
    }
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.write_fingerprint(Fingerprint([value; 2]));
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
    fn finish(&self) -> u64 {
        self.fingerprint().0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::Hash;

    fn of(value: impl Hash) -> Fingerprint {
        let mut hasher = Fingerprinter::new();
        value.hash(&mut hasher);
        hasher.fingerprint()
    }

    #[test]
    fn each_bit_of_the_input_changes_half_the_bits() {
        let words = |bit: usize| {
            let mut words = [0u64; 6];
            words[bit / 64] |= 1 << (bit % 64);
            of(words)
        };
        let zero = of([0u64; 6]);
        for bit in 0..6 * 64 {
            let changed: u32 = words(bit).0.iter().zip(zero.0).map(|(a, b)| (a ^ b).count_ones()).sum();
            // 128 coins: 64 heads, give or take six standard deviations.
            assert!((30..=98).contains(&changed), "bit {bit} changes {changed} of 128 bits");
        }
    }

    #[test]
    fn halves_of_small_structures_never_meet() {
        // A quarter of a million short structures. Even 64 bits of them should be all different.
        let (mut left, mut right) = (HashSet::new(), HashSet::new());
        for a in 0..64usize {
            for b in 0..64usize {
                for c in 0..64usize {
                    let [x, y] = of((a, [b, c].as_slice(), c == b)).0;
                    assert!(left.insert(x) && right.insert(y), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        let parts = [of(("ab", "c")), of(("a", "bc")), of(("abc", "")), of("abc"), of([1u8, 0].as_slice())];
        let others = [of([1u8].as_slice()), of(1u8), of(1u64), of(())];
        let all: HashSet<Fingerprint> = parts.into_iter().chain(others).collect();
        // A number is the same in any width.
        assert_eq!(all.len(), 8);
    }
}
