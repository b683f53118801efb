//! Training ResNet-18 on images whose size changes with each step: the cost of a new size, in time and memory. For
//! `make test-long`: on llvmpipe a size takes some 3 s of processor time, so 500 take 15 minutes or so of two cores.

mod common;

use common::steps::software;
use std::time::{Duration, Instant};
use wgrad::models::{ResNet, ResNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Tensor};

/// Sizes in total, and those that are seen before measuring.
const SIZES: usize = 500;
const SEEN: usize = 20;

/// The time of a new size over that of a known one, and the number in a hundred that may exceed it: other work on the machine
/// interferes.
const MOST_RATIO: f64 = 3.0;
const OF_HUNDRED: usize = 95;

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
    /// Kilobytes of memory that the process has now; 0 if the system does not report it.
    resident: usize,
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn train(device: &Device, sizes: usize) -> Vec<Taken> {
    let net = ResNet::new(&Scope::new(device), &ResNetOptions::resnet18_cifar().classes(10)).unwrap();
    let mut sgd = Sgd::new(net.parameters(), SgdOptions::default().lr(0.01)).unwrap();
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

/// Sizes after the first, for which all kernels are known.
fn further(taken: &[Taken]) -> &[Taken] {
    let further = &taken[SEEN..];
    let compiled: Vec<u64> = taken.iter().map(|size| size.compiled).collect();
    assert!(compiled[SEEN..].iter().all(|&compiled| compiled == 0), "pipelines of each size: {compiled:?}");
    further
}

#[test]
fn further_sizes_take_little() {
    let (true, Some(device)) = (std::env::var_os("WGRAD_TEST_ALL").is_some(), common::own_adapter()) else { return };
    let taken = train(&device, SIZES);
    let ratio = |size: &Taken| size.new.as_secs_f64() / size.again.as_secs_f64();
    let mut ratios: Vec<f64> = further(&taken).iter().map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let [median, most, all] = [50, OF_HUNDRED, 100].map(|part| ratios[(ratios.len() - 1) * part / 100]);
    let (seen, last) = (taken[SEEN - 1].resident, taken[taken.len() - 1].resident);
    println!("{median:.2} times as long, {OF_HUNDRED} % {most:.2}, all {all:.2}; {seen} kB, then {last}");
    assert!(most <= MOST_RATIO, "{ratios:?}");
    assert!(10 * last <= 13 * seen, "{seen} kB after {SEEN} sizes, {last} after {SIZES}");
}

#[test]
fn further_sizes_compile_nothing() {
    if std::env::var_os("WGRAD_TEST_ALL").is_none() {
        return;
    }
    let device = Device::with_options(&DeviceOptions::default().noop(software())).unwrap();
    further(&train(&device, SIZES));
}
