//! Runs recorded graphs in small parts and checks each part, to find the first operation that goes wrong.

mod diff;
mod nan;
mod part;
mod tolerance;

use crate::device::{Debug, DynamicSizes, Fill, Waiting};
use crate::error::Result;
use crate::graph::{BoxFuture, Executor, Profiler, Schedule, Stats, Storage};
use parking_lot::Mutex;
use part::Parts;

/// An executor whose results are checked part by part if that is asked for.
pub(crate) struct Checked {
    inner: Box<dyn Executor>,
    /// An error if the environment asks for something unknown; returned by the first run.
    debug: Mutex<Result<Debug>>,
}

impl Checked {
    pub fn wrap(inner: Box<dyn Executor>, debug: Result<Debug>) -> Box<dyn Executor> {
        Box::new(Checked { inner, debug: Mutex::new(debug) })
    }
}

impl Executor for Checked {
    fn execute(&self, schedule: &Schedule) -> Result<()> {
        let debug = self.debug.lock().clone()?;
        if debug == Debug::default() {
            return self.inner.execute(schedule);
        }
        // A search for the first NaN checks single calls; kernels that compute several calls are compared whole.
        let ends = if debug.nan { schedule.calls() } else { self.inner.ends(schedule)? };
        let kept = (0..schedule.nodes.len()).filter(|&node| schedule.kept[node]);
        let mut parts = Parts::new(schedule, &*self.inner);
        for end in ends.into_iter().chain(kept) {
            if schedule.nodes[end].is_computed() {
                continue;
            }
            let part = parts.of(end);
            self.inner.execute(&part)?;
            if debug.nan {
                nan::check(&parts, &part)?;
            }
            if debug.diff {
                diff::check(&parts, &part)?;
            }
            parts.done(&part);
        }
        Ok(())
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn max_tensor_bytes(&self) -> u64 {
        self.inner.max_tensor_bytes()
    }

    fn store(&self, bytes: usize, fill: Fill<'_>) -> Result<Storage> {
        self.inner.store(bytes, fill)
    }

    fn ends(&self, schedule: &Schedule) -> Result<Vec<usize>> {
        self.inner.ends(schedule)
    }

    fn read<'a>(&'a self, storage: &'a Storage, bytes: usize, waiting: Waiting) -> BoxFuture<'a, Result<Vec<u8>>> {
        self.inner.read(storage, bytes, waiting)
    }

    fn sync(&self, waiting: Waiting) -> BoxFuture<'_, Result<()>> {
        self.inner.sync(waiting)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn reset_peaks(&self) {
        self.inner.reset_peaks();
    }

    fn empty_cache(&self) {
        self.inner.empty_cache();
    }
    fn dynamic_sizes(&self, choice: DynamicSizes) {
        self.inner.dynamic_sizes(choice);
    }

    fn set_debug(&self, debug: Result<Debug>) -> Result<Debug> {
        std::mem::replace(&mut self.debug.lock(), debug)
    }

    fn describe(&self, schedule: &Schedule) -> Result<(String, String)> {
        self.inner.describe(schedule)
    }

    fn profiler(&self) -> &Profiler {
        self.inner.profiler()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self.inner.as_any()
    }
}
