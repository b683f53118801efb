//! The progress of a run, and its pace.

use super::{Position, RunningMean, State};
use crate::data::LoadTimes;
use crate::error::Result;
use crate::graph::Device;
use crate::number::nearest;
use crate::state::{Numbers, is_count, number};
use std::time::{Duration, Instant};

const OP: &str = "trainer";

/// The position of a run, as checkpoints hold it.
pub(super) struct Progress {
    pub epoch: u64,
    /// Batches done of the epoch.
    pub batch: usize,
    pub counts: Counts,
    /// The loss of the epoch so far.
    pub loss: RunningMean,
}

/// Counts besides the position.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Steps of the optimizer.
    pub step: u64,
    /// The step of the last validation.
    pub validated: u64,
}

impl Progress {
    pub fn new(device: &Device) -> Result<Progress> {
        Ok(Progress { epoch: 0, batch: 0, counts: Counts::default(), loss: RunningMean::new(device)? })
    }

    pub fn states(&mut self) -> [(String, &mut dyn State); 2] {
        [("trainer".into(), &mut self.counts), ("train_loss".into(), &mut self.loss)]
    }

    pub fn stand_at(&mut self, at: &Position) {
        self.epoch = at.epoch;
        self.batch = nearest(at.batch);
    }

    /// Goes on to the next epoch.
    pub fn end_epoch(&mut self) -> Result<()> {
        self.epoch += 1;
        self.batch = 0;
        self.loss.reset()
    }
}

impl State for Counts {
    fn kind(&self) -> &'static str {
        OP
    }
    fn numbers(&self) -> Result<Numbers> {
        let counts = [("step", self.step), ("validated", self.validated)];
        Ok(counts.into_iter().map(|(name, count)| (name.to_string(), vec![count as f64])).collect())
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        number(OP, numbers, "step", is_count)?;
        number(OP, numbers, "validated", is_count).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.step = nearest(number(OP, numbers, "step", is_count)?);
        self.validated = nearest(number(OP, numbers, "validated", is_count)?);
        Ok(())
    }
}

/// The pace of an epoch, or of the rest of one.
pub(super) struct Pace {
    start: Instant,
    /// Time that belongs to no step: evaluations, checkpoints.
    apart: Duration,
    pub waited: Duration,
    pub items: usize,
    /// The time of the last step's submission.
    last: Instant,
    first_step: Duration,
    steps: Vec<Duration>,
}

impl Pace {
    pub fn new() -> Pace {
        let start = Instant::now();
        Pace {
            start,
            apart: Duration::ZERO,
            waited: Duration::ZERO,
            items: 0,
            last: start,
            first_step: Duration::ZERO,
            steps: Vec::new(),
        }
    }

    /// Counts a step. The first one is waited for: it plans and compiles in a program's first epoch.
    pub fn step(&mut self, device: &Device, items: usize) -> Result<()> {
        self.items += items;
        if self.first_step.is_zero() {
            device.sync()?;
            self.first_step = self.start.elapsed();
        } else {
            self.steps.push(self.last.elapsed());
        }
        Ok(())
    }

    /// Runs work that belongs to no step.
    pub fn apart<R>(&mut self, run: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = run();
        self.apart += start.elapsed();
        self.last = Instant::now();
        result
    }

    pub fn times(&self) -> LoadTimes {
        LoadTimes { elapsed: self.start.elapsed() - self.apart, waited: self.waited }
    }

    pub fn items_per_second(&self) -> f64 {
        self.items as f64 / self.times().elapsed.as_secs_f64().max(1e-9)
    }

    /// Milliseconds of the first step, and the median of the others.
    pub fn step_ms(&mut self) -> [f64; 2] {
        self.steps.sort_unstable();
        let median = self.steps.get(self.steps.len() / 2).copied().unwrap_or(self.first_step);
        [self.first_step, median].map(|time| 1e3 * time.as_secs_f64())
    }
}
