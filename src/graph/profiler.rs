//! Collects the times of kernels from executors while a profile is taken.

use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One run of one kernel, of a [`Profile`](crate::Profile).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProfileEvent {
    /// The kernel's stem, the label of its pipeline; `reference` on the reference device.
    pub kernel: &'static str,
    /// PyTorch's name of the call it computes; for fused calls all names, joined by `+`.
    pub op: String,
    /// The line of user code that recorded the call, for fused calls the last one; for a gradient, the line that recorded the
    /// call that it differentiates.
    pub source: &'static Location<'static>,
    /// Its start, counted from the start of the profile.
    pub start: Duration,
    /// Its duration.
    pub time: Duration,
    /// Estimated floating-point operations; 0 if there is no estimate.
    pub work: u64,
}

/// Takes the events of one profile at a time. While no profile is taken, it costs one relaxed load a run.
#[derive(Default)]
pub(crate) struct Profiler {
    on: AtomicBool,
    taken: Mutex<Option<Taken>>,
}

struct Taken {
    since: Instant,
    events: Vec<ProfileEvent>,
}

/// A profile under way; dropping it ends it.
pub(crate) struct Running<'a>(&'a Profiler);

impl Profiler {
    /// Starts a profile.
    pub fn start(&self) -> Result<Running<'_>> {
        let mut taken = self.taken.lock();
        if taken.is_some() {
            return Err(Error::invalid("profile", "this device is being profiled already; profiles don't nest"));
        }
        *taken = Some(Taken { since: Instant::now(), events: Vec::new() });
        self.on.store(true, Ordering::Relaxed);
        Ok(Running(self))
    }

    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Adds events whose starts are counted from `base`.
    pub fn add(&self, base: Instant, events: impl IntoIterator<Item = ProfileEvent>) {
        if let Some(taken) = &mut *self.taken.lock() {
            let offset = base.saturating_duration_since(taken.since);
            taken.events.extend(events.into_iter().map(|event| ProfileEvent { start: event.start + offset, ..event }));
        }
    }
}

impl Running<'_> {
    /// Forgets the events so far.
    pub fn restart(&self) {
        *self.0.taken.lock() = Some(Taken { since: Instant::now(), events: Vec::new() });
    }

    /// Ends the profile; returns its duration and the events in it.
    pub fn finish(self) -> (Duration, Vec<ProfileEvent>) {
        self.0.taken.lock().take().map_or_else(Default::default, |taken| (taken.since.elapsed(), taken.events))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.on.store(false, Ordering::Relaxed);
        *self.0.taken.lock() = None;
    }
}
