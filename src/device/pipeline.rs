//! Pipelines and bind groups, each made once.

use crate::device::{Buffer, Gpu};
use crate::error::{Error, Result};
use crate::shader::{Kernel, Module, Role, has_wrong_math, repair_math, specialise};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// More cached bind groups than this, and the cache starts anew: a program that never repeats itself must not
/// fill memory with them.
const MOST_BIND_GROUPS: usize = 16_384;

/// A compiled kernel.
pub(crate) struct Pipeline {
    /// Stem of the template.
    name: String,
    pub raw: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    id: u64,
    /// Buffers it binds besides the parameters, by binding number: name, number, whether it writes.
    pub buffers: Vec<(String, u32, bool)>,
    params: Option<u32>,
    /// Bytes of its parameters.
    pub params_bytes: u32,
}

/// Pipeline, parameters, buffers.
type BindGroupKey = (u64, u64, Vec<u64>);

#[derive(Default)]
pub(super) struct Pipelines {
    compiled: Mutex<HashMap<String, Arc<Pipeline>>>,
    bind_groups: Mutex<HashMap<BindGroupKey, wgpu::BindGroup>>,
    created: AtomicU64,
    bound: AtomicU64,
}

impl Pipelines {
    pub fn counters(&self) -> (u64, u64) {
        (self.created.load(Ordering::Relaxed), self.bound.load(Ordering::Relaxed))
    }

    pub fn sources(&self) -> Vec<(String, String)> {
        let compiled = self.compiled.lock();
        let mut sources: Vec<(String, String)> =
            compiled.iter().map(|(source, pipeline)| (pipeline.name.clone(), source.clone())).collect();
        sources.sort_unstable();
        sources
    }

    pub fn forget_bind_groups(&self) {
        self.bind_groups.lock().clear();
    }
}

impl Gpu {
    /// The pipeline of a kernel, compiled if no kernel with the same text was before.
    pub fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>> {
        let mut source = specialise(kernel)?;
        if kernel.checked {
            source.insert_str(0, "// checked\n");
        } else if has_wrong_math(&self.adapter.name) {
            source = repair_math(&source);
        }
        if let Some(pipeline) = self.pipelines.compiled.lock().get(&source) {
            return Ok(pipeline.clone());
        }
        dump(kernel.name, &source)?;
        let module = Module::parse(kernel.name, &source)?;
        let pipeline = Arc::new(self.guarded(|| self.compile(kernel, module))?);
        self.pipelines.compiled.lock().insert(source, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: &Kernel, module: Module) -> Result<Pipeline> {
        let name = kernel.name;
        let entries: Vec<wgpu::BindGroupLayoutEntry> = module
            .bindings
            .iter()
            .map(|(_, binding, role)| wgpu::BindGroupLayoutEntry {
                binding: *binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match role {
                        Role::Params => wgpu::BufferBindingType::Uniform,
                        Role::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Role::Write => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: *role == Role::Params,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let label = Some(name);
        let layout =
            self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let descriptor =
            wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Naga(Cow::Owned(module.ir)) };
        let shader = if cfg!(debug_assertions) || kernel.checked {
            self.device.create_shader_module(descriptor)
        } else {
            // SAFETY: only wgrad's own templates come here; those of a caller's operations are checked. Every index
            // they form is bounded by sizes the planner put in, and debug builds, in which the tests run, keep wgpu's
            // checks on.
            unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let raw = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &shader,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let id = self.pipelines.created.fetch_add(1, Ordering::Relaxed);
        let params = module.bindings.iter().find(|b| b.2 == Role::Params).map(|b| b.1);
        let buffers = module
            .bindings
            .into_iter()
            .filter(|b| b.2 != Role::Params)
            .map(|(name, binding, role)| (name, binding, role == Role::Write))
            .collect();
        Ok(Pipeline { name: name.to_string(), raw, layout, id, buffers, params, params_bytes: module.params_bytes })
    }

    /// The bind group that shows these buffers (in the order of [`Pipeline::buffers`], `None` for the fault
    /// words) and the parameters to a pipeline.
    pub fn bind_group(
        &self,
        pipeline: &Pipeline,
        params: &super::Uniform,
        buffers: &[Option<Buffer>],
    ) -> Result<wgpu::BindGroup> {
        let ids = buffers.iter().map(|b| b.as_ref().map_or(0, Buffer::id)).collect();
        let key = (pipeline.id, params.id, ids);
        if let Some(group) = self.pipelines.bind_groups.lock().get(&key) {
            return Ok(group.clone());
        }
        if buffers.len() != pipeline.buffers.len() {
            let reason = format!("{} buffers for {} bindings", buffers.len(), pipeline.buffers.len());
            return Err(Error::Internal { op: "bind_group", reason });
        }
        let mut entries: Vec<wgpu::BindGroupEntry> = buffers
            .iter()
            .zip(&pipeline.buffers)
            .map(|(buffer, (_, binding, _))| wgpu::BindGroupEntry {
                binding: *binding,
                resource: buffer.as_ref().map_or(&self.faults.buffer, |b| b.raw()).as_entire_binding(),
            })
            .collect();
        if let Some(binding) = pipeline.params {
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &params.raw,
                    offset: 0,
                    size: wgpu::BufferSize::new(u64::from(pipeline.params_bytes)),
                }),
            });
        }
        let group = self.guarded(|| {
            Ok(self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            }))
        })?;
        self.pipelines.bound.fetch_add(1, Ordering::Relaxed);
        let mut cache = self.pipelines.bind_groups.lock();
        if cache.len() >= MOST_BIND_GROUPS {
            cache.clear();
        }
        cache.insert(key, group.clone());
        Ok(group)
    }
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

impl Pipeline {
    /// Whether it takes parameters.
    pub fn has_params(&self) -> bool {
        self.params.is_some()
    }
}
