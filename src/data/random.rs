//! Random numbers that follow from a seed and an epoch, without a state: a resumed run needs those two and nothing else.

use crate::number::{halves, nearest};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The words of a seed and an epoch: word `i` is `mix(key + i * golden)` with `key = mix(mix(seed + golden) + epoch)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    key: u64,
}

impl Words {
    pub fn new(seed: u64, epoch: u64) -> Words {
        Words { key: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(epoch)) }
    }

    /// Other words, derived from these and a number.
    pub fn under(self, place: u64) -> Words {
        Words::new(self.key, place)
    }

    pub fn word(self, at: usize) -> u64 {
        mix(self.key.wrapping_add((at as u64).wrapping_mul(GOLDEN)))
    }

    /// A number below `end`: a word becomes one by multiplication.
    pub fn below(self, at: usize, end: usize) -> usize {
        let [_, below] = halves(u128::from(self.word(at)) * end as u128);
        nearest(below)
    }

    /// A number from 0 up to and without 1, of 53 bits.
    pub fn unit(self, at: usize) -> f64 {
        (self.word(at) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Brings some values in a random order: Fisher and Yates' shuffle, from the last position down.
    pub fn shuffle<T>(self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.below(i, i + 1));
        }
    }
}

/// The numbers below `count` in a random order.
pub(super) fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    Words::new(seed, epoch).shuffle(&mut order);
    order
}
