//! One rise and fall of the rate (Smith and Topin, 2018: "Super-Convergence: Very Fast Training of Neural Networks Using Large
//! Learning Rates").

use super::group::{NOT_NEGATIVE, PerGroup, at_least_one, is_not_negative, number};
use super::momenta::Momenta;
use super::{GroupRates, LrSchedule};
use crate::error::{Error, Result};
use std::f64::consts::PI;

/// The line from one rate to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// Half a cosine.
    Cos,
    /// A straight line.
    Linear,
}

impl Anneal {
    fn between(self, start: f64, end: f64, share: f64) -> f64 {
        match self {
            Anneal::Cos => end + (start - end) / 2.0 * ((PI * share).cos() + 1.0),
            Anneal::Linear => (end - start) * share + start,
        }
    }
}

/// Raises the rate from `max_lr / div_factor` to `max_lr` over the first part of a training, and lets it fall to
/// `max_lr / div_factor / final_div_factor` over the rest, while the momentum falls to `base_momentum` and rises to
/// `max_momentum` again. It takes one step a batch, and its last is step `total_steps`; a further step is an error.
///
/// ```
/// use wgrad::optim::lr_scheduler::{LrScheduler, OneCycleLr};
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// # use wgrad::{Device, Parameter, Tensor};
/// # let device = Device::reference();
/// # let parameters = vec![Parameter::new("x", &Tensor::ones(&device, &[1])?)];
/// let mut sgd = Sgd::new(parameters, SgdOptions::default().momentum(0.9))?;
/// let (epochs, batches) = (2, 5);
/// let mut scheduler = LrScheduler::new(&mut sgd, OneCycleLr::of_epochs(0.1, epochs, batches).pct_start(0.5))?;
/// for _ in 0..epochs * batches {
///     sgd.step()?;
///     scheduler.step(&mut sgd)?;
/// }
/// assert!(scheduler.step(&mut sgd).is_err());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OneCycleLr {
    max_lr: PerGroup,
    total_steps: u64,
    pct_start: f64,
    anneal: Anneal,
    cycle_momentum: bool,
    momenta: Momenta,
    div_factor: f64,
    final_div_factor: f64,
    three_phase: bool,
}

/// An end of a phase of [`OneCycleLr`].
#[derive(Clone, Copy)]
enum Corner {
    Initial,
    Max,
    Min,
}

impl OneCycleLr {
    /// A cycle of `total_steps` steps.
    pub fn new(max_lr: impl Into<PerGroup>, total_steps: u64) -> OneCycleLr {
        OneCycleLr {
            max_lr: max_lr.into(),
            total_steps,
            pct_start: 0.3,
            anneal: Anneal::Cos,
            cycle_momentum: true,
            momenta: Momenta { base: 0.85.into(), max: 0.95.into() },
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }

    /// A cycle of a whole training.
    pub fn of_epochs(max_lr: impl Into<PerGroup>, epochs: u64, steps_per_epoch: u64) -> OneCycleLr {
        OneCycleLr::new(max_lr, epochs.saturating_mul(steps_per_epoch))
    }

    /// The fraction of the steps in which the rate rises: 0.3 unless set.
    #[must_use]
    pub fn pct_start(self, pct_start: f64) -> OneCycleLr {
        OneCycleLr { pct_start, ..self }
    }

    /// The curve between the rates (PyTorch's `anneal_strategy`): a cosine unless set.
    #[must_use]
    pub fn anneal(self, anneal: Anneal) -> OneCycleLr {
        OneCycleLr { anneal, ..self }
    }

    /// Moves the momentum the other way: true unless set.
    #[must_use]
    pub fn cycle_momentum(self, cycle_momentum: bool) -> OneCycleLr {
        OneCycleLr { cycle_momentum, ..self }
    }

    /// The momentum at the largest rate: 0.85 unless set.
    #[must_use]
    pub fn base_momentum(self, base_momentum: impl Into<PerGroup>) -> OneCycleLr {
        OneCycleLr { momenta: Momenta { base: base_momentum.into(), ..self.momenta }, ..self }
    }

    /// The momentum at the smallest rate: 0.95 unless set.
    #[must_use]
    pub fn max_momentum(self, max_momentum: impl Into<PerGroup>) -> OneCycleLr {
        OneCycleLr { momenta: Momenta { max: max_momentum.into(), ..self.momenta }, ..self }
    }

    /// Ratio of `max_lr` to the first rate: 25 unless set.
    #[must_use]
    pub fn div_factor(self, div_factor: f64) -> OneCycleLr {
        OneCycleLr { div_factor, ..self }
    }

    /// Ratio of the first rate to the last: 10,000 unless set.
    #[must_use]
    pub fn final_div_factor(self, final_div_factor: f64) -> OneCycleLr {
        OneCycleLr { final_div_factor, ..self }
    }

    /// Lets the rate fall to the first one as fast as it rose, and from there to the last: false unless set.
    #[must_use]
    pub fn three_phase(self, three_phase: bool) -> OneCycleLr {
        OneCycleLr { three_phase, ..self }
    }

    fn phases(&self) -> Vec<(f64, Corner, Corner)> {
        let (total, rise) = (self.total_steps as f64, self.pct_start * self.total_steps as f64);
        let mut phases = vec![(rise - 1.0, Corner::Initial, Corner::Max)];
        if self.three_phase {
            phases.push((2.0 * rise - 2.0, Corner::Max, Corner::Initial));
            phases.push((total - 1.0, Corner::Initial, Corner::Min));
        } else {
            phases.push((total - 1.0, Corner::Max, Corner::Min));
        }
        phases
    }

    fn rate(&self, corner: Corner, group: usize) -> f64 {
        let max = self.max_lr.of(group);
        match corner {
            Corner::Max => max,
            Corner::Initial => max / self.div_factor,
            Corner::Min => max / self.div_factor / self.final_div_factor,
        }
    }

    fn momentum(&self, corner: Corner, group: usize) -> f64 {
        match corner {
            Corner::Max => self.momenta.base.of(group),
            Corner::Initial | Corner::Min => self.momenta.max.of(group),
        }
    }

    fn apply(&self, step: u64, groups: &mut [GroupRates]) {
        let (at, phases) = (step as f64, self.phases());
        let phase = phases.iter().position(|&(end, ..)| at <= end).unwrap_or(phases.len() - 1);
        let begin = if phase == 0 { 0.0 } else { phases[phase - 1].0 };
        let (end, from, to) = phases[phase];
        let share = (at - begin) / (end - begin);
        for (index, group) in groups.iter_mut().enumerate() {
            group.lr = self.anneal.between(self.rate(from, index), self.rate(to, index), share);
            if self.cycle_momentum {
                let (from, to) = (self.momentum(from, index), self.momentum(to, index));
                group.momentum = Some(self.anneal.between(from, to, share));
            }
        }
    }
}

impl LrSchedule for OneCycleLr {
    fn name(&self) -> &'static str {
        "OneCycleLr"
    }
    fn check(&self, groups: &[GroupRates]) -> Result<()> {
        let op = self.name();
        self.max_lr.check(op, "max_lr", groups.len(), NOT_NEGATIVE, is_not_negative)?;
        at_least_one(op, "total_steps", self.total_steps)?;
        number(op, "pct_start", self.pct_start, "from 0 to 1", |value| (0.0..=1.0).contains(&value))?;
        let factor = |value: f64| value > 0.0 && value.is_finite();
        number(op, "div_factor", self.div_factor, "finite and above 0", factor)?;
        number(op, "final_div_factor", self.final_div_factor, "finite and above 0", factor)?;
        if self.cycle_momentum { self.momenta.check(op, groups) } else { Ok(()) }
    }
    fn own_base(&self, group: usize, _: bool) -> Option<f64> {
        Some(self.rate(Corner::Initial, group))
    }
    fn start(&self, groups: &mut [GroupRates]) {
        self.apply(0, groups);
    }
    fn step(&self, step: u64, groups: &mut [GroupRates]) -> Result<()> {
        if step > self.total_steps {
            let rule = format!("step {step} is past the end: total_steps is {}", self.total_steps);
            return Err(Error::invalid(self.name(), rule));
        }
        self.apply(step, groups);
        Ok(())
    }
}
