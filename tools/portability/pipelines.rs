//! Compiles modules with this machine's Vulkan driver, chosen by `VK_DRIVER_FILES`.

use crate::results::Writer;
use crate::translate::{parse, stems};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use wgpu::util::{BufferInitDescriptor, DeviceExt};

/// Compiles all modules in a folder and appends to a file of results.
pub fn compile(folder: &Path, results: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(descriptor);
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let info = adapter.get_info();
    println!("{}: {} {}", info.name, info.driver, info.driver_info);
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() - wgpu::Features::all_experimental_mask(),
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;
    let mut writer = Writer::open(results)?;
    for stem in stems(folder)? {
        if writer.is_done(&stem) {
            continue;
        }
        let source = std::fs::read_to_string(folder.join(format!("{stem}.wgsl")))?;
        writer.begin(&stem)?;
        let start = Instant::now();
        let outcome = pipeline(&device, &queue, &source).err().unwrap_or("ok".to_string());
        writer.end(start.elapsed().as_secs_f64(), &outcome)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a pipeline and dispatches zero workgroups of it: llvmpipe compiles at the first dispatch.
fn pipeline(device: &wgpu::Device, queue: &wgpu::Queue, source: &str) -> Result<(), String> {
    let (module, _) = parse(source)?;
    let bindings: Vec<_> = module.global_variables.iter().filter_map(|(_, v)| Some((v.binding?, v.space))).collect();
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)) };
    // SAFETY: nothing runs.
    let shader = unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &shader,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[],
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    // Large enough for any parameters. Mesa compiles a specialised variant if inlining parameter values leaves little code, so
    // these are loop limits with which all code remains.
    let contents = 65_537u32.to_le_bytes().repeat(1024);
    let buffers: Vec<wgpu::Buffer> = bindings
        .iter()
        .map(|(_, space)| {
            let usage = match space {
                naga::AddressSpace::Uniform => wgpu::BufferUsages::UNIFORM,
                _ => wgpu::BufferUsages::STORAGE,
            };
            device.create_buffer_init(&BufferInitDescriptor { label: None, contents: &contents, usage })
        })
        .collect();
    let entries: Vec<wgpu::BindGroupEntry> = bindings
        .iter()
        .zip(&buffers)
        .map(|((binding, _), buffer)| wgpu::BindGroupEntry {
            binding: binding.binding,
            resource: buffer.as_entire_binding(),
        })
        .collect();
    let layout = pipeline.get_bind_group_layout(0);
    let group =
        device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(0, 0, 0);
    drop(pass);
    queue.submit([encoder.finish()]);
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| e.to_string())?;
    pollster::block_on(scope.pop()).map_or(Ok(()), |error| Err(error.to_string()))
}
