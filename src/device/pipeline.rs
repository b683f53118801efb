//! Pipelines, each made once; those of a plan are compiled together.

use crate::device::Gpu;
use crate::device::cache::Cache;
use crate::device::precompile::{self, Precompiler, Tally};
use crate::device::recipe::{Forms, Recipe};
use crate::error::{Error, Result};
use crate::shader::{
    Binding, Kernel, Module, Operand, Role, Sizes, Word, has_wrong_math, repair_math, sizes, specialise,
    specialise_open,
};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Pipelines kept: with a software driver each takes about a megabyte.
const MOST_PIPELINES: usize = 1024;

/// The number of times that a graph may come with new sizes before its kernels read further ones from their parameters: in
/// training, in evaluation and a few times more.
const MOST_CHANGES: usize = 4;

/// Graphs for which that is counted.
const MOST_FAMILIES: usize = 1024;

/// The kernels that read the sizes of tensors from their parameters, so that other sizes compile nothing.
///
/// The results have the same bits either way. Kernels with inlined sizes are slightly faster, and each size takes a second or so
/// to compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DynamicSizes {
    /// Those of graphs whose sizes keep changing and, on GPUs whose driver takes long to compile (FXC on Windows), those that one
    /// graph runs with three sizes or more.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// A kernel that can be bound, and run once it is compiled.
pub(crate) struct Pipeline {
    /// Stem of the template.
    pub(super) name: &'static str,
    /// The result of compiling it, on any thread.
    pub(super) raw: OnceLock<Result<wgpu::ComputePipeline>>,
    pub(super) layout: wgpu::BindGroupLayout,
    /// Buffers it binds besides the parameters, by binding number: name, number, true if it writes.
    pub buffers: Vec<(String, u32, bool)>,
    pub(super) params: Option<u32>,
    /// Bytes of its parameters.
    pub params_bytes: u32,
    /// The sizes among its parameters, from a byte on.
    pub(super) sizes: Option<(u32, Sizes)>,
}

/// Graphs that differ in sizes only, one of which is being planned.
#[derive(Default)]
struct Family {
    fingerprint: u64,
    /// The number of them that brought new sizes, and true if this one did.
    changes: Cache<u64, usize>,
    is_counted: bool,
    /// True if earlier ones brought so many that further ones are read from parameters.
    keeps_changing: bool,
}

impl Family {
    fn begin(&mut self, fingerprint: u64) {
        self.changes.trim(MOST_FAMILIES, |_| true);
        self.keeps_changing = *self.changes.entry(fingerprint) >= MOST_CHANGES;
        self.fingerprint = fingerprint;
        self.is_counted = false;
    }

    /// Notes that this graph has new sizes; true if they keep changing.
    fn changes(&mut self) -> bool {
        if !std::mem::replace(&mut self.is_counted, true) {
            *self.changes.entry(self.fingerprint) += 1;
        }
        self.keeps_changing
    }
}

/// A pipeline to be compiled.
pub(super) struct Job {
    pub pipeline: Arc<Pipeline>,
    pub ir: naga::Module,
    pub bindings: Vec<Binding>,
    /// True if it contains a caller's text.
    pub custom: bool,
}

impl Job {
    /// The approximate cost of compiling it.
    fn size(&self) -> usize {
        self.ir.entry_points.iter().map(|entry| entry.function.expressions.len()).sum()
    }
}

#[derive(Default)]
pub(super) struct Pipelines {
    by_text: Mutex<Cache<String, Arc<Pipeline>>>,
    /// The same by recipe, without building the text.
    by_recipe: Mutex<Cache<Recipe, Forms>>,
    family: Mutex<Family>,
    dynamic_sizes: Mutex<DynamicSizes>,
    jobs: Mutex<Vec<Job>>,
    created: AtomicU64,
    bound: AtomicU64,
}

impl Pipelines {
    pub fn counters(&self) -> (u64, u64) {
        (self.created.load(Ordering::Relaxed), self.bound.load(Ordering::Relaxed))
    }

    pub fn count_bind_group(&self) {
        self.bound.fetch_add(1, Ordering::Relaxed);
    }

    pub fn sources(&self) -> Vec<(String, String)> {
        let by_text = self.by_text.lock();
        let mut sources: Vec<(String, String)> =
            by_text.iter().map(|(source, pipeline)| (pipeline.name.to_string(), source.clone())).collect();
        sources.sort_unstable();
        sources
    }

    /// Drops all pipelines that are not held elsewhere.
    pub fn clear(&self) {
        self.trim(0);
        *self.family.lock() = Family::default();
    }

    /// Drops those unused for longest that nothing else holds, down to `most` in total.
    fn trim(&self, most: usize) {
        self.by_text.lock().trim(most, |pipeline| Arc::strong_count(pipeline) == 1);
        self.by_recipe.lock().retain(|forms| forms.retain(|_| true));
    }
}

impl Gpu {
    /// The pipeline of a kernel, one for all kernels with the same text. It can be bound at once, and run after
    /// [`compile`](Gpu::compile).
    pub fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>> {
        if let Some(value) = kernel.too_large {
            let reason = format!("a parameter of {value}, and parameters have 32 bits");
            return Err(Error::Internal { op: kernel.name, reason });
        }
        let (recipe, sizes) = (Recipe::of(kernel), sizes::of(kernel));
        let choice = *self.pipelines.dynamic_sizes.lock();
        let mut by_recipe = self.pipelines.by_recipe.lock();
        let forms = by_recipe.entry(recipe);
        let known = forms.of(&sizes);
        let is_open = !sizes.is_empty()
            && match choice {
                DynamicSizes::Always => true,
                DynamicSizes::Never => false,
                DynamicSizes::Auto if known.is_some() => false,
                DynamicSizes::Auto => forms.is_shared || self.pipelines.family.lock().changes(),
            };
        match if is_open { forms.open.upgrade() } else { known } {
            Some(pipeline) => Ok(pipeline),
            None if is_open => {
                let (source, sizes) = specialise_open(kernel)?;
                let pipeline = self.specialised(kernel, source, Some(sizes))?;
                forms.open = Arc::downgrade(&pipeline);
                Ok(pipeline)
            }
            None => {
                let pipeline = self.specialised(kernel, specialise(kernel)?, None)?;
                forms.insert(sizes, &pipeline);
                Ok(pipeline)
            }
        }
    }

    /// Starts a plan: kernels that are requested from now on are for a graph of another size, or for another graph.
    pub fn begin_plan(&self, family: u64) {
        self.pipelines.family.lock().begin(family);
    }

    /// True if the graph that is planned reads new sizes from parameters.
    pub fn has_dynamic_sizes(&self) -> bool {
        match *self.pipelines.dynamic_sizes.lock() {
            DynamicSizes::Always => true,
            DynamicSizes::Never => false,
            DynamicSizes::Auto => self.pipelines.family.lock().keeps_changing,
        }
    }

    /// True if a kernel that takes long to compile was requested in many sizes. The caller should then call
    /// [`share_sizes`](Gpu::share_sizes), and ask again.
    pub fn has_many_sizes(&self) -> bool {
        let is_auto = *self.pipelines.dynamic_sizes.lock() == DynamicSizes::Auto;
        let wait_for_many = || self.pipelines.by_recipe.lock().iter().any(|(_, forms)| forms.wait_for_many());
        is_auto && self.adapter.profile.compiles_slowly && wait_for_many()
    }

    /// Makes such kernels read their sizes from parameters from now on, and skips compiling the ones that they replace, unless
    /// something holds those.
    pub fn share_sizes(&self) {
        let mut by_recipe = self.pipelines.by_recipe.lock();
        let mut spared = HashSet::new();
        by_recipe.retain(|forms| {
            if forms.wait_for_many() {
                spared.extend(forms.share());
            }
            true
        });
        // Its job and its text hold each of them.
        let stays = |pipeline: &Arc<Pipeline>, own| {
            Arc::strong_count(pipeline) > own || !spared.contains(&Arc::as_ptr(pipeline))
        };
        self.pipelines.jobs.lock().retain(|job| stays(&job.pipeline, 2));
        self.pipelines.by_text.lock().retain(|pipeline| stays(pipeline, 1));
    }

    /// Sets which kernels that are requested from now on read sizes from their parameters.
    pub fn dynamic_sizes(&self, choice: DynamicSizes) {
        *self.pipelines.dynamic_sizes.lock() = choice;
    }

    /// True if there are more pipelines than should be kept, even after dropping those that nothing runs.
    pub fn has_many_pipelines(&self) -> bool {
        let many = |pipelines: &Pipelines| pipelines.by_text.lock().len() > MOST_PIPELINES;
        if many(&self.pipelines) {
            // Some more than necessary, so that the next one is not checked at once.
            self.pipelines.trim(MOST_PIPELINES / 4 * 3);
        }
        many(&self.pipelines)
    }

    fn specialised(&self, kernel: &Kernel, mut source: String, sizes: Option<Sizes>) -> Result<Arc<Pipeline>> {
        if kernel.checked {
            source.insert_str(0, "// checked\n");
        }
        // A caller's template has types of its own, about which nothing is known.
        let is_ours = !kernel.checked || kernel.template.has_alias("F");
        if is_ours && has_wrong_math(&self.adapter.name) {
            source = repair_math(&source);
        }
        if let Some(pipeline) = self.pipelines.by_text.lock().get(&source) {
            return Ok(pipeline.clone());
        }
        dump(kernel.name, &source)?;
        let Module { ir, bindings, sizes_at } = Module::parse(kernel.name, &source)?;
        let is_cooperative = |ty: &naga::Type| matches!(ty.inner, naga::TypeInner::CooperativeMatrix { .. });
        if kernel.checked && ir.types.iter().any(|(_, ty)| is_cooperative(ty)) {
            // Experimental in wgpu, which does not check their loads and stores.
            let reason = "cooperative matrices are for wgrad's own kernels".to_string();
            return Err(Error::Shader { shader: kernel.name.to_string(), reason });
        }
        let layout = self.guarded(|| Ok(layout(&self.device, kernel.name, &bindings)))?;
        let params = bindings.iter().find(|binding| binding.role == Role::Params);
        let (params, params_bytes) = (params.map(|params| params.number), params.map_or(0, |params| params.bytes));
        let buffers = bindings
            .iter()
            .filter(|binding| binding.role != Role::Params)
            .map(|Binding { name, number, role, .. }| (name.clone(), *number, *role == Role::Write))
            .collect();
        let raw = OnceLock::new();
        let sizes = sizes_at.zip(sizes);
        let pipeline = Arc::new(Pipeline { name: kernel.name, raw, layout, buffers, params, params_bytes, sizes });
        let custom = kernel.checked;
        self.pipelines.jobs.lock().push(Job { pipeline: pipeline.clone(), ir, bindings, custom });
        self.pipelines.by_text.lock().insert(source, pipeline.clone());
        Ok(pipeline)
    }

    /// Compiles every pipeline that was requested since the last time, several at once: drivers take their time for each. Some of
    /// them may be for another thread, so only errors of those that are `wanted` are reported.
    pub fn compile<'a>(&self, wanted: impl IntoIterator<Item = &'a Arc<Pipeline>>) -> Result<()> {
        self.compile_waiting();
        wanted.into_iter().try_for_each(|pipeline| pipeline.raw().map(|_| ()))
    }

    fn compile_waiting(&self) {
        // Held to the end: another thread may have planned with the same pipelines.
        let mut waiting = self.pipelines.jobs.lock();
        let mut jobs = std::mem::take(&mut *waiting);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        let adapter = self.precompiler.as_ref().filter(|_| threads > 1 && precompile::pays(jobs.len()));
        // The largest first, so that no thread is left with it when the others are done.
        jobs.sort_by_key(|job| Reverse(job.size()));
        let jobs = Mutex::new(jobs.into_iter());
        let has_failed = AtomicBool::new(false);
        let tally = Tally::default();
        let work = || {
            let precompiler = adapter.and_then(Precompiler::open);
            while let Some(job) = next(&jobs) {
                if let Some(precompiler) = precompiler.as_ref().filter(|_| tally.goes_on()) {
                    tally.count(precompiler.compile(&job));
                }
                let Job { pipeline, ir, custom, .. } = job;
                let raw = self.guarded(|| Ok(create(&self.device, pipeline.name, &pipeline.layout, ir, custom)));
                if raw.is_ok() {
                    self.pipelines.created.fetch_add(1, Ordering::Relaxed);
                } else {
                    has_failed.store(true, Ordering::Relaxed);
                }
                pipeline.raw.get_or_init(|| raw);
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // If a thread can't be started, the others do its work.
                let _ = thread::Builder::new().name("wgrad compiles".to_string()).spawn_scoped(scope, work);
            }
            work();
        });
        // A request for a pipeline holds its recipe and waits for this.
        drop(waiting);
        if has_failed.into_inner() {
            // The next request for one of these has it compiled again.
            let may_serve = |pipeline: &Pipeline| !matches!(pipeline.raw.get(), Some(Err(_)));
            self.pipelines.by_text.lock().retain(|pipeline| may_serve(pipeline));
            self.pipelines.by_recipe.lock().retain(|forms| forms.retain(may_serve));
        }
    }
}

/// Makes the layout of a module's bindings.
pub(super) fn layout(device: &wgpu::Device, name: &str, bindings: &[Binding]) -> wgpu::BindGroupLayout {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = bindings
        .iter()
        .map(|binding| wgpu::BindGroupLayoutEntry {
            binding: binding.number,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding.role {
                    Role::Params => wgpu::BufferBindingType::Uniform,
                    Role::Read => wgpu::BufferBindingType::Storage { read_only: true },
                    Role::Write => wgpu::BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                // Without it, it would be checked at each dispatch, and not once a bind group.
                min_binding_size: wgpu::BufferSize::new(u64::from(binding.bytes)),
            },
            count: None,
        })
        .collect();
    let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries };
    device.create_bind_group_layout(&descriptor)
}

/// Makes the pipeline of a module. One with a caller's text gets all of WGSL's guarantees: bounds checks, loops that end, and
/// workgroup memory that begins as zeros, and so reveals nothing that other programs left there.
pub(super) fn create(
    device: &wgpu::Device,
    name: &str,
    layout: &wgpu::BindGroupLayout,
    ir: naga::Module,
    custom: bool,
) -> wgpu::ComputePipeline {
    let label = Some(name);
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    let descriptor = wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Naga(Cow::Owned(ir)) };
    let shader = if custom || cfg!(debug_assertions) {
        device.create_shader_module(descriptor)
    } else {
        // SAFETY: only wgrad's own text gets here. Every index it forms is bounded by sizes from the planner, which are those of
        // the buffers: layouts of a caller's operations are checked when they are recorded (`graph/node.rs`). Debug builds, in
        // which the tests run, keep wgpu's checks on.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &shader,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[],
            // Our kernels write before they read, which the tests check on drivers that don't clear the memory.
            zero_initialize_workgroup_memory: custom,
        },
        cache: None,
    })
}

fn next<T>(jobs: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    jobs.lock().next()
}

/// Writes a module that is about to be compiled to `NAME-HASH.wgsl` in the folder that `WGRAD_DUMP_SHADERS` names.
fn dump(name: &str, source: &str) -> Result<()> {
    let Some(folder) = std::env::var_os("WGRAD_DUMP_SHADERS").map(PathBuf::from) else { return Ok(()) };
    let mut hash = DefaultHasher::new();
    source.hash(&mut hash);
    let path = folder.join(format!("{name}-{:016x}.wgsl", hash.finish()));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, source))
        .map_err(|e| Error::file(&path, format!("{e}; WGRAD_DUMP_SHADERS must name a folder that can be written")))
}

impl Gpu {
    /// Appends a kernel's parameters to those of others: its words, and its sizes if the pipeline reads those. `offset` and
    /// `scalar` return the words that differ from run to run. Returns the first byte, where a binding may begin.
    pub fn append_params(
        &self,
        params: &mut Vec<u8>,
        (pipeline, kernel): (&Pipeline, &Kernel),
        offset: impl Fn(usize) -> u32,
        scalar: impl Fn(usize) -> u32,
    ) -> Result<usize> {
        let start = params.len().next_multiple_of(self.adapter.params_alignment as usize);
        params.resize(start, 0);
        for &word in &kernel.params {
            let word = match word {
                Word::Value(value) => value,
                Word::Offset(input) => offset(input),
                Word::Scalar(at) => scalar(at),
                Word::Fault(fault) => self.fault_code(fault),
            };
            params.extend(word.to_le_bytes());
        }
        params.resize(params.len().max(start + pipeline.params_bytes.max(16) as usize), 0);
        if let Some((sizes_start, sizes)) = &pipeline.sizes {
            let words = sizes.words(sizes::of(kernel))?;
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            params[start + *sizes_start as usize..].iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        }
        Ok(start)
    }
}

impl Pipeline {
    /// Finds the buffer of each binding by its operand. `None` means the words of the bad index.
    pub fn operands<T>(&self, kernel: &Kernel, find: impl Fn(Operand) -> Option<T>) -> Result<Vec<Option<T>>> {
        let buffer = |(name, _, _): &(String, u32, bool)| {
            let unbound = || {
                let reason = format!("binding {name} has no operand");
                Error::Internal { op: kernel.name, reason }
            };
            let (_, operand) = kernel.bindings.iter().find(|binding| binding.0 == *name).ok_or_else(unbound)?;
            if *operand == Operand::BadIndex { Ok(None) } else { find(*operand).map(Some).ok_or_else(unbound) }
        };
        self.buffers.iter().map(buffer).collect()
    }

    pub(super) fn raw(&self) -> Result<&wgpu::ComputePipeline> {
        let reason = || format!("{} was not compiled", self.name);
        let raw = self.raw.get().ok_or_else(|| Error::Internal { op: "pipeline", reason: reason() })?;
        raw.as_ref().map_err(Error::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceOptions, Noop};

    /// No parser checks its size, and every device refuses one that is too large.
    fn kernel(size: usize) -> Kernel {
        let template = "const SIZE: u32 = 1u;\n@compute @workgroup_size(SIZE) fn main() {}";
        Kernel::new("empty", template).constant("SIZE", size)
    }

    /// As if one thread measured or tuned while another planned.
    #[test]
    fn whoever_compiles_an_error_is_for_those_that_wait_for_it() {
        let noop = DeviceOptions::default().noop(Noop::default());
        let gpu = Gpu::open(&noop).unwrap();
        let [planned, too_large] = [64, 4096].map(|size| gpu.pipeline(&kernel(size)).unwrap());
        let measured = gpu.pipeline(&kernel(32)).unwrap();
        gpu.compile([&measured]).unwrap();
        gpu.compile([&planned]).unwrap();
        let error = gpu.compile([&planned, &too_large]).unwrap_err().to_string();
        assert!(error.contains("workgroup"), "{error}");
        // It is no reason to compile the others again, and no request gets a pipeline that doesn't run.
        assert!(Arc::ptr_eq(&gpu.pipeline(&kernel(64)).unwrap(), &planned));
        let again = gpu.pipeline(&kernel(4096)).unwrap();
        assert!(gpu.compile([&again]).is_err());
        assert_eq!(gpu.pipelines.counters().0, 2);
    }
}
