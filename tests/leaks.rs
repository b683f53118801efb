//! Dropping everything frees everything, in any state of recording, computing and gradients.

mod common;

use common::adapter;
use std::time::{Duration, Instant};
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Linear, Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::{BackwardOptions, Device, DeviceOptions, Disable, Noop, Parameter, Result, Tensor};

/// Devices opened and dropped in each state: many that cost next to nothing, and few that have a driver's threads.
const DEVICES: [usize; 2] = [50, 2];

/// Floats of a tensor that is computed on each device, so that a leaked one shows: 1 MB.
const LARGE: usize = 1 << 18;

/// A line of this process's status, in its unit.
fn status(line: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

type State = fn(&Device, &Tensor) -> Result<Box<dyn std::any::Any>>;

/// States in which a program leaves a device that it drops.
const STATES: [(&str, State); 12] = [
    ("nothing recorded", |_, _| Ok(Box::new(()))),
    ("an assignment", |_, x| {
        let p = Parameter::new("p", x);
        p.assign(&p.value().add_scalar(1.0)?)?;
        Ok(Box::new(p))
    }),
    ("a new Sgd", |device, _| {
        let layer = Linear::new(&Scope::new(device), 4, 4)?;
        Ok(Box::new(Sgd::new(layer.parameters(), SgdOptions::default().momentum(0.9))?))
    }),
    ("a new Adam", |device, _| {
        let layer = Linear::new(&Scope::new(device), 4, 4)?;
        Ok(Box::new(Adam::new(layer.parameters(), AdamOptions::default())?))
    }),
    ("a step", |device, x| {
        let layer = Linear::new(&Scope::new(device), 4, 4)?;
        let mut adam = Adam::new(layer.parameters(), AdamOptions::default())?;
        layer.forward(&x.narrow(0, 0, 8)?.reshape(&[2, 4])?)?.square()?.sum_all()?.backward()?;
        adam.step()?;
        Ok(Box::new((layer, adam)))
    }),
    ("running statistics", |device, x| {
        let norm = BatchNorm1d::new(&Scope::new(device), 4, &BatchNormLayerOptions::default())?;
        let y = norm.forward(&x.narrow(0, 0, 8)?.reshape(&[2, 4])?)?;
        Ok(Box::new((norm, y)))
    }),
    ("a recording", |_, x| {
        let mut y = x.requires_grad();
        for _ in 0..100 {
            y = y.add_scalar(1.0)?.relu()?;
        }
        Ok(Box::new(y))
    }),
    ("gradients in leaves", |_, x| {
        let leaf = x.requires_grad();
        leaf.square()?.sum_all()?.backward()?;
        Ok(Box::new(leaf))
    }),
    ("gradients in parameters", |device, x| {
        let layer = Linear::new(&Scope::new(device), 4, 4)?;
        layer.forward(&x.narrow(0, 0, 8)?.reshape(&[2, 4])?)?.square()?.sum_all()?.backward()?;
        Ok(Box::new(layer))
    }),
    ("gradients with a history in their leaves", |_, x| {
        let leaf = x.requires_grad();
        let y = leaf.square()?.mul(&leaf)?.sum_all()?;
        y.backward_with(BackwardOptions::default().create_graph(true))?;
        Ok(Box::new((leaf, y)))
    }),
    ("a backward pass that failed", |_, x| {
        let leaf = x.requires_grad();
        let y = leaf.square()?;
        y.sum_all()?.backward()?;
        let again = y.exp()?.sum_all()?;
        assert!(again.backward().is_err());
        Ok(Box::new((leaf, again)))
    }),
    ("gradients of gradients", |_, x| {
        let leaf = x.requires_grad();
        let y = leaf.square()?.mul(&leaf)?;
        let first = wgrad::grad(&[&y], &[&leaf], &[&y.ones_like()?.detach()])?.remove(0).unwrap();
        Ok(Box::new((leaf, first)))
    }),
];

fn open_and_drop(options: &DeviceOptions, state: State) {
    let device = Device::with_options(options).unwrap();
    let x = Tensor::from_slice(&device, &vec![1.0f32; LARGE], &[LARGE]).unwrap();
    device.sync().unwrap();
    let left = state(&device, &x).unwrap();
    drop((x, device, left));
}

#[test]
#[cfg(target_os = "linux")]
fn a_dropped_device_leaves_nothing_behind() {
    // Nothing is compiled ahead: that opens further devices.
    let disable = Disable { precompile: true, ..Disable::default() };
    let driver = DeviceOptions::default().disable(disable);
    let noop = DeviceOptions { noop: Some(Noop::default()), ..driver.clone() };
    let kinds = [Some(noop), adapter().map(|_| driver)];
    for (options, count) in kinds.into_iter().zip(DEVICES).filter_map(|(options, count)| Some((options?, count))) {
        for (name, state) in STATES {
            // The driver and the allocator keep some memory for the next time.
            open_and_drop(&options, state);
            let before = (status("Threads"), status("VmRSS"));
            for _ in 0..count {
                open_and_drop(&options, state);
            }
            // Threads end a moment after they are told to.
            let since = Instant::now();
            while status("Threads") > before.0 && since.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let after = (status("Threads"), status("VmRSS"));
            assert!(after.0 <= before.0, "{name}: {} threads, then {}", before.0, after.0);
            // A driver keeps compiled code.
            let (grown, large) = (after.1.saturating_sub(before.1), LARGE * 4 / 1024);
            let is_fine = options.noop.is_none() || grown < large * count / 5;
            assert!(is_fine, "{name}: {grown} kB more after {count} devices with {large} kB each");
        }
    }
}
