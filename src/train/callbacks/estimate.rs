//! An estimate of a run's time, and its memory so far.

use crate::error::Result;
use crate::train::{Callback, Run};
use std::time::{Duration, Instant};

/// Steps before the measurement, in which kernels are compiled, and steps that are measured.
const STEPS: (u64, u64) = (3, 10);

/// Notes, after a few steps, the time that the rest of the run will take without its validations, and the peak of the
/// device's memory. It waits for the device twice.
///
/// ```
/// use wgrad::train::{Callback, Estimate};
/// # use wgrad::train::{Requests, Run};
/// # use wgrad::{Device, nn::{Linear, Scope}, optim::{Sgd, SgdOptions}};
/// # let device = Device::reference();
/// # let model = Linear::new(&Scope::new(&device), 4, 2)?;
/// # let mut sgd = Sgd::new(&model, SgdOptions::default())?;
/// # let mut requests = Requests::default();
/// let mut estimate = Estimate::default();
/// for batch in 1..20 {
///     let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
///     (run.batch, run.batches) = (batch, 1000);
///     estimate.on_step_end(&mut run)?;
/// }
/// let notes = requests.take_notes();
/// assert!(notes[0].starts_with("about ") && notes.len() == 1);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    steps: u64,
    start: Option<(Instant, u64)>,
}

impl Estimate {
    /// The note at a step.
    fn note(run: &Run, elapsed: Duration, batches: u64) -> String {
        let done = batches_done(run);
        let left = run.epochs.saturating_mul(run.batches as u64).saturating_sub(done);
        let seconds = elapsed.as_secs_f64() / batches.max(1) as f64 * left as f64;
        let megabytes = run.device.stats().bytes_peak as f64 / 1e6;
        format!(
            "about {} for the {left} batches left, {megabytes:.0} MB of device memory at the peak",
            duration(seconds)
        )
    }
}

fn batches_done(run: &Run) -> u64 {
    run.epoch * run.batches as u64 + run.batch as u64
}

/// `48 s`, `12 min`, `3 h 5 min`.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h {:.0} min", (seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor()),
    }
}

impl Callback for Estimate {
    fn on_fit_start(&mut self, _: &mut Run) -> Result<()> {
        *self = Estimate::default();
        Ok(())
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        self.steps += 1;
        if self.steps == STEPS.0 {
            run.device.sync()?;
            self.start = Some((Instant::now(), batches_done(run)));
        } else if let Some((start, done)) = self.start.take_if(|_| self.steps == STEPS.0 + STEPS.1) {
            run.device.sync()?;
            let note = Estimate::note(run, start.elapsed(), batches_done(run) - done);
            run.requests.note(note);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        assert_eq!([48.4, 719.0, 11_100.0].map(duration), ["48 s", "12 min", "3 h 5 min"]);
    }
}
