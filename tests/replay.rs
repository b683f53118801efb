//! What replaying a cached plan may cost, in counts that no machine's speed changes.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;
use std::hash::Hasher;
use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{
    Adapter, Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, HostTensor, Io, Kernel, Kernels, Layout, Noop,
    Op, Operand, Result, Tensor, apply,
};

/// Counts each thread's own allocations.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(memory) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, memory) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, memory: Memory, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, memory, size) }
    }
}

fn noop() -> Device {
    Device::with_options(&DeviceOptions { noop: Some(Noop::default()), ..DeviceOptions::default() }).unwrap()
}

/// `blocks` of convolution, batch normalization and ReLU.
fn net(device: &Device, blocks: usize) -> Sequential {
    let scope = Scope::new(device);
    let mut net = Sequential::new();
    for block in 0..blocks {
        let scope = scope.at(block);
        net = net.push(Conv2d::without_bias(&scope.at(0), 4, 4, [1, 1], &Conv2dOptions::default()).unwrap());
        net = net.push(BatchNorm2d::new(&scope.at(1), 4, &BatchNormLayerOptions::default()).unwrap()).push(Relu);
    }
    net.push(Flatten).push(Linear::new(&scope.at("head"), 4 * 16, 10).unwrap())
}

/// Allocations and dispatches of one optimizer step, of which recording its calls is a part, once it only replays.
fn replayed(blocks: usize) -> (u64, u64) {
    let device = noop();
    let net = net(&device, blocks);
    let mut optimizer = Adam::new(net.parameters(), AdamOptions::default()).unwrap();
    let images = Tensor::ones(&device, &[2, 4, 4, 4]).unwrap();
    let labels = Tensor::from_slice(&device, &[1i32, 2], &[2]).unwrap();
    let mut step = || {
        let loss = net.forward(&images).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        // Recorded already, so that the flush below is all that is counted.
        let (allocations, dispatches) = (ALLOCATIONS.get(), device.stats().dispatches);
        device.flush().unwrap();
        let counts = (ALLOCATIONS.get() - allocations, device.stats().dispatches - dispatches);
        optimizer.step().unwrap();
        optimizer.zero_grad();
        counts
    };
    // wgpu's own tables grow now and then.
    let counts: Vec<(u64, u64)> = (0..15).map(|_| step()).collect();
    counts.into_iter().skip(6).min().unwrap()
}

#[test]
fn a_replay_allocates_no_more_than_wgpu_and_the_results_need() {
    let (few, few_dispatches) = replayed(2);
    let (many, many_dispatches) = replayed(12);
    assert!(many_dispatches > few_dispatches + 50, "{few_dispatches} and {many_dispatches} dispatches");
    // wgpu takes one and a half for each dispatch, and each result that is kept takes a handle to its buffer.
    let each = (many - few) as f64 / (many_dispatches - few_dispatches) as f64;
    assert!(each < 3.0, "{each:.2} allocations a dispatch: {few} for {few_dispatches}, {many} for {many_dispatches}");
    let fixed = few as f64 - each * few_dispatches as f64;
    assert!(fixed < 120.0, "{fixed:.0} allocations a flush besides");
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
        let y = x.exp().unwrap().sum(&[], false).unwrap();
        device.flush().unwrap();
        held = Some(y).filter(|_| held.is_none() || made.len() % 2 == 0);
        made.push((device.stats().bind_groups, device.stats().plans));
    }
    assert_eq!(made[6], made[11], "{made:?}");
}

/// Asks for more invocations in a workgroup than WebGPU allows, which no parser sees.
#[derive(Debug)]
struct Crowd;

const CROWD: &str = "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(4096)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    output[id.x] = input[id.x];
}
";

impl Op for Crowd {
    fn name(&self) -> &'static str {
        "crowd"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(inputs.to_vec())
    }
    fn kernels(&self, _: &Io, _: &Adapter) -> Result<Kernels> {
        let kernel = Kernel::new("crowd", CROWD);
        Ok(kernel.bind("input", Operand::Input(0)).bind("output", Operand::Output(0)).into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
}

#[test]
fn a_kernel_that_does_not_compile_is_the_same_error_each_time() {
    let device = noop();
    let x = Tensor::ones(&device, &[8]).unwrap();
    for _ in 0..3 {
        // Among others that do compile.
        let y = apply(Crowd, &[&x.exp().unwrap()]).unwrap().remove(0).sum(&[], false).unwrap();
        let error = y.item::<f32>().unwrap_err().to_string();
        assert!(error.contains("crowd") && error.contains("workgroup"), "{error}");
    }
    assert!(x.exp().unwrap().to_vec::<f32>().is_ok(), "the device goes on");
}
