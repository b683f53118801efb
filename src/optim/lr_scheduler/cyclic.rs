//! The rate rises and falls, again and again (Smith, 2017: "Cyclical Learning Rates for Training Neural Networks").

use super::group::{NOT_NEGATIVE, PerGroup, at_least_one, finite, is_not_negative};
use super::momenta::Momenta;
use super::{GroupRates, LrSchedule};
use crate::error::Result;
use std::fmt;

type Scale = Box<dyn Fn(f64) -> f64 + Send + Sync>;

/// Change of [`CyclicLr`]'s peaks.
pub enum CyclicMode {
    /// They stay equally high.
    Triangular,
    /// Each is half as high as the one before.
    Triangular2,
    /// They fall by this factor at each step.
    ExpRange(f64),
    /// The closure gives their height, from the number of the cycle, from 1 (PyTorch's `scale_fn`, `scale_mode="cycle"`).
    ByCycle(Scale),
    /// The closure gives their height, from the number of the step (PyTorch's `scale_mode="iterations"`).
    ByIteration(Scale),
}

impl CyclicMode {
    fn scale(&self, cycle: f64, step: f64) -> f64 {
        match self {
            CyclicMode::Triangular => 1.0,
            CyclicMode::Triangular2 => 1.0 / 2f64.powf(cycle - 1.0),
            CyclicMode::ExpRange(gamma) => gamma.powf(step),
            CyclicMode::ByCycle(scale) => scale(cycle),
            CyclicMode::ByIteration(scale) => scale(step),
        }
    }
}

impl fmt::Debug for CyclicMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CyclicMode::Triangular => f.write_str("Triangular"),
            CyclicMode::Triangular2 => f.write_str("Triangular2"),
            CyclicMode::ExpRange(gamma) => write!(f, "ExpRange({gamma})"),
            CyclicMode::ByCycle(_) => f.write_str("ByCycle(..)"),
            CyclicMode::ByIteration(_) => f.write_str("ByIteration(..)"),
        }
    }
}

/// Raises the rate from `base_lr` to `max_lr` in `step_size_up` steps and lets it fall in as many, again and again, while the
/// momentum goes the other way. It takes one step a batch.
///
/// ```
/// use wgrad::optim::lr_scheduler::{CyclicLr, GroupRates, trace};
/// let cyclic = CyclicLr::new(0.1, 0.5, 2).cycle_momentum(false);
/// for (groups, expected) in trace(&cyclic, &[GroupRates::new(0.1)], 4)?.iter().zip([0.1, 0.3, 0.5, 0.3, 0.1]) {
///     assert!((groups[0].lr - expected).abs() < 1e-15);
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct CyclicLr {
    base_lr: PerGroup,
    max_lr: PerGroup,
    step_size_up: u64,
    step_size_down: u64,
    mode: CyclicMode,
    cycle_momentum: bool,
    momenta: Momenta,
}

impl CyclicLr {
    /// Cycles of `2 step_size_up` steps, all equally high.
    pub fn new(base_lr: impl Into<PerGroup>, max_lr: impl Into<PerGroup>, step_size_up: u64) -> CyclicLr {
        CyclicLr {
            base_lr: base_lr.into(),
            max_lr: max_lr.into(),
            step_size_up,
            step_size_down: step_size_up,
            mode: CyclicMode::Triangular,
            cycle_momentum: true,
            momenta: Momenta { base: 0.8.into(), max: 0.9.into() },
        }
    }

    /// Number of steps in which the rate falls: `step_size_up` unless set.
    #[must_use]
    pub fn step_size_down(self, step_size_down: u64) -> CyclicLr {
        CyclicLr { step_size_down, ..self }
    }

    /// Change of the peaks: none unless set.
    #[must_use]
    pub fn mode(self, mode: CyclicMode) -> CyclicLr {
        CyclicLr { mode, ..self }
    }

    /// Moves the momentum the other way: true unless set.
    #[must_use]
    pub fn cycle_momentum(self, cycle_momentum: bool) -> CyclicLr {
        CyclicLr { cycle_momentum, ..self }
    }

    /// The momentum at the largest rate: 0.8 unless set.
    #[must_use]
    pub fn base_momentum(self, base_momentum: impl Into<PerGroup>) -> CyclicLr {
        CyclicLr { momenta: Momenta { base: base_momentum.into(), ..self.momenta }, ..self }
    }

    /// The momentum at the smallest rate: 0.9 unless set.
    #[must_use]
    pub fn max_momentum(self, max_momentum: impl Into<PerGroup>) -> CyclicLr {
        CyclicLr { momenta: Momenta { max: max_momentum.into(), ..self.momenta }, ..self }
    }

    fn apply(&self, step: u64, groups: &mut [GroupRates]) {
        let (at, up) = (step as f64, self.step_size_up as f64);
        let total = up + self.step_size_down as f64;
        let ratio = up / total;
        let cycle = (1.0 + at / total).floor();
        let share = 1.0 + at / total - cycle;
        let height = if share <= ratio { share / ratio } else { (share - 1.0) / (ratio - 1.0) };
        let scale = self.mode.scale(cycle, at);
        for (index, group) in groups.iter_mut().enumerate() {
            let (base, max) = (self.base_lr.of(index), self.max_lr.of(index));
            group.lr = base + (max - base) * height * scale;
            if self.cycle_momentum {
                let (base, max) = (self.momenta.base.of(index), self.momenta.max.of(index));
                group.momentum = Some(max - (max - base) * height * scale);
            }
        }
    }
}

impl LrSchedule for CyclicLr {
    fn name(&self) -> &'static str {
        "CyclicLr"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        let op = self.name();
        self.base_lr.check(op, "base_lr", groups.len(), NOT_NEGATIVE, is_not_negative)?;
        self.max_lr.check(op, "max_lr", groups.len(), NOT_NEGATIVE, is_not_negative)?;
        at_least_one(op, "step_size_up", self.step_size_up)?;
        if let CyclicMode::ExpRange(gamma) = self.mode {
            finite(op, "gamma", gamma)?;
        }
        if self.cycle_momentum { self.momenta.check(op, groups) } else { Ok(()) }
    }
    fn own_base(&self, group: usize, is_first: bool) -> Option<f64> {
        is_first.then(|| self.base_lr.of(group))
    }
    fn start(&self, groups: &mut [GroupRates]) {
        self.apply(0, groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        self.apply(step, groups);
        Ok(())
    }
}
