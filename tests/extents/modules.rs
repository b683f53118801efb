//! The driver's time to compile each module of these calls. For `make test-long`: some minutes, since no cache is used.

use crate::common::alone;
use crate::common::steps::software;
use crate::processor_time;
use std::time::{Duration, Instant};
use wgrad::{Device, DeviceOptions};

/// Most time for one module, in processor time if the system reports it, which other work on the machine does not prolong.
const SOON: Duration = Duration::from_secs(3);

/// Set in the process that compiles, whose environment disables the driver's cache.
const COMPILES: &str = "WGRAD_TEST_COMPILES";

/// A parameter for which no driver unrolls loops, and the words of a buffer.
const LONG: u32 = 65_537;
const WORDS: usize = 1 << 14;

/// Names and texts of the modules that the calls are planned with on a software adapter.
fn modules() -> Vec<(String, String)> {
    let device = Device::with_options(&DeviceOptions::default().noop(software())).unwrap();
    for extent in crate::all() {
        // Results without values can't serve as indices: planning the calls before that is enough.
        let _ = extent.compute(&device);
    }
    device.shader_sources()
}

struct Compiler {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Compiler {
    /// A compiler with llvmpipe, if that is there.
    fn open() -> Option<Compiler> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
        let adapter = adapters.into_iter().find(|adapter| adapter.get_info().driver == "llvmpipe")?;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_INT64),
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        Some(Compiler { device, queue })
    }

    /// Compiles a module, which llvmpipe does at a dispatch, and runs nothing.
    fn compile(&self, text: &str) {
        let ir = naga::front::wgsl::parse_str(text).unwrap();
        let bindings: Vec<u32> =
            ir.global_variables.iter().filter_map(|(_, variable)| Some(variable.binding?.binding)).collect();
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let size = 4 * WORDS as u64;
        let words: Vec<u8> = [LONG; WORDS].into_iter().flat_map(u32::to_le_bytes).collect();
        let buffers: Vec<wgpu::Buffer> = bindings
            .iter()
            .map(|_| {
                let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
                let buffer = self.device.create_buffer(&descriptor);
                self.queue.write_buffer(&buffer, 0, &words);
                buffer
            })
            .collect();
        let entries: Vec<wgpu::BindGroupEntry> = bindings
            .iter()
            .zip(&buffers)
            .map(|(&binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        let group = self.device.create_bind_group(&descriptor);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(0, 0, 0);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }
}

/// In a process of its own: its environment disables Mesa's cache.
#[test]
#[allow(clippy::print_stdout)]
fn compile() {
    let (true, Some(compiler)) = (std::env::var_os(COMPILES).is_some(), Compiler::open()) else { return };
    let mut times: Vec<(Duration, String)> = Vec::new();
    for (name, text) in modules() {
        let (start, before) = (Instant::now(), processor_time());
        compiler.compile(&text);
        let processor = processor_time().zip(before).map(|(after, before)| after - before);
        times.push((processor.unwrap_or_else(|| start.elapsed()), name));
    }
    times.sort_unstable();
    println!("{} modules, the slowest {:?}", times.len(), times.iter().rev().take(8).collect::<Vec<_>>());
    let slow: Vec<_> = times.iter().filter(|(time, _)| *time > SOON).collect();
    assert!(!times.is_empty() && slow.is_empty(), "{slow:?}");
}

#[test]
fn no_module_compiles_long() {
    if std::env::var_os("WGRAD_TEST_ALL").is_none() {
        return;
    }
    let run =
        alone(module_path!(), "compile").env(COMPILES, "1").env("MESA_SHADER_CACHE_DISABLE", "1").output().unwrap();
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
}
