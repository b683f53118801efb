//! From a recorded graph to dispatches: passes over the graph, each a file, and the cache of their results.

mod fuse;
mod key;
mod log;
mod lower;
mod place;
mod pointwise;
mod print;
mod profile;
mod run;
mod simplify;

use crate::device::Gpu;
use crate::error::{Error, Result};
use crate::graph::{BoxFuture, Executor, Profiler, Schedule, Stats, Storage};
use log::Log;
use parking_lot::Mutex;
use place::Plan;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plans kept: a program whose graph never repeats must not fill memory. The one that was not used for longest goes.
const MOST_PLANS: usize = 512;

/// A plan, and the number of the run that used it last.
type Cached = (Arc<Plan>, u64);

/// Runs recorded graphs on an adapter. Plans are cached by the structure of the graph.
pub(crate) struct Planner {
    gpu: Gpu,
    /// Plans by the structure of their graph.
    plans: Mutex<HashMap<Vec<u8>, Cached>>,
    planned: AtomicU64,
    runs: AtomicU64,
    profiler: Profiler,
    log: Log,
}

impl Planner {
    pub fn new(gpu: Gpu) -> Result<Planner> {
        Ok(Planner {
            gpu,
            plans: Mutex::default(),
            planned: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            profiler: Profiler::default(),
            log: Log::from_env()?,
        })
    }

    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    fn plan(&self, schedule: &Schedule) -> Result<Arc<Plan>> {
        let key = key::structure(schedule);
        let now = self.runs.load(Ordering::Relaxed);
        if let Some((plan, used)) = self.plans.lock().get_mut(&key) {
            *used = now;
            return Ok(plan.clone());
        }
        let plan = Arc::new(lower::lower(schedule, &self.gpu)?);
        let number = self.planned.fetch_add(1, Ordering::Relaxed);
        self.log.plan(number, &plan);
        let mut plans = self.plans.lock();
        if plans.len() >= MOST_PLANS {
            let oldest = plans.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            oldest.and_then(|key| plans.remove(&key));
        }
        plans.insert(key, (plan.clone(), now));
        Ok(plan)
    }
}

impl Executor for Planner {
    fn name(&self) -> &str {
        &self.gpu.adapter().name
    }

    fn max_tensor_bytes(&self) -> u64 {
        self.gpu.adapter().max_binding_bytes
    }

    fn execute(&self, schedule: &Schedule) -> Result<()> {
        let plan = self.plan(schedule)?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        run::run(&plan, schedule, &self.gpu, &self.profiler)
    }

    fn ends(&self, schedule: &Schedule) -> Result<Vec<usize>> {
        let mut ends: Vec<usize> = self.plan(schedule)?.steps.iter().map(|step| step.node).collect();
        ends.dedup();
        Ok(ends)
    }

    fn read<'a>(&'a self, storage: &'a Storage, bytes: usize) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            match storage {
                Storage::Device(buffer) => self.gpu.read(buffer, bytes).await,
                Storage::Pending(data) => Ok(data[..bytes].to_vec()),
                Storage::Host(_) => {
                    Err(Error::Internal { op: "read", reason: "a host value on an adapter".to_string() })
                }
            }
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.gpu.sync())
    }

    fn stats(&self) -> Stats {
        let counters = self.gpu.stats();
        Stats {
            bytes_live: counters.bytes_live,
            bytes_pooled: counters.bytes_pooled,
            bytes_peak: counters.bytes_peak,
            buffers: counters.buffers,
            pipelines: counters.pipelines,
            bind_groups: counters.bind_groups,
            dispatches: counters.dispatches,
            submits: counters.submits,
            plans: self.planned.load(Ordering::Relaxed),
            runs: self.runs.load(Ordering::Relaxed),
        }
    }

    fn empty_cache(&self) {
        self.gpu.empty_cache();
    }

    fn describe(&self, schedule: &Schedule) -> Result<(String, String)> {
        let plan = self.plan(schedule)?;
        Ok((print::text(&plan), print::dot(&plan)))
    }

    fn profiler(&self) -> &Profiler {
        &self.profiler
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
