//! Kernels that read the sizes of tensors from their parameters: the same bits, and nothing compiled for another size.

mod common;

use common::{numbered, poisoned, results};
use rayon::prelude::*;
use wgrad::ops::case::Case;
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{
    Conv2dOptions, Device, DeviceOptions, Disable, DynamicSizes, Noop, Result, Tensor, nn, nn::Module, nn::Scope, ops,
};

/// Of so many cases one is looked at, and all of them in `make test-long`.
const OF_CASES: usize = 61;

/// Cases that share two devices.
const SHARING: usize = 32;

/// The cases that give other bits with sizes in the parameters than with sizes in the text.
fn other_bits(part: &[(usize, &Case)], disable: Disable) -> Vec<String> {
    let devices = [DynamicSizes::Never, DynamicSizes::Always].map(|choice| {
        let device = poisoned(disable).unwrap();
        device.dynamic_sizes(choice);
        device
    });
    let bits = |case: &Case, number: usize, device: &Device| {
        let results = results(case, number, device).map_err(|error| error.to_string())?;
        Ok(results.into_iter().map(|(_, values)| values.into_iter().map(f64::to_bits).collect()).collect())
    };
    let differs = |&&(number, case): &&(usize, &Case)| {
        let [written, read]: [std::result::Result<Vec<Vec<u64>>, String>; 2] =
            [0, 1].map(|at| bits(case, number, &devices[at]));
        (written != read || read.is_err()).then(|| {
            let shapes: Vec<&Vec<usize>> = case.inputs.iter().map(|input| &input.shape).collect();
            format!("{}.{} {shapes:?}: {:?}", case.op, number % 1000, read.err().unwrap_or_default())
        })
    };
    part.iter().filter_map(|case| differs(&case)).collect()
}

fn agree(disable: Disable) {
    let Some(device) = poisoned(disable) else { return };
    let only = std::env::var("WGRAD_TEST_OP").ok();
    let is_long = only.is_some() || std::env::var_os("WGRAD_TEST_ALL").is_some();
    let cases = ops::cases();
    let has_f16 = device.adapter().is_some_and(|adapter| adapter.has_f16);
    let mut chosen = numbered(&cases);
    chosen.retain(|(_, case)| only.as_ref().is_none_or(|op| op == case.op) && (has_f16 || !case.needs_f16));
    let chosen: Vec<(usize, &Case)> = chosen.into_iter().step_by(if is_long { 1 } else { OF_CASES }).collect();
    let found: Vec<String> = chosen.par_chunks(SHARING).flat_map(|part| other_bits(part, disable)).collect();
    assert!(found.is_empty(), "{} of {} cases have other bits:\n{}", found.len(), chosen.len(), found.join("\n"));
}

#[test]
fn sizes_in_parameters_give_the_same_bits() {
    agree(Disable::default());
}

#[test]
fn sizes_in_parameters_of_plain_kernels_give_the_same_bits() {
    agree(Disable { subgroup: true, int64: true, ..Disable::default() });
}

#[test]
fn sizes_in_parameters_of_kernels_for_gpus_give_the_same_bits() {
    agree(Disable { software: true, ..Disable::default() });
}

/// A network of a convolution and a norm, trained on images whose size changes each step.
struct Net {
    device: Device,
    layers: Vec<Box<dyn Module>>,
    sgd: Sgd,
}

impl Net {
    fn new(device: &Device) -> Net {
        let scope = Scope::new(device);
        let conv = nn::Conv2d::new(&scope.at("conv"), 3, 8, [3, 3], &Conv2dOptions::default()).unwrap();
        let norm = nn::BatchNorm2d::new(&scope.at("norm"), 8, &nn::BatchNormLayerOptions::default()).unwrap();
        let layers: Vec<Box<dyn Module>> = vec![Box::new(conv), Box::new(norm)];
        let parameters = layers.iter().flat_map(|layer| layer.parameters()).collect();
        Net { device: device.clone(), sgd: Sgd::new(parameters, SgdOptions::default()).unwrap(), layers }
    }

    fn step(&mut self, [height, width]: [usize; 2]) -> Result<f32> {
        let mut x = Tensor::ones(&self.device, &[2, 3, height, width])?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        let loss = x.relu()?.square()?.mean(&[], false)?;
        loss.backward()?;
        self.sgd.step()?;
        self.sgd.zero_grad();
        loss.item::<f32>()
    }
}

fn size(step: usize) -> [usize; 2] {
    [24 + step * 37 % 101, 24 + step * 53 % 97]
}

fn noop() -> Device {
    let noop = Some(Noop { software: true, ..Noop::default() });
    Device::with_options(&DeviceOptions { noop, ..DeviceOptions::default() }).unwrap()
}

/// Pipelines after each of some steps, every one with another size.
fn pipelines(net: &mut Net, steps: usize) -> Vec<u64> {
    let run = |step: usize| {
        net.step(size(step)).unwrap();
        net.device.stats().pipelines
    };
    (0..steps).map(run).collect()
}

#[test]
fn after_some_sizes_another_one_compiles_nothing() {
    let device = noop();
    let made = pipelines(&mut Net::new(&device), 80);
    // Four times as many as one size takes, then those that read sizes; of these there is one for each way to lay numbers
    // side by side and each register tile.
    assert!(made[19] - made[4] <= 5 * made[0], "{made:?}");
    assert!(made[79] - made[19] <= made[0], "{made:?}");
    let kept = device.stats();
    assert!(kept.bytes_pooled <= 64 << 20, "{kept:?}");
    // Told so, it never compiles for a size.
    let device = noop();
    device.dynamic_sizes(DynamicSizes::Always);
    let told = pipelines(&mut Net::new(&device), 80);
    assert!(told[19] < made[19] && told[79] - told[19] <= told[0], "{told:?}");
    let device = noop();
    device.dynamic_sizes(DynamicSizes::Never);
    let never = pipelines(&mut Net::new(&device), 20);
    assert!(never[19] > 2 * made[19], "{never:?}");
}

/// Sizes of one program: training, evaluation, a shorter last batch.
#[test]
fn a_few_sizes_are_written_into_kernels() {
    let device = noop();
    let mut net = Net::new(&device);
    for _ in 0..10 {
        for step in 0..3 {
            net.step(size(step)).unwrap();
        }
    }
    assert!(device.shader_sources().iter().all(|(_, text)| !text.contains("size_quotient")));
}

/// Pipelines after convolutions of so many stages of a network, each of which halves the image and doubles the channels, in
/// one plan.
fn stages(device: &Device, batch: usize, count: u32) -> u64 {
    let strided = Conv2dOptions { stride: [2, 2], ..Conv2dOptions::default() };
    let stage = |stage: u32| {
        let (channels, side) = (64 << stage, 32 >> stage);
        let [image, weight] = [[batch, channels, side, side], [2 * channels, channels, 1, 1]]
            .map(|shape| Tensor::ones(device, &shape).unwrap());
        image.conv2d(&weight, None, &strided).unwrap()
    };
    let results: Vec<Tensor> = (0..count).map(stage).collect();
    device.flush().unwrap();
    drop(results);
    device.stats().pipelines
}

#[test]
fn kernels_of_many_sizes_are_compiled_once_where_that_is_slow() {
    let software = noop();
    let [never, written] = [noop(), gpu()].map(|device| {
        device.dynamic_sizes(DynamicSizes::Never);
        stages(&device, 4, 3)
    });
    let made = stages(&software, 4, 3);
    assert_eq!(stages(&gpu(), 4, 3), written);
    assert_eq!(made + 2, never);
    // Nor does a shorter batch compile anything.
    assert_eq!(stages(&software, 3, 3), made);
}

fn gpu() -> Device {
    let noop = Some(Noop { software: false, ..Noop::default() });
    Device::with_options(&DeviceOptions { noop, ..DeviceOptions::default() }).unwrap()
}
