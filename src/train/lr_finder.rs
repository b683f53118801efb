//! The learning-rate range test.

use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::nn::Module;
use crate::optim::Optimizer;

const OP: &str = "LrFinder";

/// The way from the smallest rate to the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ramp {
    /// By the same factor at each step.
    Exponential,
    /// By the same difference at each step.
    Linear,
}

/// Finds a learning rate by a range test (Smith, 2017): trains with a rate that grows from step to step, until the loss
/// diverges. The model, the optimizer and the device's random stream are restored afterwards, to the bit.
///
/// Groups with different rates keep their ratios: the largest one follows the ramp.
///
/// ```
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// use wgrad::train::LrFinder;
/// use wgrad::{Device, Tensor};
///
/// let device = Device::reference();
/// let model = Linear::new(&Scope::new(&device), 4, 1)?;
/// let mut sgd = Sgd::new(&model, SgdOptions::default())?;
/// let (x, y) = (Tensor::randn(&device, &[16, 4])?, Tensor::ones(&device, &[16, 1])?);
/// let curve = LrFinder::default().start_lr(1e-4).end_lr(10.0).steps(40).run(&device, &model, &mut sgd, || {
///     let difference = model.forward(&x)? - &y;
///     difference?.square()?.mean_all()
/// })?;
/// let lr = curve.steepest().unwrap();
/// assert!(lr > 1e-4 && lr < 10.0);
/// sgd.set_lr(0, lr)?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrFinder {
    start_lr: f64,
    end_lr: f64,
    steps: usize,
    ramp: Ramp,
    smoothing: f64,
    divergence: f64,
}

impl Default for LrFinder {
    /// An exponential ramp of 100 steps from 1e-7 to 10.
    fn default() -> LrFinder {
        LrFinder { start_lr: 1e-7, end_lr: 10.0, steps: 100, ramp: Ramp::Exponential, smoothing: 0.9, divergence: 4.0 }
    }
}

impl LrFinder {
    /// The first rate.
    #[must_use]
    pub fn start_lr(self, start_lr: f64) -> LrFinder {
        LrFinder { start_lr, ..self }
    }

    /// The last rate, unless the loss diverges before.
    #[must_use]
    pub fn end_lr(self, end_lr: f64) -> LrFinder {
        LrFinder { end_lr, ..self }
    }

    /// The number of steps, at least 2.
    #[must_use]
    pub fn steps(self, steps: usize) -> LrFinder {
        LrFinder { steps, ..self }
    }

    /// The way between the rates.
    #[must_use]
    pub fn ramp(self, ramp: Ramp) -> LrFinder {
        LrFinder { ramp, ..self }
    }

    /// The weight of earlier losses in the smoothed loss: 0 takes each as it is, and 0.9 is the default.
    #[must_use]
    pub fn smoothing(self, smoothing: f64) -> LrFinder {
        LrFinder { smoothing, ..self }
    }

    /// Multiple of the best smoothed loss that ends the test: 4 unless set.
    #[must_use]
    pub fn divergence(self, divergence: f64) -> LrFinder {
        LrFinder { divergence, ..self }
    }

    fn check(&self) -> Result<()> {
        let LrFinder { start_lr, end_lr, steps, smoothing, divergence, .. } = *self;
        let rule = match () {
            () if !(start_lr > 0.0 && end_lr > start_lr && end_lr.is_finite()) => {
                format!("rates go from {start_lr} to {end_lr}; they must be finite, above 0 and rising")
            }
            () if steps < 2 => format!("steps is {steps}; it must be at least 2"),
            () if !(0.0..1.0).contains(&smoothing) => {
                format!("smoothing is {smoothing}; it must be at least 0 and below 1")
            }
            () if divergence.is_nan() || divergence <= 1.0 => {
                format!("divergence is {divergence}; it must be above 1")
            }
            () => return Ok(()),
        };
        Err(Error::invalid(OP, rule))
    }

    fn lr(&self, step: usize) -> f64 {
        let share = step as f64 / (self.steps - 1) as f64;
        match self.ramp {
            Ramp::Exponential => self.start_lr * (self.end_lr / self.start_lr).powf(share),
            Ramp::Linear => self.start_lr + (self.end_lr - self.start_lr) * share,
        }
    }

    /// Runs the test. `loss` gives the loss of a batch at each step, as a rule of another batch each time. An optimizer that
    /// takes two gradients a step climbs by one batch and descends by the next.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option is out of its range or all rates of the optimizer are 0; those of `loss` and
    /// of the steps. Model and optimizer are restored in any case.
    pub fn run(
        &self,
        device: &Device,
        model: &dyn Module,
        optimizer: &mut dyn Optimizer,
        mut loss: impl FnMut() -> Result<Tensor>,
    ) -> Result<LrCurve> {
        self.check()?;
        let rates = (0..optimizer.groups()).map(|group| optimizer.lr(group)).collect::<Result<Vec<f64>>>()?;
        let largest = rates.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(Error::invalid(OP, "all rates of the optimizer are 0, so none can grow"));
        }
        let before = Snapshot::new(device, model, &*optimizer)?;
        let shares: Vec<f64> = rates.iter().map(|lr| lr / largest).collect();
        let curve = self.climb(optimizer, &shares, &mut loss);
        before.restore(optimizer)?;
        curve
    }

    fn climb(
        &self,
        optimizer: &mut dyn Optimizer,
        shares: &[f64],
        next: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<LrCurve> {
        let mut curve = LrCurve::default();
        let (mut average, mut best) = (0.0, f64::INFINITY);
        for step in 0..self.steps {
            let lr = self.lr(step);
            shares.iter().enumerate().try_for_each(|(group, share)| optimizer.set_lr(group, lr * share))?;
            optimizer.zero_grad();
            let loss = next()?;
            loss.backward()?;
            if optimizer.has_first_step() {
                optimizer.first_step()?;
                next()?.backward()?;
            }
            optimizer.step()?;
            let loss = f64::from(loss.item::<f32>()?);
            average = self.smoothing * average + (1.0 - self.smoothing) * loss;
            // Without the zero that the average began with.
            let smoothed = average / (1.0 - self.smoothing.powf((step + 1) as f64));
            if !smoothed.is_finite() || smoothed > self.divergence * best {
                curve.diverged = true;
                break;
            }
            best = best.min(smoothed);
            curve.lrs.push(lr);
            curve.losses.push(loss);
            curve.smoothed.push(smoothed);
        }
        Ok(curve)
    }
}

/// Results of a range test.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LrCurve {
    /// The rate of each step.
    pub lrs: Vec<f64>,
    /// The loss of each step's batch, before the step.
    pub losses: Vec<f64>,
    /// The same, smoothed.
    pub smoothed: Vec<f64>,
    /// True if the test ended because the loss diverged.
    pub diverged: bool,
}

impl LrCurve {
    /// The rate at which the smoothed loss falls fastest by the logarithm of the rate; `None` of fewer than two steps.
    pub fn steepest(&self) -> Option<f64> {
        let slope = |at: usize| (self.smoothed[at + 1] - self.smoothed[at]) / (self.lrs[at + 1] / self.lrs[at]).ln();
        let steepest = (0..self.lrs.len().checked_sub(1)?).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
        Some(self.lrs[steepest])
    }

    /// A rate in the valley, as fastai suggests: of the longest sequence of steps that each have a smaller smoothed loss than
    /// the one before, the step halfway through its middle third; `None` of fewer than two steps.
    pub fn valley(&self) -> Option<f64> {
        let losses = &self.smoothed;
        if losses.len() < 2 {
            return None;
        }
        // For each step the length of the longest such sequence that ends there.
        let mut lengths: Vec<usize> = Vec::with_capacity(losses.len());
        for at in 0..losses.len() {
            let before = (0..at).filter(|&other| losses[at] < losses[other]).map(|other| lengths[other]).max();
            lengths.push(before.unwrap_or(0) + 1);
        }
        let longest = lengths.iter().copied().max()?;
        let end = lengths.iter().position(|&length| length == longest)?;
        let start = end.saturating_sub(longest);
        self.lrs.get(start + longest / 3 + longest / 6).copied()
    }
}
