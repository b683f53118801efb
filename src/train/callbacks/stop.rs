//! Stops a run from outside.

use crate::error::Result;
use crate::train::{Callback, Run};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Stops the run when a time is over, counted from the beginning of [`fit`](crate::train::Trainer::fit), after the step
/// that is under way.
///
/// ```
/// use std::time::Duration;
/// use wgrad::train::TimeLimit;
/// let limit = TimeLimit::new(Duration::from_secs(2 * 3600));
/// ```
#[derive(Clone, Debug)]
pub struct TimeLimit {
    limit: Duration,
    start: Option<Instant>,
}

impl TimeLimit {
    /// A limit of this duration.
    pub fn new(limit: Duration) -> TimeLimit {
        TimeLimit { limit, start: None }
    }
}

impl Callback for TimeLimit {
    fn on_fit_start(&mut self, _: &mut Run) -> Result<()> {
        self.start = Some(Instant::now());
        Ok(())
    }

    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if self.start.is_some_and(|start| start.elapsed() >= self.limit) {
            run.requests.stop(format!("the time limit of {:?} is over", self.limit));
        }
        Ok(())
    }
}

/// Stops the run on request, from another thread or a handler of signals, after the step that is under way. Clones
/// share one flag.
///
/// ```
/// use wgrad::train::StopFlag;
/// let flag = StopFlag::default();
/// let of_handler = flag.clone();
/// // In a handler of Ctrl-C: the first asks the run to stop, a second leaves at once.
/// if of_handler.request() > 1 {
///     std::process::exit(130);
/// }
/// assert!(flag.is_requested());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopFlag {
    requests: Arc<AtomicU32>,
}

impl StopFlag {
    /// Asks the run to stop. Returns the number of requests, this one included.
    pub fn request(&self) -> u32 {
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// True once the run was asked to stop.
    pub fn is_requested(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }
}

impl Callback for StopFlag {
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        if self.is_requested() {
            run.requests.stop("it was asked to");
        }
        Ok(())
    }
}
