//! Bounds of replaying a cached plan, in counts that don't depend on the machine.

use crate::allocations;
use std::collections::VecDeque;
use std::future::Future;
use std::hash::Hasher;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wgrad::custom::{Adapter, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, apply};
use wgrad::models::LeNet5;
use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, Graph, Noop, Parameter, Result, Tensor};

fn noop() -> Device {
    Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap()
}

/// `blocks` of convolution, batch normalization and ReLU.
fn net(device: &Device, blocks: usize) -> Sequential {
    let scope = Scope::new(device);
    let mut net = Sequential::new(&scope);
    for _ in 0..blocks {
        net = net.make(|s| Conv2d::without_bias(s, 4, 4, [1, 1], &Conv2dOptions::default())).unwrap();
        net = net.make(|s| BatchNorm2d::new(s, 4, &BatchNormLayerOptions::default())).unwrap().push(Relu);
    }
    net.push(Flatten).make(|s| Linear::new(s, 4 * 16, 10)).unwrap()
}

/// Allocations and dispatches of one optimizer step's flush, once it only replays.
fn replayed(blocks: usize) -> (u64, u64) {
    let device = noop();
    let net = net(&device, blocks);
    let mut optimizer = Adam::new(net.parameters(), AdamOptions::default()).unwrap();
    let images = Tensor::ones(&device, &[2, 4, 4, 4]).unwrap();
    let labels = Tensor::from_slice(&device, &[1i32, 2], &[2]).unwrap();
    least(|| {
        let loss = net.forward(&images).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        // Recorded already, so that the flush below is all that is counted.
        let (allocations, dispatches) = (allocations::count(), device.stats().dispatches);
        device.flush().unwrap();
        let counts = (allocations::count() - allocations, device.stats().dispatches - dispatches);
        optimizer.step().unwrap();
        optimizer.zero_grad();
        counts
    })
}

/// The least cost of a step after its first few: wgpu's own tables grow now and then.
fn least<T: Ord>(mut step: impl FnMut() -> T) -> T {
    let counts: Vec<T> = (0..24).map(|_| step()).collect();
    counts.into_iter().skip(8).min().unwrap()
}

#[test]
fn a_training_step_allocates_what_wgpu_does() {
    let (few, few_dispatches) = replayed(2);
    let (many, many_dispatches) = replayed(12);
    assert!(many_dispatches > few_dispatches + 50, "{few_dispatches} and {many_dispatches} dispatches");
    // wgpu's lists grow with each dispatch, each change of kernel and each buffer in another role (here up to ten a dispatch); a
    // flush has an encoder, submissions, error scopes. That none is ours is tested exactly below. The bounds are the measured
    // counts, 1.14 and 51, and a tenth.
    let each = (many - few) as f64 / (many_dispatches - few_dispatches) as f64;
    assert!(each < 1.25, "{each:.2} allocations a dispatch: {few} for {few_dispatches}, {many} for {many_dispatches}");
    let fixed = few as f64 - each * few_dispatches as f64;
    assert!(fixed < 56.0, "{fixed:.0} allocations a flush besides");
}

#[test]
fn recorded_calls_cost_a_replay_no_allocations() {
    // One kernel, of any number of calls, with numbers and offsets that change from step to step.
    let replayed = |calls: usize| {
        let device = noop();
        let x = Tensor::ones(&device, &[4, 64]).unwrap();
        let mut step = 0;
        least(|| {
            step += 1;
            let mut y = x.narrow(0, step % 4, 1).unwrap().reshape(&[8, 8]).unwrap();
            for call in 0..calls {
                y = y.mul_scalar((step + call) as f32).unwrap().detach();
            }
            let before = (allocations::count(), device.stats().dispatches);
            device.flush().unwrap();
            (device.stats().dispatches - before.1, allocations::count() - before.0)
        })
    };
    let (few, many) = (replayed(2), replayed(40));
    assert_eq!(few.0, 1);
    assert_eq!(few, many, "dispatches and allocations");
}

#[test]
fn a_training_step_records_few_calls() {
    // Each is recorded, scheduled, fingerprinted and dropped in each step.
    let device = noop();
    let net = LeNet5::new(&Scope::new(&device)).unwrap();
    let images = Tensor::ones(&device, &[64, 1, 28, 28]).unwrap();
    let labels = Tensor::from_slice(&device, &[1i32; 64], &[64]).unwrap();
    device.sync().unwrap();
    let loss = net.forward(&images).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
    loss.backward().unwrap();
    let gradients: Vec<Tensor> = net.parameters().iter().filter_map(Parameter::grad).collect();
    let graph = Graph::of(&gradients.iter().chain([&loss]).collect::<Vec<_>>()).unwrap();
    assert!(graph.len() <= 92, "{} calls: {graph}", graph.len());
}

/// A copy with a kernel of its own.
#[derive(Debug)]
struct Copied {
    name: &'static str,
    template: &'static str,
}

impl Op for Copied {
    fn name(&self) -> &'static str {
        self.name
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(inputs.to_vec())
    }
    fn kernels(&self, _: &Io, _: &Adapter) -> Result<Kernels> {
        let kernel = Kernel::new(self.name, self.template);
        Ok(kernel.bind("input", Operand::Input(0)).bind("output", Operand::Output(0)).into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
}

/// A call that the planner fuses with nothing.
const RELAY: Copied = Copied {
    name: "relay",
    template: "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

fn store_output(index: u32, value: f32) {
    output[index] = value;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    store_output(id.x, input[id.x]);
}
",
};

/// Allocations of `dispatches` dispatches through wgpu alone: one pass, in the error scopes that a library needs.
fn alone(device: &wgpu::Device, queue: &wgpu::Queue, dispatches: usize) -> u64 {
    let source = wgpu::ShaderSource::Wgsl(RELAY.template.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let entry = |binding: u32| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: binding == 0 },
            has_dynamic_offset: false,
            min_binding_size: wgpu::BufferSize::new(4),
        },
        count: None,
    };
    let entries = [entry(0), entry(1)];
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
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
    let buffer = |_| {
        let usage = wgpu::BufferUsages::STORAGE;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 256, usage, mapped_at_creation: false })
    };
    let buffers: Vec<wgpu::Buffer> = (0..=dispatches).map(buffer).collect();
    let show = |pair: &[wgpu::Buffer]| {
        let entry =
            |binding: u32| wgpu::BindGroupEntry { binding, resource: pair[binding as usize].as_entire_binding() };
        let entries = [entry(0), entry(1)];
        device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
    };
    let groups: Vec<wgpu::BindGroup> = buffers.windows(2).map(show).collect();
    let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
    let mut in_flight = VecDeque::new();
    least(|| {
        let before = allocations::count();
        let [first, second, third] = filters.map(|filter| device.push_error_scope(filter));
        let label = Some("flush");
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline);
            for group in &groups {
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(1, 1, 1);
            }
        }
        in_flight.push_back(queue.submit([encoder.finish()]));
        for scope in [third, second, first] {
            let mut popped = pin!(scope.pop());
            let error = popped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(error, Poll::Ready(None)));
        }
        if in_flight.len() > 4 {
            let submission_index = in_flight.pop_front();
            device.poll(wgpu::PollType::Wait { submission_index, timeout: None }).unwrap();
        }
        allocations::count() - before
    })
}

#[test]
fn a_replay_allocates_nothing_itself() {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapter = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::NOOP)).remove(0);
    let (wgpu_device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    for dispatches in [1, 7, 60] {
        let device = Device::from_wgpu(wgpu_device.clone(), queue.clone()).unwrap();
        let x = Tensor::ones(&device, &[64]).unwrap();
        device.sync().unwrap();
        let replayed = least(|| {
            // All are held, so that each has its own buffer.
            let mut chain = vec![x.clone()];
            for _ in 0..dispatches {
                chain.push(apply(RELAY, &[&chain[chain.len() - 1]]).unwrap().remove(0));
            }
            let before = (allocations::count(), device.stats().dispatches);
            device.flush().unwrap();
            let after = (allocations::count(), device.stats().dispatches);
            assert_eq!(after.1 - before.1, dispatches as u64);
            after.0 - before.0
        });
        assert_eq!(replayed, alone(&wgpu_device, &queue, dispatches), "allocations for {dispatches} dispatches");
    }
}

#[test]
fn bind_groups_serve_again_where_buffers_change_places() {
    // Every other result is held, so that the next one is in another buffer.
    let device = noop();
    let x = Tensor::ones(&device, &[64]).unwrap();
    device.sync().unwrap();
    let mut held = None;
    let mut made = Vec::new();
    for _ in 0..12 {
        let y = x.exp().unwrap().sum_all().unwrap();
        device.flush().unwrap();
        held = Some(y).filter(|_| held.is_none() || made.len() % 2 == 0);
        made.push((device.stats().bind_groups, device.stats().plans));
    }
    assert_eq!(made[6], made[11], "{made:?}");
}

/// Asks for more invocations in a workgroup than WebGPU allows, which no parser sees.
const CROWD: Copied = Copied {
    name: "crowd",
    template: "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(4096)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    output[id.x] = input[id.x];
}
",
};

#[test]
fn a_kernel_that_does_not_compile_is_the_same_error_each_time() {
    let device = noop();
    let x = Tensor::ones(&device, &[8]).unwrap();
    for _ in 0..3 {
        // Among others that do compile.
        let y = apply(CROWD, &[&x.exp().unwrap()]).unwrap().remove(0).sum_all().unwrap();
        let error = y.item::<f32>().unwrap_err().to_string();
        assert!(error.contains("crowd") && error.contains("workgroup"), "{error}");
    }
    assert!(x.exp().unwrap().to_vec::<f32>().is_ok(), "the device goes on");
}
