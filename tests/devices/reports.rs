//! Programs after public bug reports of other frameworks: an answer each, on the adapter.

use crate::common::{has_f16, launches, own_adapter};
use std::f32::consts::PI;
use wgrad::models::{CifarCnn, ResNet, ResNetOptions};
use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Conv2d, Linear, Module, Scope, Sequential};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::train::{self, Position};
use wgrad::{
    BatchNormOptions, Conv2dOptions, CrossEntropyOptions, DType, Debug, Device, DeviceOptions, Error, Parameter, Tensor,
};

fn tensor(device: &Device, values: &[f32]) -> Tensor {
    Tensor::from_slice(device, values, &[values.len()]).unwrap()
}

fn half(device: &Device, values: &[f32]) -> Tensor {
    tensor(device, values).to_dtype(DType::F16).unwrap()
}

/// `count` numbers between -1 and 1, in no order.
fn scattered(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect()
}

fn training() -> BatchNormOptions {
    BatchNormOptions::default().training(true)
}

/// burn#2901.
#[test]
fn halves_take_operands_that_are_broadcast() {
    let Some(device) = own_adapter().filter(has_f16) else { return };
    let full = |shape: &[usize], value: f32| {
        Tensor::full(&device, shape, value).unwrap().copy().unwrap().to_dtype(DType::F16).unwrap()
    };
    let (x, one, channel) = (full(&[2, 4, 8, 8], 1.5), full(&[1], 0.5), full(&[4, 1, 1], 0.5));
    // Computed, so that they are loaded and not computed again.
    for known in [&x, &one, &channel] {
        known.to_f64().unwrap();
    }
    let largest = x.amax_keepdim(3).unwrap();
    largest.to_f64().unwrap();
    let answers = [
        (&x + &one, 2.0),
        (&x + &channel, 2.0),
        (&x - &largest, 0.0),
        ((-&x).and_then(|x| x.prelu(&one)).and_then(|y| -y), 0.75),
    ];
    for (y, expected) in answers {
        assert!(y.unwrap().to_f64().unwrap().iter().all(|&value| value == expected));
    }
}

/// pytorch#5534, tinygrad#3571.
#[test]
fn chains_over_constants_are_as_long_as_one_likes() {
    let Some(device) = own_adapter() else { return };
    let mut count = Tensor::zeros(&device, &[4]).unwrap();
    for _ in 0..200 {
        count = (count + 1.0).unwrap();
    }
    assert_eq!(count.to_vec::<f32>().unwrap(), [200.0; 4]);
    for n in [8, 14, 50] {
        let mut power = Tensor::ones(&device, &[4]).unwrap();
        let x = tensor(&device, &[1.0, 2.0]).requires_grad();
        let mut y = x.copy().unwrap();
        for _ in 0..n {
            power = (&power + &power).unwrap();
            y = (&y + (&y * 0.002)).unwrap();
        }
        assert_eq!(power.to_vec::<f32>().unwrap(), [2f32.powi(n); 4]);
        y.sum_all().unwrap().backward().unwrap();
        for slope in x.grad().unwrap().to_vec::<f32>().unwrap() {
            assert!((slope - 1.002f32.powi(n)).abs() < 1e-5, "{n}: {slope}");
        }
    }
}

/// pytorch#181213, tfjs#604, mlx#4464.
#[test]
fn images_of_new_sizes_stop_compiling() {
    let device = launches::noop();
    let net = Sequential::new(&Scope::new(&device))
        .make(|s| Conv2d::new(s, 3, 8, 3, &Conv2dOptions::default()))
        .and_then(|net| net.make(|s| BatchNorm2d::new(s, 8, &BatchNormLayerOptions::default())))
        .unwrap();
    let mut sgd = Sgd::new(&net, SgdOptions::default()).unwrap();
    let mut pipelines = Vec::new();
    for step in 0..60 {
        let size = [4, 3, 24 + step * 37 % 101, 24 + step * 53 % 97];
        let x = Tensor::randn(&device, &size).unwrap();
        let loss = net.forward(&x).and_then(|y| y.relu()?.square()?.mean_all()).unwrap();
        loss.backward().unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
        loss.item::<f32>().unwrap();
        pipelines.push(device.stats().pipelines);
    }
    assert_eq!(pipelines[30], pipelines[59], "{pipelines:?}");
}

/// pytorch#188045.
#[test]
fn sorting_growing_vectors_pools_in_proportion() {
    let Some(device) = own_adapter() else { return };
    for step in 0..20 {
        let x = Tensor::rand(&device, &[200_000 + step * 10_000]).unwrap();
        x.sort(0, false).unwrap().0.mean_all().unwrap().item::<f32>().unwrap();
        let stats = device.stats();
        assert!(stats.bytes_pooled <= (2 * stats.bytes_live_peak).max(64 << 20), "after {step}: {stats:?}");
    }
}

/// dfdx#523, mlx#2840, mlx#2305.
#[test]
fn micro_batches_take_the_memory_of_one() {
    let peak = |micro_batches: usize, is_read: bool| {
        let device = launches::noop();
        let net = CifarCnn::new(&Scope::new(&device)).unwrap();
        let mut sgd = Sgd::new(&net, SgdOptions::default()).unwrap();
        let labels = Tensor::from_slice(&device, &[1i32, 2, 3, 4, 5, 6, 7, 8], &[8]).unwrap();
        for _ in 0..2 {
            device.reset_peak_stats();
            for _ in 0..micro_batches {
                let scores = net.forward(&Tensor::randn(&device, &[8, 3, 32, 32]).unwrap()).unwrap();
                let loss = scores.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
                loss.backward().unwrap();
                if is_read {
                    loss.item::<f32>().unwrap();
                }
            }
            sgd.step().unwrap();
            sgd.zero_grad();
        }
        let gradients: usize = net.parameters().iter().map(|p| 4 * p.value().numel()).sum();
        (device.stats().bytes_live_peak as f64, gradients as f64)
    };
    // The gradients so far are there while the next ones are computed.
    let (one, gradients) = peak(1, true);
    for (micro_batches, is_read) in [(8, true), (8, false)] {
        let (many, _) = peak(micro_batches, is_read);
        assert!(many <= 1.02 * (one + gradients), "{micro_batches}, read {is_read}: {many} bytes, {one} for one");
    }
}

/// A scaler asks whether all is finite.
#[test]
fn an_overflow_of_halves_is_seen_by_whoever_reads_it() {
    let Some(device) = own_adapter().filter(has_f16) else { return };
    let w = Parameter::new("w", &half(&device, &[1.0; 4]));
    let (x, scale) = (half(&device, &[100.0, 1.0, 2.0, 3.0]), half(&device, &[1024.0; 4]));
    // 102,400 is past the largest half, 65,504.
    ((w.value() * x) * scale).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(!w.grad().unwrap().isfinite().unwrap().all_all().unwrap().item::<bool>().unwrap());
    let x = half(&device, &[300.0; 4]);
    let square = (&x * &x).unwrap();
    assert_eq!(square.isinf().unwrap().to_vec::<bool>().unwrap(), [true; 4]);
    assert_eq!(square.to_f64().unwrap(), [f64::INFINITY; 4]);
    assert_eq!((&(&x * &x).unwrap() * 1e-3).unwrap().to_f64().unwrap(), [f64::INFINITY; 4]);
}

#[test]
fn debugging_finds_nothing_wrong_with_a_batch_norm() {
    for debug in [Debug { nan: true, diff: false }, Debug { nan: false, diff: true }] {
        if own_adapter().is_none() {
            return;
        }
        let device = Device::with_options(&DeviceOptions::default().debug(debug)).unwrap();
        let x = tensor(&device, &scattered(1152)).reshape(&[8, 4, 6, 6]).unwrap();
        let mean = Parameter::buffer("mean", &Tensor::zeros(&device, &[4]).unwrap());
        let var = Parameter::buffer("var", &Tensor::ones(&device, &[4]).unwrap());
        x.batch_norm(Some(&mean), Some(&var), None, None, &training()).unwrap().to_vec::<f32>().unwrap();
        let x = x.requires_grad();
        let y = x.batch_norm(None, None, None, None, &training()).unwrap().relu().unwrap().mean([2, 3]).unwrap();
        y.square().unwrap().sum_all().unwrap().backward().unwrap();
        device.flush().unwrap();
    }
}

/// pytorch#18497.
#[test]
fn a_parameter_of_two_layers_is_one_parameter() {
    let Some(device) = own_adapter() else { return };
    let scope = Scope::new(&device);
    let (a, mut b) = (Linear::new(&scope.at("a"), 4, 4).unwrap(), Linear::new(&scope.at("b"), 4, 4).unwrap());
    b.weight = a.weight.clone();
    let net = Sequential::new(&scope).push(a).push(b);
    assert_eq!(net.parameters().len(), 3);
    let sgd = Sgd::new(&net, SgdOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    train::save(&folder.path().join("tied"), &device, &net, &[("optimizer", &sgd)], &Position::default()).unwrap();
}

/// A gradient must have its parameter's shape.
#[test]
fn a_gradient_of_another_shape_is_refused() {
    let Some(device) = own_adapter() else { return };
    for shape in [&[10][..], &[1000], &[]] {
        let p = Parameter::new("p", &Tensor::zeros(&device, &[100]).unwrap());
        let refused = p.set_grad(Some(Tensor::ones(&device, shape).unwrap()));
        assert!(matches!(refused, Err(Error::Invalid { op: "set_grad", .. })), "{shape:?}: {refused:?}");
    }
}

/// pytorch#180156, pytorch#178123, pytorch#31829.
#[test]
fn numbers_at_the_edge_are_pytorchs() {
    let Some(device) = own_adapter() else { return };
    let large: Vec<f32> = (0..1000).map(|i| 1e20 + 1e19 * ((i * 7919 % 1009) as f32 / 252.0 - 2.0)).collect();
    let large = tensor(&device, &large);
    let std = large.std_all(1.0).unwrap().item::<f32>().unwrap();
    assert!((std / 1.1568e19 - 1.0).abs() < 1e-3, "{std}");
    // Squares of deviations past 1e19 are too large for f32, as on CUDA.
    for (factor, is_finite) in [(1e-2, true), (1e10, false)] {
        let images = (&large * factor).unwrap().reshape(&[10, 1, 10, 10]).unwrap();
        let normal = images.batch_norm(None, None, None, None, &training()).unwrap().to_vec::<f32>().unwrap();
        assert!(normal.iter().all(|value| value.abs() < 3.0) == is_finite, "{factor}: {normal:?}");
    }

    let nan = tensor(&device, &[f32::NAN]).requires_grad();
    nan.clamp(Some(0.0), Some(1.0)).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(nan.grad().unwrap().to_vec::<f32>().unwrap(), [0.0]);
    let zero = tensor(&device, &[0.0]).requires_grad();
    zero.atan2(&tensor(&device, &[0.0])).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(zero.grad().unwrap().to_vec::<f32>().unwrap(), [0.0]);
    let angle = tensor(&device, &[-0.0]).atan2(&tensor(&device, &[-1.0])).unwrap().item::<f32>().unwrap();
    assert!((angle + PI).abs() < 1e-6, "{angle}");
}

/// README: nothing is created from the third step on, nothing is compiled from the second.
#[test]
fn the_second_step_compiles_nothing() {
    let device = launches::noop();
    let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18_cifar()).unwrap();
    let mut sgd = Sgd::new(&net, SgdOptions::default().momentum(0.9)).unwrap();
    let x = Tensor::from_slice(&device, &[0.5f32; 2 * 3 * 32 * 32], &[2, 3, 32, 32]).unwrap();
    let mut steps = Vec::new();
    for _ in 0..4 {
        let loss = net.forward(&x).and_then(|y| y.square()?.mean_all()).unwrap();
        loss.backward().unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
        loss.item::<f32>().unwrap();
        let stats = device.stats();
        steps.push((stats.pipelines, stats.plans, stats.bind_groups));
    }
    assert_eq!(steps[2], steps[3]);
    assert_eq!(steps[1].0, steps[2].0, "{steps:?}");
}
