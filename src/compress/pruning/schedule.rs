//! Sparsities over the steps of a run.

use super::amount::checked;
use crate::error::{Error, Result};

/// The steps at which a run prunes, and the fraction of pruned weights from each on. Step 0 is before the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// All at once.
    OneShot {
        /// The step.
        step: u64,
        /// The fraction of pruned weights.
        sparsity: f64,
    },
    /// The same fraction of the remaining weights each time, as in the search for lottery tickets (Frankle and Carbin, 2019):
    /// after the `i`-th of `times`, `1 - (1 - sparsity)^(i / times)`.
    Iterative {
        /// The step of the first time.
        begin: u64,
        /// Steps from one time to the next.
        every: u64,
        /// Times.
        times: u64,
        /// The share in the end.
        sparsity: f64,
    },
    /// Fast at first and slow in the end (Zhu and Gupta, "To prune, or not to prune", 2017): at step `begin + i every`, `i` from
    /// 0 to `times`, `sparsity + (initial - sparsity) (1 - i / times)^3`.
    Cubic {
        /// The step of the first time.
        begin: u64,
        /// Steps from one time to the next.
        every: u64,
        /// Times after the first.
        times: u64,
        /// The share at the first time.
        initial: f64,
        /// The share in the end.
        sparsity: f64,
    },
}

impl Schedule {
    /// The fraction of pruned weights from a step on, if the run prunes then.
    ///
    /// ```
    /// use wgrad::compress::pruning::Schedule;
    /// let cubic = Schedule::Cubic { begin: 100, every: 50, times: 4, initial: 0.0, sparsity: 0.8 };
    /// let due: Vec<(u64, f64)> = (0..=400).filter_map(|step| Some((step, cubic.due(step)?))).collect();
    /// assert_eq!(due.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [100, 150, 200, 250, 300]);
    /// assert_eq!((due[0].1, due[4].1), (0.0, 0.8));
    /// assert!((due[2].1 - 0.7).abs() < 1e-12); // 0.8 - 0.8 / 8
    /// ```
    pub fn due(&self, step: u64) -> Option<f64> {
        let nth = |begin: u64, every: u64| {
            let since = step.checked_sub(begin)?;
            (since % every == 0).then_some(since / every)
        };
        match *self {
            Schedule::OneShot { step: at, sparsity } => (step == at).then_some(sparsity),
            Schedule::Iterative { begin, every, times, sparsity } => {
                let turn = nth(begin, every).filter(|&turn| turn < times)? + 1;
                Some(if turn == times { sparsity } else { 1.0 - (1.0 - sparsity).powf(turn as f64 / times as f64) })
            }
            Schedule::Cubic { begin, every, times, initial, sparsity } => {
                let turn = nth(begin, every).filter(|&turn| turn <= times)?;
                let left = (1.0 - turn as f64 / times.max(1) as f64).powi(3);
                Some(if turn == times { sparsity } else { sparsity + (initial - sparsity) * left })
            }
        }
    }

    /// Refuses numbers that are out of their ranges.
    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        let (initial, sparsity, every) = match *self {
            Schedule::OneShot { sparsity, .. } => (0.0, sparsity, 1),
            Schedule::Iterative { every, sparsity, .. } => (0.0, sparsity, every),
            Schedule::Cubic { every, initial, sparsity, .. } => (initial, sparsity, every),
        };
        if every == 0 {
            return Err(Error::invalid(op, "every is 0; it must be at least 1 step"));
        }
        if checked(op, initial)? > checked(op, sparsity)? {
            return Err(Error::invalid(op, format!("sparsity falls from {initial} to {sparsity}; it must rise")));
        }
        Ok(())
    }
}
