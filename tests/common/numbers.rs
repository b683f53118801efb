//! Extreme numbers from callers: sizes, counts and floats at which code may break.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Numbers at which code may break: around 0, small sizes, and the ends of every type that holds sizes.
const SIZES: [usize; 24] = [
    0,
    1,
    1,
    2,
    2,
    3,
    3,
    4,
    5,
    6,
    24,
    64,
    65_535,
    65_537,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as usize,
    1 << 32,
    1 << 33,
    1 << 62,
    isize::MAX as usize,
    (isize::MAX as usize) + 1,
    usize::MAX,
];

/// The numbers of one call, in the order in which it reads them.
pub struct Numbers<'a> {
    drawn: std::slice::Iter<'a, usize>,
    pub largest: u64,
}

impl<'a> Numbers<'a> {
    pub fn new(drawn: &'a [usize]) -> Numbers<'a> {
        Numbers { drawn: drawn.iter(), largest: 0 }
    }

    pub fn size(&mut self) -> usize {
        let size = SIZES[*self.drawn.next().unwrap_or(&0) % SIZES.len()];
        self.largest = self.largest.max(size as u64);
        size
    }

    pub fn signed(&mut self) -> isize {
        let size = self.size();
        match self.drawn.next().unwrap_or(&0) % 3 {
            0 => (size as isize).wrapping_neg(),
            _ => size as isize,
        }
    }

    pub fn maybe(&mut self) -> Option<usize> {
        let size = self.size();
        (!self.drawn.next().unwrap_or(&0).is_multiple_of(3)).then_some(size)
    }

    pub fn sizes<const N: usize>(&mut self) -> [usize; N] {
        std::array::from_fn(|_| self.size())
    }

    pub fn signs<const N: usize>(&mut self) -> [isize; N] {
        std::array::from_fn(|_| self.signed())
    }

    pub fn float(&mut self) -> f64 {
        let floats = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 3.5, 1e-30, 1e9, 1e30, -1e300, f64::MAX, f64::INFINITY, f64::NAN];
        let float = floats[*self.drawn.next().unwrap_or(&0) % floats.len()];
        self.largest = self.largest.max(if float.abs() <= 4.0 { 0 } else { u64::MAX });
        float
    }

    pub fn flag(&mut self) -> bool {
        self.drawn.next().unwrap_or(&0).is_multiple_of(2)
    }
}

/// Runs each call, or those that `WGRAD_TEST_OP` names, with many lists of drawn numbers; panics that come of them fail. Debug
/// builds, in which the tests run, panic if arithmetic overflows.
pub fn throw<T: Copy>(calls: &[(&str, T)], run: impl Fn(T, &[usize])) {
    // This many tries for each call; `WGRAD_TEST_EXTREMES=3000` runs longer.
    let cases = std::env::var("WGRAD_TEST_EXTREMES").map_or(100, |cases| cases.parse().unwrap());
    let only = std::env::var("WGRAD_TEST_OP").ok();
    let mut panicked = Vec::new();
    for &(name, call) in calls.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)) {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        // Always the same numbers, so that failures repeat everywhere.
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let result = runner.run(&prop::collection::vec(0..10_000usize, 24), |drawn| {
            catch_unwind(AssertUnwindSafe(|| run(call, &drawn))).map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
                TestCaseError::fail(text.unwrap_or_default())
            })
        });
        if let Err(error) = result {
            panicked.push(format!("{name}: {error}"));
        }
    }
    assert!(panicked.is_empty(), "{}", panicked.join("\n"));
}
