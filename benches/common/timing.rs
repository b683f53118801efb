//! Timing work on a device.

use std::time::{Duration, Instant};
use wgrad::{Device, Result};

/// Most replays in one timing.
const MOST_REPLAYS: f64 = 1000.0;

/// The effort of timing.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Timings of each kind of work.
    pub rounds: usize,
    /// Approximate length of one timing: as many replays as fit, at least one.
    pub sample: Duration,
}

/// Work to be timed.
pub struct Work<'a> {
    run: Box<dyn FnMut() -> Result<()> + 'a>,
    device: Option<&'a Device>,
}

impl<'a> Work<'a> {
    /// Work that `run` submits to a device.
    pub fn on(device: &'a Device, run: impl FnMut() -> Result<()> + 'a) -> Work<'a> {
        Work { run: Box::new(run), device: Some(device) }
    }

    /// Work that is done when `run` returns.
    pub fn here(mut run: impl FnMut() + 'a) -> Work<'a> {
        let run = Box::new(move || {
            run();
            Ok(())
        });
        Work { run, device: None }
    }

    /// Runs it once and waits.
    pub fn once(&mut self) -> Result<()> {
        (self.run)()?;
        self.wait()
    }

    fn wait(&self) -> Result<()> {
        self.device.map_or(Ok(()), Device::sync)
    }
}

/// Seconds of one run of each kind of work: medians of several timings, taken in turns, so that other work on the machine affects
/// all of them. Each runs twice before, to compile and to plan.
pub fn time_of(works: &mut [Work], effort: Effort) -> Result<Vec<f64>> {
    let mut replays = Vec::new();
    for work in works.iter_mut() {
        work.once()?;
        work.once()?;
        let once = sample(work, 1)?;
        replays.push((effort.sample.as_secs_f64() / once.max(1e-9)).clamp(1.0, MOST_REPLAYS) as u32);
    }
    let mut samples = vec![Vec::new(); works.len()];
    for _ in 0..effort.rounds {
        for ((work, samples), &replays) in works.iter_mut().zip(&mut samples).zip(&replays) {
            samples.push(sample(work, replays)?);
        }
    }
    Ok(samples.into_iter().map(median).collect())
}

/// Seconds of one of several replays between two synchronisations. A device's own clock would be read here, and only here.
fn sample(work: &mut Work, replays: u32) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..replays {
        (work.run)()?;
    }
    work.wait()?;
    Ok(start.elapsed().as_secs_f64() / f64::from(replays))
}

/// The middle of an odd number of values, otherwise the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}
