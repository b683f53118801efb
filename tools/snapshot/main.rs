//! Prints the bits that kernels compute, and the plans of networks: `make snapshot > before.txt`.
//!
//! A change of the code that should change no number and no plan is one after which this prints the same lines; `diff` compares
//! them. It prints a line for every case of every operation with hashes of its results and gradients, for kernels chosen with all
//! capabilities, without subgroups and as for GPUs; for some networks a line a training step with hashes of the loss and of the
//! parameters; and for the zoo the launches and peak bytes of a step, on noop adapters that pose as a software driver and as a
//! GPU.
//!
//! `snapshot [WORD ..]` prints the lines of the named parts alone: `cases`, `training`, `launches`.
#![allow(clippy::print_stdout)]

#[path = "../../tests/common/mod.rs"]
mod common;

use common::{Outcome, numbered, poisoned, results};
use rayon::prelude::*;
use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::ops;
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Disable, Noop, Tensor};

/// Cases that share a device.
const SHARING: usize = 32;

/// Networks that train for some steps: name, channels and side of their images.
const TRAINED: [(&str, usize, usize); 6] = [
    ("lenet5", 1, 28),
    ("cifar_cnn", 3, 32),
    ("resnet18", 3, 32),
    ("mobilenet_v2", 3, 64),
    ("densenet121", 3, 64),
    ("convnext_tiny", 3, 64),
];

/// Networks whose plans are counted, with the side of their images.
const PLANNED: [(&str, usize); 14] = [
    ("lenet5", 28),
    ("cifar_cnn", 32),
    ("resnet18", 224),
    ("resnet50", 224),
    ("vgg11", 224),
    ("densenet121", 224),
    ("googlenet", 224),
    ("mobilenet_v2", 224),
    ("mobilenet_v3_large", 224),
    ("shufflenet_v2_x1_0", 224),
    ("efficientnet_b0", 224),
    ("convnext_tiny", 224),
    ("vit_b_16", 224),
    ("swin_t", 224),
];

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    if is_asked("launches") {
        launches()?;
    }
    if is_asked("training") {
        training()?;
    }
    if is_asked("cases") {
        for (name, disable) in [
            ("all", Disable::default()),
            ("plain", Disable { subgroup: true, int64: true, ..Disable::default() }),
            ("gpu", Disable { software: true, ..Disable::default() }),
        ] {
            cases(name, disable)?;
        }
    }
    Ok(())
}

/// A hash of numbers' bits.
fn hash(values: impl Iterator<Item = u64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.for_each(|value| hasher.write_u64(value));
    hasher.finish()
}

fn cases(name: &str, disable: Disable) -> Result<(), Box<dyn Error>> {
    let all = ops::cases();
    let chosen = numbered(&all);
    let of_part = |part: &[(usize, &ops::case::Case)]| -> Result<Vec<String>, String> {
        let device = poisoned(disable).ok_or("no adapter")?;
        let line = |&(number, case): &(usize, &ops::case::Case)| {
            let outcomes = results(case, number, &device);
            let bits = |outcome: &Outcome| hash(outcome.values.iter().map(|value| value.to_bits()));
            let found = match outcomes {
                Ok(outcomes) => outcomes.iter().map(|outcome| format!(" {:016x}", bits(outcome))).collect(),
                Err(error) => format!(" {error}"),
            };
            format!("{name} {}.{}{found}", case.op, number % 1000)
        };
        Ok(part.iter().map(line).collect())
    };
    for lines in chosen.par_chunks(SHARING).map(of_part).collect::<Vec<_>>() {
        lines?.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn network(name: &str, device: &Device, channels: usize, side: usize) -> wgrad::Result<Box<dyn Module>> {
    models::by_name(name, &Scope::new(device), &ModelOptions::default().classes(10).channels(channels).size(side))
}

fn training() -> Result<(), Box<dyn Error>> {
    for (name, channels, side) in TRAINED {
        let device = Device::open()?;
        device.manual_seed(1);
        let net = network(name, &device, channels, side)?;
        let mut adam = Adam::new(net.parameters(), AdamOptions::default())?;
        for step in 0..4u64 {
            let images = common::launches::random(&device, &[6, channels, side, side], step);
            let labels = Tensor::from_slice(&device, &[0i32, 1, 2, 3, 4, 5], &[6])?;
            let loss = net.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?;
            loss.backward()?;
            adam.step()?;
            adam.zero_grad();
            let loss = loss.to_vec::<f32>()?[0];
            println!("training {name} {step} {:08x}", loss.to_bits());
        }
        let mut all = Vec::new();
        for parameter in net.parameters() {
            all.extend(parameter.value().to_f64()?);
        }
        println!("training {name} parameters {:016x}", hash(all.into_iter().map(f64::to_bits)));
    }
    Ok(())
}

fn launches() -> Result<(), Box<dyn Error>> {
    let gpu = Noop { software: false, subgroup_size: 32, ..Noop::default() };
    let software = Noop { software: true, subgroup_size: 8, ..Noop::default() };
    for (kind, noop) in [("software", software), ("gpu", gpu)] {
        for (name, side) in PLANNED {
            let device = Device::with_options(&DeviceOptions::default().noop(noop.clone()))?;
            let channels = if name == "lenet5" { 1 } else { 3 };
            let net = network(name, &device, channels, side)?;
            let mut adam = Adam::new(net.parameters(), AdamOptions::default())?;
            let mut dispatches = 0;
            for _ in 0..3 {
                let images = Tensor::ones(&device, &[8, channels, side, side])?;
                device.sync()?;
                device.reset_peak_stats();
                let before = device.stats().dispatches;
                let labels = Tensor::from_slice(&device, &[1i32; 8], &[8])?;
                net.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
                adam.step()?;
                adam.zero_grad();
                device.sync()?;
                dispatches = device.stats().dispatches - before;
            }
            println!("launches {kind} {name} {dispatches} {}", device.stats().bytes_live_peak);
        }
    }
    Ok(())
}
