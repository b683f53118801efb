//! Gradients that are clipped, added up or made noisy, against PyTorch 2.15 and timm 1.0 (adaptive clipping):
//!
//! ```python
//! u0 = torch.tensor([[0.5, -1.0, 2.0], [0.1, 0.0, -0.2]]); v0 = torch.tensor([1.0, -0.5, 0.25, 0.75])
//! def run(clip):
//!     u = u0.clone().requires_grad_(); v = v0.clone().requires_grad_(); opt = SGD([u, v], lr=0.1, momentum=0.9)
//!     for step in range(4):
//!         opt.zero_grad()
//!         ((u ** 2).sum() * (step + 1) + (v ** 3).sum() * 2 + (u.sum() - v.sum()) ** 2).backward()
//!         norm = clip([u, v]); opt.step()
//!     print([float(f'{x:.9g}') for x in u.flatten().tolist() + v.tolist()], norm)
//! ```

use crate::common::launches::noop;
use crate::common::own_adapter;
use wgrad::models::{ResNet, ResNetOptions};
use wgrad::nn::{Linear, Module, Scope};
use wgrad::optim::{AdamW, AdamWOptions, Averaged, Averaging, Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Device, Error, Parameter, Result, Tensor};

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

/// Four steps; the values then, and the norm of the last gradient.
fn run(device: &Device, clip: impl Fn(Sgd) -> Result<Sgd>) -> Result<(Vec<f64>, Option<f32>)> {
    let u = Tensor::from_slice(device, &[0.5f32, -1.0, 2.0, 0.1, 0.0, -0.2], &[2, 3])?;
    let v = Tensor::from_slice(device, &[1.0f32, -0.5, 0.25, 0.75], &[4])?;
    let all = [Parameter::new("u", &u), Parameter::new("v", &v)];
    let mut sgd = clip(Sgd::new(all.to_vec(), SgdOptions::default().lr(0.1).momentum(0.9))?)?;
    for step in 0..4 {
        let (u, v) = (all[0].value(), all[1].value());
        let squares = u.square()?.sum_all()?.mul_scalar((step + 1) as f32)?;
        let cubes = v.mul(&v)?.mul(&v)?.sum_all()?.mul_scalar(2.0)?;
        let between = u.sum_all()?.sub(&v.sum_all()?)?.square()?;
        squares.add(&cubes)?.add(&between)?.backward()?;
        sgd.step()?;
        sgd.zero_grad();
    }
    let norm = sgd.grad_norm().map(|norm| norm.item::<f32>()).transpose()?;
    Ok(([all[0].value().to_f64()?, all[1].value().to_f64()?].concat(), norm))
}

#[rustfmt::skip]
const BY_NORM: [f64; 10] = [0.430757793, -0.851011864, 1.71252745, 0.0889525509, 0.00350124043, -0.16740138, 0.765932711, -0.568147179, 0.231196376, 0.614580146];
#[rustfmt::skip]
const UNCLIPPED: [f64; 10] = [-0.421896164, 0.527603836, -1.37139616, -0.168696164, -0.105396164, 0.0212038356, -1.01184294, -3.78926224, 0.320141928, -0.255138701];
#[rustfmt::skip]
const BY_VALUE: [f64; 10] = [-0.13343, -0.36657, 1.36657, -0.258944475, -0.221989475, -0.108608825, 0.36657, -1.13343, 0.291209037, 0.228616501];
#[rustfmt::skip]
const ADAPTIVE: [f64; 10] = [0.380400351, -0.726264298, 1.487065, 0.0856574153, 0.00825078714, -0.146562469, 0.701856209, -0.59252982, 0.225792139, 0.575979737];
#[rustfmt::skip]
const ADAPTIVE_FROM_HALF: [f64; 10] = [0.379421959, -0.727736703, 1.48658062, 0.059261598, 0.0126722683, -0.080506391, 0.701335329, -0.591748626, 0.227167794, 0.576265211];

type Clip = fn(Sgd) -> Result<Sgd>;

#[test]
fn clipping_is_pytorchs_and_timms() {
    let cases: [(Clip, _, _); 5] = [
        (|sgd| sgd.clip_grad_norm(0.5), BY_NORM, Some(17.7195)),
        (|sgd| sgd.clip_grad_norm(1e6), UNCLIPPED, Some(17.5271)),
        (|sgd| sgd.clip_grad_value(0.7), BY_VALUE, None),
        (|sgd| sgd.adaptive_clip_grad(0.3, 0.05), ADAPTIVE, None),
        (|sgd| sgd.adaptive_clip_grad(0.3, 0.5), ADAPTIVE_FROM_HALF, None),
    ];
    for device in devices() {
        for (at, (clip, expected, expected_norm)) in cases.iter().enumerate() {
            let (got, norm) = run(&device, clip).unwrap();
            for (got, expected) in got.iter().zip(expected) {
                let is_near = (got - expected).abs() <= 4e-6 * expected.abs().max(1.0);
                assert!(is_near, "case {at} on {}: {got} != {expected}", device.name());
            }
            let difference = norm.zip(*expected_norm).map(|(norm, expected): (f32, f32)| (norm - expected).abs());
            assert_eq!(norm.is_some(), expected_norm.is_some());
            assert!(difference.is_none_or(|difference| difference < 1e-4), "{norm:?}");
        }
    }
}

#[test]
fn a_step_that_clips_and_averages_takes_few_launches_more() {
    let device = noop();
    let x = Tensor::ones(&device, &[2, 3, 32, 32]).unwrap();
    let labels = Tensor::from_slice(&device, &[1i32, 2], &[2]).unwrap();
    let mut counts = Vec::new();
    for clips in [false, true] {
        let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18_cifar().classes(10)).unwrap();
        let mut optimizer: Box<dyn Optimizer> = if clips {
            let adamw = AdamW::new(&net, AdamWOptions::default()).unwrap().clip_grad_norm(1.0).unwrap();
            Box::new(Averaged::new(adamw, Averaging::Ema { decay: 0.99 }).unwrap())
        } else {
            Box::new(Sgd::new(&net, SgdOptions::default()).unwrap())
        };
        let mut dispatches = 0;
        for _ in 0..3 {
            let before = device.stats().dispatches;
            let loss = net.forward(&x).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
            loss.backward().unwrap();
            optimizer.step().unwrap();
            optimizer.zero_grad();
            device.flush().unwrap();
            dispatches = device.stats().dispatches - before;
        }
        counts.push(dispatches);
    }
    assert!(counts[1] <= counts[0] + 12, "{counts:?}");
}

#[test]
fn micro_batches_add_up_to_the_large_batch() {
    for device in devices() {
        let images: Vec<f32> = (0..48).map(|i| (i as f32 * 0.7).sin()).collect();
        let x = Tensor::from_slice(&device, &images, &[8, 6]).unwrap();
        let mut ends = Vec::new();
        for parts in [1, 4] {
            device.manual_seed(5);
            let layer = Linear::new(&Scope::new(&device), 6, 3).unwrap();
            let mut optimizer =
                AdamW::new(&layer, AdamWOptions::default().lr(0.1)).unwrap().clip_grad_norm(0.1).unwrap();
            for _ in 0..3 {
                for part in 0..parts {
                    let size = 8 / parts;
                    let part = x.narrow(0, part * size, size).unwrap();
                    let loss = layer.forward(&part).unwrap().square().unwrap().mean_all().unwrap();
                    loss.mul_scalar(1.0 / parts as f32).unwrap().backward().unwrap();
                }
                optimizer.step().unwrap();
                optimizer.zero_grad();
            }
            ends.push(layer.parameters().iter().flat_map(|p| p.value().to_f64().unwrap()).collect::<Vec<f64>>());
        }
        for (whole, added) in ends[0].iter().zip(&ends[1]) {
            assert!((whole - added).abs() <= 4e-6 * whole.abs().max(0.1), "{}: {whole}, {added}", device.name());
        }
    }
}

#[test]
fn noise_has_the_papers_variance() {
    for device in devices() {
        device.manual_seed(3);
        let w = Parameter::new("w", &Tensor::zeros(&device, &[40_000]).unwrap());
        let mut sgd = Sgd::new(vec![w.clone()], SgdOptions::default().lr(1.0)).unwrap().grad_noise(0.3, 0.55).unwrap();
        let mut variances = Vec::new();
        for _ in 0..2 {
            w.assign(&Tensor::zeros(&device, &[40_000]).unwrap()).unwrap();
            w.set_grad(Some(Tensor::zeros(&device, &[40_000]).unwrap())).unwrap();
            sgd.step().unwrap();
            let values = w.value().to_f64().unwrap();
            assert!(values.iter().sum::<f64>().abs() / 40_000.0 < 0.015);
            variances.push(values.iter().map(|v| v * v).sum::<f64>() / 40_000.0);
        }
        // Five times the standard error of a variance.
        for (got, expected) in variances.iter().zip([0.3, 0.3 / 2f64.powf(0.55)]) {
            assert!((got / expected - 1.0).abs() < 0.036, "{variances:?}");
        }
    }
}

#[test]
fn limits_out_of_range_are_errors() {
    let device = Device::reference();
    let sgd = || Sgd::new(vec![Parameter::new("w", &Tensor::ones(&device, &[2]).unwrap())], SgdOptions::default());
    let bad = |sgd: Result<Sgd>, text: &str| {
        let error: Error = sgd.err().expect("an error");
        assert!(error.to_string().contains(text), "{error}");
    };
    bad(sgd().unwrap().clip_grad_norm(0.0), "max_norm is 0");
    bad(sgd().unwrap().clip_grad_value(f64::NAN), "clip_value is NaN");
    bad(sgd().unwrap().adaptive_clip_grad(-1.0, 1e-3), "clip_factor is -1");
    bad(sgd().unwrap().grad_noise(f64::INFINITY, 0.55), "eta is inf");
}
