//! Plans recorded graphs and runs them: `lower` makes a plan by passes over the graph, and a cache keeps plans.

mod analysis;
mod cluster;
mod codegen;
mod execute;
mod lower;
mod memory;

use crate::device::{Cache, DynamicSizes, Fill, Gpu, Waiting};
use crate::error::{Error, Result};
use crate::graph::{BoxFuture, Executor, Fingerprint, Profiler, Schedule, Stats, Storage};
use crate::tune::Tuner;
use analysis::key;
use execute::log::Log;
use execute::print;
use execute::run::{self, Memory};
use memory::assign::Plan;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plans in the cache: a program whose graph never repeats must not fill memory. The least recently used go first.
const MOST_CACHED_PLANS: usize = 512;

/// Calls of all plans in the cache: a plan takes some hundred bytes of memory for each.
const MOST_CACHED_CALLS: usize = 1 << 18;

/// Bind groups of all plans in the cache, and how many are made between two checks of that.
const MOST_BIND_GROUPS: usize = 1 << 14;
const BIND_GROUPS_A_LOOK: u64 = 1 << 12;

/// A plan in the cache.
struct Cached {
    plan: Plan,
    memory: Mutex<Memory>,
    /// The structure behind its fingerprint, in debug builds.
    structure: Vec<u8>,
}

/// Runs recorded graphs on an adapter. Plans are cached by the structure of the graph.
pub(crate) struct Planner {
    gpu: Gpu,
    tuner: Tuner,
    /// Plans by the structure of their graph.
    plans: Mutex<Cache<Fingerprint, Arc<Cached>>>,
    /// Bind groups made up to the last check of how many are kept.
    bound: AtomicU64,
    planned: AtomicU64,
    runs: AtomicU64,
    /// Bytes that the last plan needs.
    bytes_planned: AtomicU64,
    profiler: Profiler,
    log: Log,
    /// Memory for comparing structures, in debug builds.
    structure: Mutex<Vec<u8>>,
}

impl Planner {
    pub fn new(gpu: Gpu, tuner: Tuner) -> Result<Planner> {
        Ok(Planner {
            gpu,
            tuner,
            plans: Mutex::default(),
            bound: AtomicU64::new(0),
            planned: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            bytes_planned: AtomicU64::new(0),
            profiler: Profiler::default(),
            log: Log::from_env()?,
            structure: Mutex::default(),
        })
    }

    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub fn tuner(&self) -> &Tuner {
        &self.tuner
    }

    /// Forgets all plans, so that the next ones choose their kernels anew.
    pub fn forget_plans(&self) {
        self.plans.lock().clear();
    }

    fn plan(&self, schedule: &Schedule) -> Result<Arc<Cached>> {
        let key = key::fingerprint(schedule);
        if let Some(cached) = self.plans.lock().get(&key) {
            if cfg!(debug_assertions) {
                let mut spare = self.structure.lock();
                *spare = key::structure(schedule, std::mem::take(&mut spare));
                assert!(cached.structure == *spare, "two structures have one fingerprint");
            }
            return Ok(cached.clone());
        }
        let mut structure = if cfg!(debug_assertions) { key::structure(schedule, Vec::new()) } else { Vec::new() };
        structure.shrink_to_fit();
        self.gpu.begin_plan(key::family(schedule));
        let mut plan = lower::lower(schedule, &self.gpu, &self.tuner)?;
        if self.gpu.has_many_sizes() {
            drop(plan);
            self.gpu.share_sizes();
            plan = lower::lower(schedule, &self.gpu, &self.tuner)?;
        }
        self.gpu.compile(plan.steps.iter().map(|step| &step.pipeline))?;
        if let Some(tuning) = self.tuner.settle() {
            self.log.tuning(&tuning);
            // Candidates left buffers there that nobody else may need.
            self.gpu.empty_pool();
        }
        let number = self.planned.fetch_add(1, Ordering::Relaxed);
        self.log.plan(number, &plan);
        let cached = Arc::new(Cached { plan, memory: Mutex::default(), structure });
        let mut plans = self.plans.lock();
        plans.insert(key, cached.clone());
        plans.trim(MOST_CACHED_PLANS, |_| true);
        let has_many_calls = |plans: &Cache<_, Arc<Cached>>| {
            plans.iter().map(|(_, cached)| cached.plan.calls.len()).sum::<usize>() > MOST_CACHED_CALLS
        };
        // Pipelines last as long as plans run them.
        while plans.len() > 1 && (has_many_calls(&plans) || self.gpu.has_many_pipelines()) {
            let most = plans.len() / 4 * 3;
            plans.trim(most.max(1), |_| true);
        }
        Ok(cached)
    }

    /// Keeps bind groups, for which the driver holds memory, of the most recently used plans only.
    fn bound_bind_groups(&self) {
        let bound = self.gpu.stats().bind_groups;
        if bound < self.bound.load(Ordering::Relaxed) + BIND_GROUPS_A_LOOK {
            return;
        }
        self.bound.store(bound, Ordering::Relaxed);
        let mut kept = 0;
        for cached in self.plans.lock().latest_first() {
            let mut memory = cached.memory.lock();
            kept += memory.bind_groups();
            if kept > MOST_BIND_GROUPS {
                memory.forget_bindings();
            }
        }
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
        let cached = self.plan(schedule)?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.bytes_planned.store(cached.plan.bytes(), Ordering::Relaxed);
        run::run(&cached.plan, &mut cached.memory.lock(), schedule, &self.gpu, &self.profiler)?;
        self.bound_bind_groups();
        Ok(())
    }

    fn ends(&self, schedule: &Schedule) -> Result<Vec<usize>> {
        let mut ends: Vec<usize> = self.plan(schedule)?.plan.steps.iter().map(|step| step.node).collect();
        ends.dedup();
        Ok(ends)
    }

    fn store(&self, bytes: usize, fill: Fill<'_>) -> Result<Storage> {
        self.gpu.store(bytes, fill).map(Storage::Device)
    }

    fn read<'a>(&'a self, storage: &'a Storage, bytes: usize, waiting: Waiting) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            match storage {
                Storage::Device(buffer) => self.gpu.read(buffer, bytes, waiting).await,
                Storage::Pending(data) => Ok(data[..bytes].to_vec()),
                Storage::Host(_) => {
                    Err(Error::Internal { op: "read", reason: "a host value on an adapter".to_string() })
                }
            }
        })
    }

    fn sync(&self, waiting: Waiting) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.gpu.sync(waiting))
    }

    fn stats(&self) -> Stats {
        let counters = self.gpu.stats();
        Stats {
            bytes_live: counters.memory.live,
            bytes_pooled: counters.memory.pooled,
            bytes_live_peak: counters.memory.live_peak,
            bytes_peak: counters.memory.peak,
            bytes_planned: self.bytes_planned.load(Ordering::Relaxed),
            buffers: counters.memory.created,
            pipelines: counters.pipelines,
            bind_groups: counters.bind_groups,
            dispatches: counters.dispatches,
            submits: counters.submits,
            plans: self.planned.load(Ordering::Relaxed),
            runs: self.runs.load(Ordering::Relaxed),
        }
    }

    fn reset_peaks(&self) {
        self.gpu.reset_peaks();
    }

    fn empty_cache(&self) {
        self.plans.lock().clear();
        self.gpu.empty_cache();
    }

    fn dynamic_sizes(&self, choice: DynamicSizes) {
        self.gpu.dynamic_sizes(choice);
        self.forget_plans();
    }

    fn describe(&self, schedule: &Schedule) -> Result<(String, String)> {
        let cached = self.plan(schedule)?;
        Ok((print::text(&cached.plan), print::dot(&cached.plan)))
    }

    fn profiler(&self) -> &Profiler {
        &self.profiler
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    /// The rooms, each of which may use those before it. `lower` stands above them.
    const ROOMS: [&str; 6] = ["analysis", "cluster", "codegen", "memory", "execute", "lower"];

    /// Collects the text of each module below a folder by its path, such as `codegen::rows`.
    fn read(folder: &Path, path: &str, modules: &mut BTreeMap<String, String>) {
        for entry in folder.read_dir().unwrap() {
            let file = entry.unwrap().path();
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let inner = if path.is_empty() { stem.to_string() } else { format!("{path}::{stem}") };
            match stem {
                _ if file.is_dir() => read(&file, &inner, modules),
                "mod" => _ = modules.insert(path.to_string(), std::fs::read_to_string(file).unwrap()),
                _ => _ = modules.insert(inner, std::fs::read_to_string(file).unwrap()),
            }
        }
    }

    /// The modules that a text imports, of those that there are.
    fn imports<'a>(text: &str, modules: &'a BTreeMap<String, String>) -> Vec<&'a str> {
        let lines = text.lines().map(str::trim).filter_map(|line| line.strip_prefix("use crate::plan::"));
        let paths = lines.flat_map(|line| match line.split_once('{') {
            Some((stem, names)) => names.split(['}', ',']).map(|name| format!("{stem}{}", name.trim())).collect(),
            None => vec![line.to_string()],
        });
        let longest = |path: String| {
            let is_prefix = |name: &&String| {
                path.trim_end_matches([';', ':'])
                    .split("::")
                    .collect::<Vec<_>>()
                    .starts_with(&name.split("::").collect::<Vec<_>>())
            };
            modules.keys().filter(is_prefix).max_by_key(|name| name.len()).map(String::as_str)
        };
        paths.filter_map(longest).collect()
    }

    #[test]
    fn rooms_use_those_below_them_and_files_have_no_circles() {
        let mut modules = BTreeMap::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan"), "", &mut modules);
        modules.remove("");
        let mut open: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (module, text) in &modules {
            let rank = |path: &str| ROOMS.iter().position(|room| path.split("::").next() == Some(room)).unwrap();
            let imports = imports(text, &modules);
            for import in &imports {
                assert!(rank(import) <= rank(module), "{module} uses {import}");
            }
            open.insert(module, imports);
        }
        assert!(open.values().map(Vec::len).sum::<usize>() > 100, "imports were not found");
        // Files that import none that is left, until there are no such.
        while let Some(free) = open
            .iter()
            .find(|(_, imports)| imports.iter().all(|import| !open.contains_key(import)))
            .map(|(&module, _)| module)
        {
            open.remove(free);
        }
        assert!(open.is_empty(), "circles among {:?}", open.keys());
    }
}
