//! Compiles on several threads for Mesa's llvmpipe, which compiles a pipeline at its first dispatch, one after the other.
//!
//! It keeps compiled code on disk, where every device finds it. So each thread that compiles opens a separate device and
//! dispatches no workgroups there, which compiles the pipeline and runs nothing.

use crate::device::adapter;
use crate::device::pipeline::{Job, create, layout};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;
use wgpu::util::{BufferInitDescriptor, DeviceExt};

/// With fewer pipelines, opening devices takes longer than it saves.
const FEWEST: usize = 4;

/// A parameter's value. Mesa first tries to inline the values of parameters, and compiles that if little code is left. With loops
/// this long all code is left, as with the true values.
const LONG: u32 = 65_537;

/// Compiling a module takes more than this many times as long as reading it (7 to 40 times), and finding it on disk less (about
/// once).
const COMPILES: u32 = 4;

/// If the pipelines found on disk outnumber those compiled by this many, no more are precompiled.
const FOUND: i64 = 2;

/// Environment variables that tell Mesa not to keep anything.
const NO_CACHE: [&str; 2] = ["MESA_SHADER_CACHE_DISABLE", "MESA_GLSL_CACHE_DISABLE"];

/// True if an adapter's driver compiles late and keeps compiled code.
pub(super) fn helps(adapter: &wgpu::Adapter) -> bool {
    let info = adapter.get_info();
    let keeps = NO_CACHE.iter().all(|name| std::env::var_os(name).is_none());
    info.backend == wgpu::Backend::Vulkan && info.driver == "llvmpipe" && keeps
}

/// True if this many pipelines are worth it.
pub(super) fn pays(pipelines: usize) -> bool {
    pipelines >= FEWEST
}

/// Counts by how many the pipelines that the driver compiled outnumber those that it had on disk. Times distinguish the two, and
/// on a busy machine they are sometimes wrong: one that was found is no reason to leave the others to one core.
#[derive(Default)]
pub(super) struct Tally(AtomicI64);

impl Tally {
    pub fn count(&self, was_compiled: bool) {
        self.0.fetch_add(if was_compiled { 1 } else { -1 }, Ordering::Relaxed);
    }

    /// True if the next one is probably not on disk.
    pub fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) > -FOUND
    }
}

/// A device that only compiles. Its errors are ignored: the device that computes meets them again, and reports them.
pub(super) struct Precompiler {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Precompiler {
    /// Opens a device, if there is one to be had.
    pub fn open(adapter: &wgpu::Adapter) -> Option<Precompiler> {
        let (device, queue) = adapter::request(adapter).ok()?;
        device.on_uncaptured_error(Arc::new(|_| {}));
        Some(Precompiler { device, queue })
    }

    /// Has the driver compile a pipeline; false if the driver had it on disk.
    pub fn compile(&self, job: &Job) -> bool {
        let start = Instant::now();
        let name = job.pipeline.name;
        let layout = layout(&self.device, name, &job.bindings);
        let pipeline = create(&self.device, name, &layout, job.ir.clone(), job.custom);
        let reading = start.elapsed();
        let buffers: Vec<wgpu::Buffer> = job
            .bindings
            .iter()
            .map(|binding| {
                self.device.create_buffer_init(&BufferInitDescriptor {
                    label: Some(name),
                    contents: bytemuck::cast_slice(&vec![LONG; binding.bytes.div_ceil(4) as usize]),
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE,
                })
            })
            .collect();
        let entries: Vec<wgpu::BindGroupEntry> = job
            .bindings
            .iter()
            .zip(&buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: binding.number,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let descriptor = wgpu::BindGroupDescriptor { label: Some(name), layout: &layout, entries: &entries };
        let group = self.device.create_bind_group(&descriptor);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(name) });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(0, 0, 0);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        waited.is_ok() && start.elapsed() > COMPILES * reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceOptions;
    use crate::device::pipeline::Pipeline;
    use crate::shader::Module;
    use std::path::Path;
    use std::process::Command;
    use std::sync::OnceLock;

    const SOURCE: &str = "
        struct Params { length: u32 }
        @group(0) @binding(0) var<storage, read> input: array<f32>;
        @group(0) @binding(1) var<storage, read_write> output: array<f32>;
        @group(0) @binding(2) var<uniform> params: Params;
        @compute @workgroup_size(8)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            var sum = 0.0;
            for (var i = 0u; i < params.length; i++) {
                sum = sum * 0.5 + input[id.x * params.length + i];
            }
            output[id.x] = sum;
        }";

    /// In a process of its own, whose environment sets Mesa's cache folder.
    #[test]
    fn compiles_one() {
        if std::env::var_os("WGRAD_TEST_AHEAD").is_none() {
            return;
        }
        let adapter = adapter::choose(&DeviceOptions::default()).unwrap();
        let Module { ir, bindings, .. } = Module::parse("precompile", SOURCE).unwrap();
        let device = Precompiler::open(&adapter).unwrap();
        let pipeline = Arc::new(Pipeline {
            name: "precompile",
            raw: OnceLock::new(),
            layout: layout(&device.device, "precompile", &bindings),
            buffers: Vec::new(),
            params: None,
            params_bytes: 0,
            sizes: None,
        });
        device.compile(&Job { pipeline, ir, bindings, custom: true });
        // Mesa writes to the disk in the background.
        std::thread::sleep(std::time::Duration::from_millis(500));
    }

    #[test]
    fn one_wrong_time_ends_nothing() {
        let goes_on = |times: &[bool]| {
            let tally = Tally::default();
            times.iter().for_each(|&was_compiled| tally.count(was_compiled));
            tally.goes_on()
        };
        assert!(goes_on(&[]) && goes_on(&[false]) && goes_on(&[true, false, false, true]));
        assert!(goes_on(&[true, true, true, false, false, false]));
        // All are on disk.
        assert!(!goes_on(&[false, false]));
        assert!(!goes_on(&[true, false, false, false]));
    }

    fn bytes(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().unwrap().len() })
            .sum()
    }

    #[test]
    fn the_driver_keeps_what_was_compiled_ahead() {
        if !adapter::choose(&DeviceOptions::default()).is_ok_and(|adapter| helps(&adapter)) {
            return;
        }
        let kept = |name: &str| {
            let folder = tempfile::tempdir().unwrap();
            let run = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &format!("device::precompile::tests::{name}"), "--nocapture"])
                .env("WGRAD_TEST_AHEAD", "1")
                .env("MESA_SHADER_CACHE_DIR", folder.path())
                .output()
                .unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
            bytes(folder.path())
        };
        let (without, with) = (kept("opens_one"), kept("compiles_one"));
        assert!(with > without + 1000, "{without} and {with} bytes");
    }

    /// Everything there is without a pipeline.
    #[test]
    fn opens_one() {
        if std::env::var_os("WGRAD_TEST_AHEAD").is_some() {
            Precompiler::open(&adapter::choose(&DeviceOptions::default()).unwrap()).unwrap();
        }
    }
}
