//! Kernels that read the sizes of tensors from their parameters: the same bits, and nothing compiled for another size.

use crate::common;
use crate::common::{asked, has_f16, poisoned, results};
use rayon::prelude::*;
use std::time::{Duration, Instant};
use wgrad::ops::case::Case;
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{
    BatchNormOptions, Conv2dOptions, Device, DeviceOptions, Disable, DynamicSizes, MaxPool2dOptions, Noop, PadMode,
    Result, Tensor, nn, nn::Module, nn::Scope, ops,
};

/// One in this many cases is checked, and all of them in `make test-long`.
const OF_CASES: usize = 61;

/// Cases that share two devices.
const SHARING: usize = 32;

/// The allowed cost of reading sizes, the rounds in which that is measured, and the time after which there are no more.
const MOST_RATIO: f64 = 1.5;
const ROUNDS: usize = 12;
const LONGEST: Duration = Duration::from_secs(10);

/// The cases that give other bits with sizes in the parameters than with sizes in the text.
fn other_bits(part: &[(usize, &Case)], disable: Disable) -> Vec<String> {
    let devices = [DynamicSizes::Never, DynamicSizes::Always].map(|choice| {
        let device = poisoned(disable).unwrap();
        device.dynamic_sizes(choice);
        device
    });
    let bits = |case: &Case, number: usize, device: &Device| {
        let results = results(case, number, device).map_err(|error| error.to_string())?;
        Ok(results.into_iter().map(|outcome| outcome.values.into_iter().map(f64::to_bits).collect()).collect())
    };
    let differs = |&&(number, case): &&(usize, &Case)| {
        let [written, read]: [std::result::Result<Vec<Vec<u64>>, String>; 2] =
            [0, 1].map(|at| bits(case, number, &devices[at]));
        (written != read || read.is_err()).then(|| format!("{}: {:?}", case.name(), read.err().unwrap_or_default()))
    };
    part.iter().filter_map(|case| differs(&case)).collect()
}

fn agree(disable: Disable) {
    let Some(device) = poisoned(disable) else { return };
    let cases = ops::cases();
    let has_f16 = has_f16(&device);
    let mut chosen = asked(&cases);
    let is_long = is_long() || chosen.len() < cases.len();
    chosen.retain(|(_, case)| has_f16 || !case.needs_f16);
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
        let parameters: Vec<_> = layers.iter().flat_map(|layer| layer.parameters()).collect();
        Net { device: device.clone(), sgd: Sgd::new(parameters, SgdOptions::default()).unwrap(), layers }
    }

    fn step(&mut self, [height, width]: [usize; 2]) -> Result<f32> {
        let mut x = Tensor::ones(&self.device, &[2, 3, height, width])?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        let loss = x.relu()?.square()?.mean_all()?;
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
    Device::with_options(&DeviceOptions::default().noop(noop)).unwrap()
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
    // Four times the kernels that one size takes, then those that read sizes; of these there is one for each order of contiguous
    // elements and each register tile.
    assert!(made[19] - made[4] <= 5 * made[0], "{made:?}");
    assert!(made[79] - made[19] <= made[0], "{made:?}");
    let kept = device.stats();
    assert!(kept.bytes_pooled <= 64 << 20, "{kept:?}");
    // If told so, it never compiles for a size.
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

/// Pipelines after convolutions of `count` stages of a network, each with half the image and twice the channels, in one plan.
fn stages(device: &Device, batch: usize, count: u32) -> u64 {
    let padded = Conv2dOptions::default().padding(1);
    let stage = |stage: u32| {
        let (channels, side) = (64 << stage, 32 >> stage);
        let [image, weight] = [[batch, channels, side, side], [2 * channels, channels, 3, 3]]
            .map(|shape| Tensor::ones(device, &shape).unwrap());
        image.conv2d(&weight, None, &padded).unwrap()
    };
    let results: Vec<Tensor> = (0..count).map(stage).collect();
    device.flush().unwrap();
    drop(results);
    device.stats().pipelines
}

#[test]
fn kernels_of_many_sizes_are_compiled_once_where_that_is_slow() {
    let by_fxc = || gpu(1);
    let never = by_fxc();
    never.dynamic_sizes(DynamicSizes::Never);
    let written = stages(&never, 4, 3);
    let slow = by_fxc();
    let shared = stages(&slow, 4, 3);
    assert!(shared < written, "{shared} and {written} pipelines");
    // Nor does a shorter batch compile anything.
    assert_eq!(stages(&slow, 3, 3), shared);
    // Elsewhere kernels with inlined sizes, which are faster, are worth it: as many as if the others were disabled.
    for open in [noop, || gpu(32)] {
        let never = open();
        never.dynamic_sizes(DynamicSizes::Never);
        assert_eq!(stages(&open(), 4, 3), stages(&never, 4, 3));
    }
}

fn gpu(subgroup_size: u32) -> Device {
    let noop = Some(Noop { software: false, subgroup_size, ..Noop::default() });
    Device::with_options(&DeviceOptions::default().noop(noop)).unwrap()
}

/// True if slow tests should run.
fn is_long() -> bool {
    std::env::var_os("WGRAD_TEST_ALL").is_some()
}

type Work = fn(&[Tensor]) -> Result<Tensor>;

/// A call, its name, and the shapes of its inputs.
fn works() -> Vec<(&'static str, Work, Vec<Vec<usize>>)> {
    let image = || vec![16, 16, 46, 54];
    // Larger inputs for quick calls, so that they take some milliseconds.
    let large = || vec![64, 16, 46, 54];
    vec![
        ("conv2d", |t| t[0].conv2d(&t[1], None, &Conv2dOptions::default()), vec![image(), vec![32, 16, 3, 3]]),
        (
            "conv2d and its gradients",
            |t| {
                let [x, w] = [0, 1].map(|at| t[at].detach().requires_grad());
                let y = x.conv2d(&w, None, &Conv2dOptions::default())?.square()?.sum_all()?;
                let gradients = wgrad::grad(&[&y], &[&x, &w], &[&y.ones_like()?])?;
                gradients[0].as_ref().unwrap().sum_all()?.add(&gradients[1].as_ref().unwrap().sum_all()?)
            },
            vec![image(), vec![32, 16, 3, 3]],
        ),
        (
            "depthwise conv2d",
            |t| t[0].conv2d(&t[1], None, &Conv2dOptions::default().groups(16)),
            vec![large(), vec![16, 1, 3, 3]],
        ),
        ("max_pool2d", |t| t[0].max_pool2d([3, 3], &MaxPool2dOptions::default()), vec![large()]),
        (
            "batch_norm",
            |t| {
                let training = BatchNormOptions::default().training(true);
                t[0].batch_norm(None, None, None, None, &training)
            },
            vec![image()],
        ),
        ("softmax", |t| t[0].softmax(1), vec![large()]),
        ("sum over channels", |t| t[0].sum(1), vec![large()]),
        ("copy of a transposed image", |t| t[0].permute([0, 3, 1, 2])?.add_scalar(1.0), vec![image()]),
        ("broadcast over odd rows", |t| t[0].add(&t[1]), vec![vec![16, 16, 47, 53], vec![16, 1, 53]]),
        ("pad", |t| t[0].pad(&[3, 3, 3, 3], PadMode::Reflect), vec![image()]),
        ("pad of volumes", |t| t[0].pad(&[2; 6], PadMode::Reflect), vec![vec![8, 8, 13, 21, 26]]),
        ("cat", |t| Tensor::cat(&[&t[0], &t[1]], 1), vec![image(), image()]),
    ]
}

#[test]
fn kernels_that_read_sizes_take_little_longer() {
    let (true, Some(_)) = (is_long(), common::adapter()) else { return };
    let devices = [DynamicSizes::Never, DynamicSizes::Always].map(|choice| {
        let device = Device::open().unwrap();
        device.dynamic_sizes(choice);
        device
    });
    let mut slow = Vec::new();
    for (name, work, shapes) in works() {
        let inputs = [0, 1].map(|at| -> Vec<Tensor> {
            shapes.iter().map(|shape| Tensor::rand(&devices[at], shape).unwrap()).collect()
        });
        let run = |at: usize| {
            let results: Vec<Tensor> = (0..4).map(|_| work(&inputs[at]).unwrap()).collect();
            devices[at].sync().unwrap();
            drop(results);
        };
        // Other work on the machine makes times longer and never shorter: more rounds, if the first are inconclusive.
        let begin = Instant::now();
        let mut best = [Duration::MAX; 2];
        let ratio = |best: [Duration; 2]| best[1].as_secs_f64() / best[0].as_secs_f64();
        for round in 0.. {
            if round >= ROUNDS && (ratio(best) <= MOST_RATIO || begin.elapsed() > LONGEST) {
                break;
            }
            for (at, best) in best.iter_mut().enumerate() {
                let start = Instant::now();
                run(at);
                if round > 0 {
                    *best = start.elapsed().min(*best);
                }
            }
        }
        println!("{name}: {best:?}, {:.2} times", ratio(best));
        if ratio(best) > MOST_RATIO {
            slow.push(format!("{name}: {best:?} is {:.2} times", ratio(best)));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
