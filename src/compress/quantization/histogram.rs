//! Counts of values by their size, whose range grows as values do.

use crate::number::nearest;

/// Bins of one sign.
const BINS: usize = 2048;

/// Levels of one sign, to which the divergence compares.
const LEVELS: usize = 128;

/// Values from `-limit` to `limit` in `2 BINS` bins of equal width.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    limit: f64,
    counts: Vec<u64>,
}

impl Histogram {
    /// Counts values, none of which is further from 0 than `most`.
    pub fn count(&mut self, values: impl Iterator<Item = f64>, most: f64) {
        if self.counts.is_empty() {
            self.counts = vec![0; 2 * BINS];
        }
        if self.limit == 0.0 {
            // No values so far, or only 0, which stays in its bin.
            self.limit = most;
        }
        while self.limit < most {
            self.double();
        }
        let width = self.limit / BINS as f64;
        for value in values {
            let bin = if width > 0.0 { (value / width).floor() + BINS as f64 } else { BINS as f64 };
            self.counts[nearest::<usize>(bin).min(2 * BINS - 1)] += 1;
        }
    }

    /// Twice the range, of pairs of bins.
    fn double(&mut self) {
        let mut wider = vec![0; 2 * BINS];
        for (pair, counts) in self.counts.chunks_exact(2).enumerate() {
            wider[BINS / 2 + pair] = counts[0] + counts[1];
        }
        self.counts = wider;
        self.limit *= 2.0;
    }

    /// The values with a fraction of `1 - share` and of `share` of all values below them.
    pub fn percentiles(&self, share: f64) -> (f64, f64) {
        let total: u64 = self.counts.iter().sum();
        let width = self.limit / BINS as f64;
        let outside = (1.0 - share) * total as f64;
        // The edge of the first bin, counted from an end, with which more than the fraction is outside.
        let bins_outside = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0.0;
            counts
                .take_while(|&&count| {
                    seen += count as f64;
                    seen <= outside
                })
                .count()
        };
        let below = bins_outside(&mut self.counts.iter());
        let above = bins_outside(&mut self.counts.iter().rev());
        let half = BINS as f64;
        ((below as f64 - half) * width, (half - above as f64) * width)
    }

    /// The bound of absolute values at which the clamped and rounded values diverge least from all: for each number of bins from
    /// that of the levels on, the divergence of the bins with everything past them added to the last, from the same bins with
    /// each level's values spread over those of its bins that hold any.
    pub fn least_divergence(&self) -> f64 {
        let sizes: Vec<f64> =
            (0..BINS).map(|at| (self.counts[BINS + at] + self.counts[BINS - 1 - at]) as f64).collect();
        let total: f64 = sizes.iter().sum();
        let mut best = (f64::INFINITY, BINS);
        let mut inside: f64 = sizes[..LEVELS - 1].iter().sum();
        for bins in LEVELS..=BINS {
            inside += sizes[bins - 1];
            let divergence = divergence(&sizes[..bins], total - inside, total);
            if divergence < best.0 {
                best = (divergence, bins);
            }
        }
        best.1 as f64 * self.limit / BINS as f64
    }
}

/// The divergence of some bins, the last of which includes the clamped values, from their levels.
fn divergence(bins: &[f64], cut_off: f64, total: f64) -> f64 {
    let inside: f64 = bins.iter().sum();
    if inside == 0.0 {
        return f64::INFINITY;
    }
    let mut sum = 0.0;
    for level in 0..LEVELS {
        let (from, to) = (level * bins.len() / LEVELS, (level + 1) * bins.len() / LEVELS);
        let within = &bins[from..to];
        let filled = within.iter().filter(|&&count| count > 0.0).count();
        let spread = within.iter().sum::<f64>() / filled.max(1) as f64 / inside;
        for (at, &count) in within.iter().enumerate() {
            let is_last = from + at + 1 == bins.len();
            let held = (if is_last { count + cut_off } else { count }) / total;
            if held > 0.0 {
                // A bin that holds only clamped values has no level: it counts as a ten-thousandth of a value.
                let level = if count > 0.0 { spread } else { 1e-4 / inside };
                sum += held * (held / level).ln();
            }
        }
    }
    sum
}
