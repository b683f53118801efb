//! A flush either happened or not; if that can't be known, the device says so until it is restored.

use crate::common::adapter;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use wgrad::custom::{Adapter, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, apply};
use wgrad::nn::{Linear, Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::train::{Position, load, save};
use wgrad::{DType, Device, DeviceOptions, Error, Noop, Parameter, Result, Tensor};

/// A copy that can't be planned, or that the reference can't compute, for the first few times; after that it is right.
#[derive(Debug)]
struct Fails(Arc<AtomicUsize>);

impl Fails {
    /// Fails `times` times, with a counter of the failures to come.
    fn new(times: usize) -> (Fails, Arc<AtomicUsize>) {
        let left = Arc::new(AtomicUsize::new(times));
        (Fails(left.clone()), left)
    }

    fn fail(&self) -> Result<()> {
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(Error::Device { reason: "failed on purpose".to_string() }),
            Err(_) => Ok(()),
        }
    }
}

impl Op for Fails {
    fn name(&self) -> &'static str {
        "fails"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        self.fail()?;
        let groups = io.outputs[0].shape.numel().div_ceil(64) as u32;
        Ok(relay(groups).into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        self.fail()?;
        Ok(inputs.to_vec())
    }
}

fn relay(groups: u32) -> Kernel {
    let template = "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

fn store_output(index: u32, value: f32) {
    output[index] = value;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    store_output(id.x, input[id.x]);
}
";
    let kernel = Kernel::new("relay", template);
    kernel.bind("input", Operand::Input(0)).bind("output", Operand::Output(0)).grid([groups, 1, 1])
}

/// A copy with its own kernel, which can be told to ask for more workgroups than allowed.
#[derive(Debug)]
struct Relay {
    breaks: bool,
}

impl Op for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        state.write_u8(self.breaks.into());
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn kernels(&self, _: &Io, _: &Adapter) -> Result<Kernels> {
        Ok(relay(if self.breaks { 1 << 20 } else { 1 }).into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
}

fn devices() -> impl Iterator<Item = Device> {
    adapter().map(|_| Device::open().unwrap()).into_iter().chain([Device::reference()])
}

/// Waits that expire at once, for products that take longer. A flush alone would not do: llvmpipe takes no second submission
/// while it runs one, so none is left to wait for.
#[test]
fn waits_that_time_out_repeat_nothing() {
    const SIDE: usize = 512;
    if adapter().is_none() {
        return;
    }
    let device = Device::with_options(&DeviceOptions::default().timeout(Duration::ZERO)).unwrap();
    let p = Parameter::new("p", &Tensor::zeros(&device, &[SIDE, SIDE]).unwrap());
    // Rows of equal numbers have sums that are exact.
    let mean = Tensor::full(&device, &[SIDE, SIDE], 1.0 / SIDE as f32).unwrap();
    let timed_out = |result: Result<()>| match result {
        Ok(()) => 0,
        Err(Error::Timeout { .. }) => 1,
        Err(error) => panic!("{error}"),
    };
    let (mut assigned, mut expired) = (0, 0);
    while expired < 3 {
        p.assign(&p.value().matmul(&mean).unwrap().add_scalar(1.0).unwrap()).unwrap();
        assigned += 1;
        expired += timed_out(device.sync());
        assert!(assigned < 1000, "{expired} of {assigned} waits timed out");
    }
    // All are computed once, and read until a read is in time.
    let extremes = [p.value().amin_all(), p.value().amax_all()].map(Result::unwrap);
    let since = std::time::Instant::now();
    let read = |x: &Tensor| loop {
        match x.item::<f32>() {
            Ok(value) => break value,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(30), "no read is in time: {error}"),
        }
    };
    assert_eq!(extremes.each_ref().map(read), [assigned as f32; 2]);
}

/// An optimizer's step by a gradient that can't be computed at first: nothing moves, and the repeated call moves once.
fn repeat(device: &Device, optimizer: impl Fn(Vec<Parameter>) -> Box<dyn Optimizer>) -> Result<Vec<f32>> {
    let run = |failures: usize| {
        let p = Parameter::new("p", &Tensor::from_slice(device, &[1.0f32, -2.0, 3.0], &[3])?);
        let q = Parameter::new("q", &Tensor::from_slice(device, &[4.0f32], &[1])?);
        let mut optimizer = optimizer(vec![p.clone(), q.clone()]);
        let mut seen = Vec::new();
        for step in 0..3 {
            for parameter in [&p, &q] {
                let gradient = parameter.value().mul_scalar(0.5)?;
                let (fails, left) = Fails::new(0);
                parameter.set_grad(Some(apply(fails, &[&gradient])?.remove(0)))?;
                left.store(if step == 1 { failures } else { 0 }, Ordering::Relaxed);
            }
            let before = (p.value().to_vec::<f32>(), optimizer.steps().unwrap());
            let mut errors = 0;
            while let Err(error) = optimizer.step() {
                assert!(error.to_string().contains("on purpose"), "{error}");
                assert_eq!(
                    (&p.value().to_vec::<f32>()?, optimizer.steps().unwrap()),
                    (before.0.as_ref().unwrap(), before.1.clone())
                );
                errors += 1;
                assert!(errors < 10);
            }
            seen.extend([p.value().to_vec::<f32>()?, q.value().to_vec::<f32>()?].concat());
        }
        assert_eq!(optimizer.steps().unwrap(), [3, 3]);
        Ok(seen)
    };
    let expected = run(0)?;
    assert_eq!(run(3)?, expected);
    Ok(expected)
}

#[test]
fn a_step_that_failed_can_be_repeated() {
    for device in devices() {
        repeat(&device, |parameters| {
            Box::new(Sgd::new(parameters, SgdOptions::default().lr(0.1).momentum(0.9)).unwrap())
        })
        .unwrap();
        repeat(&device, |parameters| Box::new(Adam::new(parameters, AdamOptions::default().lr(0.1)).unwrap())).unwrap();
    }
}

#[test]
fn a_step_on_two_devices_that_failed_on_one_can_be_repeated() {
    let (a, b) = (Device::reference(), Device::reference());
    let p = Parameter::new("p", &Tensor::full(&a, &[2], 1.0f32).unwrap());
    let q = Parameter::new("q", &Tensor::full(&b, &[2], 1.0f32).unwrap());
    let mut sgd = Sgd::new(vec![p.clone(), q.clone()], SgdOptions::default().lr(1.0)).unwrap();
    p.set_grad(Some(Tensor::full(&a, &[2], 0.25f32).unwrap())).unwrap();
    let (fails, _) = Fails::new(2);
    q.set_grad(Some(apply(fails, &[&Tensor::full(&b, &[2], 0.25f32).unwrap()]).unwrap().remove(0))).unwrap();
    for _ in 0..2 {
        assert!(sgd.step().is_err());
        assert_eq!(sgd.steps().unwrap(), [1, 0]);
    }
    sgd.step().unwrap();
    // On the second device too, without being read.
    assert_eq!((a.stats().runs, sgd.steps().unwrap()), (b.stats().runs - 2, vec![1, 1]));
    for value in [p.value(), q.value()] {
        assert_eq!(value.to_vec::<f32>().unwrap(), [0.75; 2]);
    }
    // The same gradients once more are another step.
    sgd.step().unwrap();
    assert_eq!(p.value().to_vec::<f32>().unwrap(), [0.5; 2]);
}

#[test]
fn a_long_recording_tells_of_its_errors_when_somebody_asks() {
    for device in devices() {
        let x = Tensor::from_slice(&device, &[1.0f32; 4], &[4]).unwrap();
        let (fails, _) = Fails::new(1);
        let bad = apply(fails, &[&x]).unwrap().remove(0);
        // Long enough to be flushed along the way: none of these calls has failed.
        let mut y = x.clone();
        for _ in 0..5000 {
            y = y.add_scalar(1.0).unwrap();
        }
        assert!(device.flush().unwrap_err().to_string().contains("on purpose"));
        assert_eq!(y.to_vec::<f32>().unwrap(), [5001.0; 4]);
        assert_eq!(bad.to_vec::<f32>().unwrap(), [1.0; 4]);
    }
}

/// Assigns a parameter, and records so many kernels after it that they take two submissions, the second of which fails.
fn cut_short(p: &Parameter) -> Result<Tensor> {
    p.assign(&p.value().add_scalar(1.0)?)?;
    let mut y = p.value();
    for _ in 0..200 {
        y = apply(Relay { breaks: false }, &[&y])?.remove(0);
    }
    Ok(apply(Relay { breaks: true }, &[&y])?.remove(0))
}

#[test]
fn a_flush_that_was_cut_short_leaves_an_unknown_state() {
    let noop = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    for device in adapter().map(|_| Device::open().unwrap()).into_iter().chain([noop]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let layer = Linear::new(&Scope::new(&device), 4, 4).unwrap();
        let mut adam = Adam::new(layer.parameters(), AdamOptions::default()).unwrap();
        save(&path, &device, &layer, &[("adam", &adam)], &Position { epoch: 3, ..Position::default() }).unwrap();
        let saved = layer.weight.value().to_vec::<f32>().unwrap();
        let other = Tensor::ones(&device, &[2]).unwrap();
        device.sync().unwrap();

        let is_unknown = |result: Result<()>| matches!(result, Err(Error::StateUnknown { .. }));
        let broken = cut_short(&layer.weight).unwrap();
        assert!(is_unknown(device.flush()));
        drop(broken);
        for _ in 0..2 {
            assert!(is_unknown(device.sync()));
            assert!(is_unknown(layer.weight.value().to_vec::<f32>().map(drop)));
            assert!(is_unknown(other.to_vec::<f32>().map(drop)));
            assert!(is_unknown(save(&path, &device, &layer, &[("adam", &adam)], &Position::default())));
            let loss = layer.forward(&Tensor::ones(&device, &[2, 4]).unwrap()).unwrap().sum_all().unwrap();
            loss.backward().unwrap();
            assert!(is_unknown(adam.step()));
            adam.zero_grad();
        }
        assert_eq!(load(&path, &device, &layer, &mut [("adam", &mut adam)]).unwrap().epoch, 3);
        assert_eq!(layer.weight.value().to_vec::<f32>().unwrap(), saved);
        layer.weight.value().square().unwrap().sum_all().unwrap().backward().unwrap();
        adam.step().unwrap();
        device.sync().unwrap();

        // Or the program declares that it has replaced what it needs.
        let broken = cut_short(&layer.weight).unwrap();
        assert!(is_unknown(device.flush()));
        drop(broken);
        layer.weight.assign(&Tensor::ones(&device, &[4, 4]).unwrap()).unwrap();
        assert!(is_unknown(device.flush()));
        device.assume_restored();
        assert_eq!(layer.weight.value().to_vec::<f32>().unwrap().len(), 16);
        device.sync().unwrap();
    }
}

/// Threads of this process that poll for async readers.
#[cfg(target_os = "linux")]
fn polling() -> usize {
    let names = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    names.filter_map(name).filter(|name| name.trim() == "wgrad polls").count()
}

#[test]
#[cfg(target_os = "linux")]
fn async_reads_share_a_thread() {
    let Some(device) = adapter().map(|_| Device::open().unwrap()) else { return };
    let x = Tensor::ones(&device, &[4]).unwrap();
    for i in 0..20 {
        assert_eq!(x.add_scalar(i as f32).unwrap().to_vec::<f32>().unwrap(), [i as f32 + 1.0; 4]);
    }
    device.sync().unwrap();
    assert_eq!(polling(), 0, "whoever blocks polls");
    for i in 0..20 {
        let read = x.add_scalar(i as f32).unwrap();
        assert_eq!(pollster::block_on(read.to_vec_async::<f32>()).unwrap(), [i as f32 + 1.0; 4]);
    }
    pollster::block_on(device.sync_async()).unwrap();
    assert_eq!(polling(), 1);
    drop((x, device));
    let since = std::time::Instant::now();
    while polling() > 0 {
        assert!(since.elapsed() < Duration::from_secs(5), "the thread outlives its device");
        std::thread::sleep(Duration::from_millis(1));
    }
}
