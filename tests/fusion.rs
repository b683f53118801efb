//! What runs as one kernel, and that it computes the same as call by call.

mod common;

use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{
    BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, Disable, Noop, Parameter, Result,
    Tensor,
};

fn noop() -> Device {
    Device::with_options(&DeviceOptions { noop: Some(Noop::default()), ..DeviceOptions::default() }).unwrap()
}

/// Kernels that computing these tensors takes.
fn dispatches(device: &Device, run: impl Fn() -> Result<Tensor>) -> u64 {
    device.sync().unwrap();
    let before = device.stats().dispatches;
    run().unwrap().to_vec::<f32>().unwrap();
    device.stats().dispatches - before
}

fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = common::Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (random.unit() - 0.5) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

#[test]
fn chains_are_one_kernel() {
    let device = noop();
    let x = random(&device, &[4, 8, 16, 16], 1);
    let weight = random(&device, &[8, 8, 3, 3], 2);
    let bias = random(&device, &[8], 3);
    let rows = random(&device, &[64, 40], 4);
    let (scale, shift) = (random(&device, &[40], 5), random(&device, &[40], 6));
    let options = Conv2dOptions { padding: wgrad::Padding::Explicit([1, 1]), ..Conv2dOptions::default() };
    let convolution = || x.conv2d(&weight, Some(&bias), &options)?.relu()?.add(&x);
    assert_eq!(dispatches(&device, convolution), 1, "bias, activation and residual in the convolution's stores");
    assert_eq!(dispatches(&device, || rows.matmul(&rows.t()?)?.tanh()), 1, "an activation in a product's stores");
    assert_eq!(dispatches(&device, || rows.mul_scalar(0.3)?.softmax(1)?.square()), 1, "softmax");
    let norm = || rows.layer_norm(&[40], Some(&scale), Some(&shift), 1e-5)?.gelu();
    assert_eq!(dispatches(&device, norm), 1, "layer norm");
    let (mean, variance) = (rows.mean(&[1], false).unwrap(), rows.square().unwrap().mean(&[1], false).unwrap());
    assert_eq!(dispatches(&device, || mean.add(&variance)), 1, "two sums over the same rows");
}

#[test]
fn a_loss_of_classes_and_its_gradient_are_four_kernels() {
    let device = noop();
    for shape in [vec![64, 10], vec![6, 12], vec![4, 5, 6, 7]] {
        let weight = random(&device, &shape[1..2], 2);
        let logits = random(&device, &shape, 1).requires_grad();
        let elements = [&shape[..1], &shape[2..]].concat();
        let labels = Tensor::from_slice(&device, &vec![1; elements.iter().product()], &elements).unwrap();
        for (weight, ignore_index) in [(None, -100), (Some(weight.clone()), 3)] {
            let options = CrossEntropyOptions { weight, ignore_index, ..CrossEntropyOptions::default() };
            let before = device.stats().dispatches;
            let loss = logits.cross_entropy(&labels, &options).unwrap();
            loss.backward().unwrap();
            device.flush().unwrap();
            // Where the labels' classes stand, the losses of the elements, their mean, the gradient.
            assert_eq!(device.stats().dispatches - before, 4, "{shape:?} ignoring {ignore_index}");
            logits.zero_grad();
        }
    }
}

/// A network with a normalization and a residual; its loss and what a step of SGD makes of its parameters.
fn step(device: &Device) -> Result<Vec<f32>> {
    let parameter = |name: &str, shape: &[usize], seed| Parameter::new(name, &random(device, shape, seed));
    let weight = parameter("weight", &[20, 20, 3, 3], 1);
    let (scale, shift) = (parameter("scale", &[20], 2), parameter("shift", &[20], 3));
    let last = parameter("last", &[7, 20], 4);
    let parameters = vec![weight.clone(), scale.clone(), shift.clone(), last.clone()];
    let options = SgdOptions { lr: 0.1, momentum: 0.9, ..SgdOptions::default() };
    let mut sgd = Sgd::new(parameters.clone(), options)?;
    let x = random(device, &[6, 20, 9, 9], 5);
    let labels = Tensor::from_slice(device, &[0i32, 1, 2, 3, 4, 5], &[6])?;
    let options = Conv2dOptions { padding: wgrad::Padding::Explicit([1, 1]), ..Conv2dOptions::default() };
    let (scaled, shifted) = (scale.value(), shift.value());
    let norm = BatchNormOptions { training: true, ..BatchNormOptions::default() };
    let y = x.conv2d(&weight.value(), None, &options)?;
    let y = y.batch_norm(None, None, Some(&scaled), Some(&shifted), &norm)?.relu()?.add(&x)?;
    let logits = y.mean(&[2, 3], false)?.linear(&last.value(), None)?;
    let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default())?;
    loss.backward()?;
    let mut values = vec![loss.item::<f32>()?];
    for parameter in &parameters {
        values.extend(parameter.grad().map(|gradient| gradient.to_vec::<f32>()).transpose()?.unwrap_or_default());
    }
    sgd.step()?;
    for parameter in &parameters {
        values.extend(parameter.value().to_vec::<f32>()?);
    }
    Ok(values)
}

#[test]
fn call_by_call_computes_the_same() {
    if common::adapter().is_none() {
        return;
    }
    let open = |disable| Device::with_options(&DeviceOptions { disable, ..DeviceOptions::default() }).unwrap();
    let exact = step(&Device::reference()).unwrap();
    let plain = Disable { fuse: true, inplace: true, winograd: true, ..Disable::default() };
    for disable in [Disable::default(), plain, Disable { inplace: true, ..Disable::default() }] {
        let got = step(&open(disable)).unwrap();
        assert_eq!(got.len(), exact.len());
        for (at, (&got, &exact)) in got.iter().zip(&exact).enumerate() {
            // Sums of up to 486 terms of a size near 1.
            let tolerance = 486.0 * f32::EPSILON * exact.abs().max(1.0);
            assert!((got - exact).abs() <= tolerance, "{at}: {got} instead of {exact} with {disable:?}");
        }
    }
}
