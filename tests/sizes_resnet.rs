//! Training ResNet-18 on images whose size changes with each step: what a size takes that was never seen, in time and memory.
//! For `make test-long`.

mod common;

use common::steps::software;
use std::time::{Duration, Instant};
use wgrad::models::ResNet18;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Tensor};

/// Sizes that are seen before anything is measured.
const SEEN: usize = 20;

/// Heights and widths, each pair once in 1517.
fn size(at: usize) -> [usize; 2] {
    [24 + at * 17 % 41, 24 + at * 23 % 37]
}

/// The cost of a size.
struct Taken {
    new: Duration,
    again: Duration,
    /// Pipelines compiled for it.
    compiled: u64,
    /// Kilobytes of memory that the process has now; 0 where the system does not tell.
    resident: usize,
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn train(device: &Device, sizes: usize) -> Vec<Taken> {
    let net = ResNet18::cifar(&Scope::new(device), 10).unwrap();
    let mut sgd = Sgd::new(net.parameters(), SgdOptions { lr: 0.01, ..SgdOptions::default() }).unwrap();
    let mut step = |[height, width]: [usize; 2]| {
        let start = Instant::now();
        let x = Tensor::ones(device, &[1, 3, height, width]).unwrap();
        let labels = Tensor::from_slice(device, &[1i32], &[1]).unwrap();
        let loss = net.forward(&x).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
        device.sync().unwrap();
        start.elapsed()
    };
    let mut taken = Vec::new();
    for at in 0..sizes {
        let before = device.stats().pipelines;
        let new = step(size(at));
        let again = (0..2).map(|_| step(size(at))).min().unwrap();
        let compiled = device.stats().pipelines - before;
        let resident = resident();
        println!("{at}: {:?} {new:?}, then {again:?}, {compiled} pipelines, {resident} kB", size(at));
        taken.push(Taken { new, again, compiled, resident });
    }
    taken
}

#[test]
fn further_sizes_take_little() {
    let (true, Some(device)) = (std::env::var_os("WGRAD_TEST_ALL").is_some(), common::own_adapter()) else { return };
    let taken = train(&device, 3 * SEEN);
    let further = &taken[SEEN..];
    let mut ratios: Vec<f64> = further.iter().map(|size| size.new.as_secs_f64() / size.again.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    // A size may still be the first one with some register tile.
    let median = ratios[ratios.len() / 2];
    assert!(median <= 3.0, "{ratios:?}");
    let (seen, all) = (taken[SEEN - 1].resident, taken[taken.len() - 1].resident);
    println!("{median:.2} times as long, {seen} kB, then {all}");
    assert!(10 * all <= 13 * seen, "{seen} kB after {SEEN} sizes, {all} after {}", taken.len());
}

#[test]
fn further_sizes_compile_next_to_nothing() {
    if std::env::var_os("WGRAD_TEST_ALL").is_none() {
        return;
    }
    let device = Device::with_options(&DeviceOptions { noop: Some(software()), ..DeviceOptions::default() }).unwrap();
    let taken = train(&device, 200);
    let compiled = |part: &[Taken]| part.iter().map(|size| size.compiled).sum::<u64>();
    let (seen, further, last) = (compiled(&taken[..SEEN]), compiled(&taken[SEEN..]), compiled(&taken[100..]));
    assert!(
        10 * further <= seen && last == 0,
        "{seen} pipelines for {SEEN} sizes, then {further}, {last} of them late"
    );
}
