//! The CPU time of a training step besides computing: recording it, planning it, replaying the cached plan.
//!
//! ```text
//! cargo bench --bench overhead -- [--filter TEXT] [--steps N] [--json FILE]
//! ```
//!
//! On wgpu's noop adapter, which allocates and validates and computes nothing. Each time is the lowest tenth of the steps', so
//! that other programs on the machine matter little.
//!
//! * `record forward`, `record backward`: the user's calls, which only append to the graph.
//! * `step`: the optimizer records its update and flushes, with a cached plan and the batch on the device already: the
//!   schedule, its fingerprint, parameters, bind groups, encoding, submitting, storing the results' buffers, and dropping the
//!   graph. Its time a dispatch is an upper bound of the cost of replaying a plan.
//! * `step, uploading`: the same with a new batch, which the noop adapter copies four times.
//! * `plan and compile`, `plan`: the very first step, and the first one of another batch size.
//! * `wgpu alone`: the same number of dispatches submitted without wgrad, a lower bound for any replay.
#![allow(clippy::print_stdout)]

#[path = "../tests/common/allocations.rs"]
mod allocations;

use clap::Parser;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use wgrad::models::LeNet5;
use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, Graph, Noop, Parameter, Result, Tensor};

#[derive(Parser)]
#[command(about = "Measures what a training step costs the CPU")]
struct Arguments {
    /// Only networks whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Steps to measure.
    #[arg(long, default_value_t = 300)]
    steps: usize,
    /// Appends a JSON object a row to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo passes it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A network and the shape of its batches.
struct Work {
    name: &'static str,
    build: fn(&Scope) -> Result<Box<dyn Module>>,
    batch: [usize; 4],
}

const WORKS: [Work; 2] = [
    Work { name: "lenet5", build: |scope| Ok(Box::new(LeNet5::new(scope)?)), batch: [64, 1, 28, 28] },
    Work { name: "conv_bn_16", build: deep, batch: [8, 8, 8, 8] },
];

/// Sixteen convolutions, each with batch normalization and ReLU.
fn deep(scope: &Scope) -> Result<Box<dyn Module>> {
    let options = Conv2dOptions::default().padding(1);
    let mut net = Sequential::new(scope);
    for _ in 0..16 {
        net = net.make(|s| Conv2d::without_bias(s, 8, 8, [3, 3], &options))?;
        net = net.make(|s| BatchNorm2d::new(s, 8, &BatchNormLayerOptions::default()))?.push(Relu);
    }
    Ok(Box::new(net.push(Flatten).make(|s| Linear::new(s, 8 * 64, 10))?))
}

const PHASES: [&str; 3] = ["record forward", "record backward", "step"];

/// Nanoseconds and allocations of each phase.
type Step = [(u64, u64); PHASES.len()];

struct Training {
    device: Device,
    net: Box<dyn Module>,
    adam: Adam,
    shape: [usize; 4],
}

impl Training {
    fn new(work: &Work) -> Result<Training> {
        let options = DeviceOptions::default().noop(Noop::default());
        let device = Device::with_options(&options)?;
        let net = (work.build)(&Scope::new(&device))?;
        let adam = Adam::new(net.parameters(), AdamOptions::default())?;
        device.sync()?;
        Ok(Training { device, net, adam, shape: work.batch })
    }

    /// A new batch.
    fn batch(&self, size: usize) -> Result<[Tensor; 2]> {
        let shape = [size, self.shape[1], self.shape[2], self.shape[3]];
        let images = Tensor::from_slice(&self.device, &vec![0.5f32; shape.iter().product()], &shape)?;
        Ok([images, Tensor::from_slice(&self.device, &vec![1i32; size], &[size])?])
    }

    fn step(&mut self, [images, labels]: &[Tensor; 2]) -> Result<Step> {
        let mut clock = Clock::start();
        let loss = self.net.forward(images)?.cross_entropy(labels, &CrossEntropyOptions::default())?;
        clock.lap();
        loss.backward()?;
        clock.lap();
        // The loss is dropped, as in a loop that does not print it.
        drop(loss);
        self.adam.step()?;
        self.adam.zero_grad();
        clock.lap();
        Ok(clock.laps)
    }

    /// Calls recorded by a step's forward pass and backward pass.
    fn count(&mut self, [images, labels]: &[Tensor; 2]) -> Result<[usize; 2]> {
        let loss = self.net.forward(images)?.cross_entropy(labels, &CrossEntropyOptions::default())?;
        let forward = Graph::of(&[&loss])?.len();
        loss.backward()?;
        let gradients: Vec<Tensor> = self.adam.parameters().iter().filter_map(Parameter::grad).collect();
        let backward = Graph::of(&gradients.iter().chain([&loss]).collect::<Vec<_>>())?.len();
        self.adam.zero_grad();
        Ok([forward, backward - forward])
    }
}

/// Laps of time and allocations.
struct Clock {
    laps: Step,
    lap: usize,
    time: Instant,
    allocations: u64,
}

impl Clock {
    fn start() -> Clock {
        Clock { laps: Step::default(), lap: 0, time: Instant::now(), allocations: allocations::count() }
    }

    fn lap(&mut self) {
        let nanoseconds = self.time.elapsed().as_nanos() as u64;
        self.laps[self.lap] = (nanoseconds, allocations::count() - self.allocations);
        self.lap += 1;
        self.allocations = allocations::count();
        self.time = Instant::now();
    }
}

/// The tenth percentile of the values.
fn low(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    values[values.len() / 10] as f64
}

/// Submits `dispatches` dispatches of one kernel with three buffers each and parameters, as a replay does, through
/// wgpu alone; without error scopes.
fn bare(dispatches: usize, steps: usize) -> (f64, f64) {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.flags = wgpu::InstanceFlags::empty();
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapter = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::NOOP)).remove(0);
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(
            "@group(0) @binding(0) var<uniform> params: vec4<u32>;
             @group(0) @binding(1) var<storage, read> left: array<f32>;
             @group(0) @binding(2) var<storage, read> right: array<f32>;
             @group(0) @binding(3) var<storage, read_write> output: array<f32>;
             @compute @workgroup_size(64) fn main() { output[params.x] = left[0] + right[0]; }"
                .into(),
        ),
    });
    let entry = |binding, ty, bytes| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: wgpu::BufferSize::new(bytes) },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[
            entry(0, wgpu::BufferBindingType::Uniform, 16),
            entry(1, storage(true), 4),
            entry(2, storage(true), 4),
            entry(3, storage(false), 4),
        ],
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let buffer = |size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let params = buffer(256 * dispatches as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
    let buffers: Vec<wgpu::Buffer> = (0..32).map(|_| buffer(4096, wgpu::BufferUsages::STORAGE)).collect();
    let groups: Vec<wgpu::BindGroup> = (0..dispatches)
        .map(|k| {
            let offset = 256 * k as u64;
            let window = wgpu::BufferBinding { buffer: &params, offset, size: wgpu::BufferSize::new(16) };
            let show = |binding, k: usize| wgpu::BindGroupEntry {
                binding,
                resource: buffers[k % buffers.len()].as_entire_binding(),
            };
            let params = wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(window) };
            let entries = [params, show(1, k), show(2, k + 1), show(3, k + 2)];
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
        })
        .collect();
    let words = vec![0u8; 256 * dispatches];
    let (mut times, mut allocations) = (Vec::new(), Vec::new());
    for step in 0..steps {
        let mut clock = Clock::start();
        queue.write_buffer(&params, 0, &words);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for group in &groups {
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(1, 1, 1);
            }
        }
        queue.submit([encoder.finish()]);
        clock.lap();
        if step % 4 == 3 {
            device.poll(wgpu::PollType::Poll).unwrap();
        }
        times.push(clock.laps[0].0);
        allocations.push(clock.laps[0].1);
    }
    (low(times) / 1e3, low(allocations))
}

/// A row of the table.
struct Row {
    phase: String,
    microseconds: f64,
    /// The divisor of the time, and its unit.
    count: usize,
    unit: &'static str,
    allocations: f64,
}

fn measure(work: &Work, steps: usize) -> Result<Vec<Row>> {
    const STEP: usize = PHASES.len() - 1;
    let mut training = Training::new(work)?;
    let size = work.batch[0];
    let step_of = |training: &mut Training, size: usize| {
        let batch = training.batch(size)?;
        training.step(&batch)
    };
    let first = step_of(&mut training, size)?;
    // Another batch size: a new plan, and no new kernels.
    let replanned = step_of(&mut training, size - 1)?;
    let uploading = (0..steps).map(|_| step_of(&mut training, size)).collect::<Result<Vec<Step>>>()?;
    let batch = training.batch(size)?;
    (0..8).try_for_each(|_| training.step(&batch).map(drop))?;
    let start = training.device.stats();
    let laps = (0..steps).map(|_| training.step(&batch)).collect::<Result<Vec<Step>>>()?;
    let end = training.device.stats();
    let created = |s: &wgrad::Stats| (s.buffers, s.pipelines, s.bind_groups, s.plans);
    assert_eq!(created(&start), created(&end), "buffers, pipelines, bind groups and plans made by replaying");
    let dispatches = (end.dispatches - start.dispatches) as usize / steps;
    let calls = training.count(&batch)?;
    let row = |phase: &str, laps: &[Step], at: usize, count: usize, unit: &'static str| Row {
        phase: phase.to_string(),
        microseconds: low(laps.iter().map(|lap| lap[at].0).collect()) / 1e3,
        count,
        unit,
        allocations: low(laps.iter().map(|lap| lap[at].1).collect()),
    };
    let mut rows = Vec::new();
    for (at, count) in calls.into_iter().enumerate() {
        rows.push(row(PHASES[at], &laps, at, count, "call"));
    }
    let flushes: [(&str, &[Step]); 4] = [
        (PHASES[STEP], &laps),
        ("step, uploading", &uploading),
        ("plan and compile", &[first]),
        ("plan", &[replanned]),
    ];
    for (phase, laps) in flushes {
        rows.push(row(phase, laps, STEP, dispatches, "dispatch"));
    }
    let (microseconds, allocations) = bare(dispatches, steps);
    rows.push(Row { phase: "wgpu alone".into(), microseconds, count: dispatches, unit: "dispatch", allocations });
    Ok(rows)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut json = arguments.json.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    println!("{:<12}{:<18}{:>12}{:>18}{:>14}", "network", "phase", "us", "us each", "allocations");
    for work in WORKS.iter().filter(|work| work.name.contains(&arguments.filter)) {
        for row in measure(work, arguments.steps)? {
            let each = row.microseconds / row.count as f64;
            let per = format!("{each:.2} a {}", row.unit);
            println!("{:<12}{:<18}{:>12.1}{per:>18}{:>14}", work.name, row.phase, row.microseconds, row.allocations);
            if let Some(file) = &mut json {
                let line = json!({
                    "bench": "overhead", "network": work.name, "phase": row.phase, "us": row.microseconds,
                    "count": row.count, "unit": row.unit, "allocations": row.allocations,
                });
                writeln!(file, "{line}")?;
            }
        }
    }
    Ok(())
}
