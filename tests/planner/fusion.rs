//! Fusion: which calls become one kernel, with the same results as call by call.

use crate::common;
use crate::common::launches::{dispatches, noop, random};
use crate::common::steps::{gpu, of_step, software};
use wgrad::models::{CifarCnn, LeNet5, ResNet, ResNetOptions};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{
    AvgPool2dOptions, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, DType, Device, DeviceOptions, Disable,
    InterpolateMode, InterpolateOptions, MaxPool2dOptions, Noop, PadMode, Parameter, Result, Tensor,
};

#[test]
fn chains_are_one_kernel() {
    let device = noop();
    let x = random(&device, &[4, 8, 16, 16], 1);
    let weight = random(&device, &[8, 8, 3, 3], 2);
    let bias = random(&device, &[8], 3);
    let rows = random(&device, &[64, 40], 4);
    let (scale, shift) = (random(&device, &[40], 5), random(&device, &[40], 6));
    let options = Conv2dOptions::default().padding(wgrad::Padding::Explicit([1, 1]));
    let convolution = || x.conv2d(&weight, Some(&bias), &options)?.relu()?.add(&x);
    assert_eq!(dispatches(&device, convolution), 1, "bias, activation and residual in the convolution's stores");
    assert_eq!(dispatches(&device, || rows.matmul(&rows.t()?)?.tanh()), 1, "an activation in a product's stores");
    assert_eq!(dispatches(&device, || rows.mul_scalar(0.3)?.softmax(1)?.square()), 1, "softmax");
    let norm = || rows.layer_norm(&[40], Some(&scale), Some(&shift), 1e-5)?.gelu();
    assert_eq!(dispatches(&device, norm), 1, "layer norm");
    let (mean, variance) = (rows.mean(1).unwrap(), rows.square().unwrap().mean(1).unwrap());
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
            let options = CrossEntropyOptions::default().weight(weight).ignore_index(ignore_index);
            let before = device.stats().dispatches;
            let loss = logits.cross_entropy(&labels, &options).unwrap();
            loss.backward().unwrap();
            device.flush().unwrap();
            // The labels' mask, the losses of the elements, their mean, the gradient.
            assert_eq!(device.stats().dispatches - before, 4, "{shape:?} ignoring {ignore_index}");
            logits.zero_grad();
        }
    }
}

/// A name, the number of kernels, and a function.
type Chain = (&'static str, u64, fn(&Tensor) -> Result<Tensor>);

/// The gradient of `f` of a relu.
fn gradient(x: &Tensor, f: fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let x = x.detach().requires_grad();
    f(&x.relu()?)?.sum_all()?.backward()?;
    Ok(x.grad().unwrap())
}

/// A call with its own kernels on `[4, 12, 12]`, and pointwise ones after it. Gradients take a kernel that makes the sum's out of
/// a number, and those of maxima one for the indices, which computes the relu too.
const CHAINS: &[Chain] = &[
    ("max_pool2d", 1, |x| x.max_pool2d([2, 2], &MaxPool2dOptions::default())?.relu()?.mul_scalar(3.0)),
    ("avg_pool2d", 1, |x| x.avg_pool2d([3, 3], &AvgPool2dOptions::default())?.relu()?.mul_scalar(3.0)),
    ("adaptive_max_pool1d", 1, |x| x.adaptive_max_pool1d([Some(5)])?.exp()),
    ("adaptive_avg_pool1d", 1, |x| x.adaptive_avg_pool1d([Some(5)])?.exp()),
    ("pad", 1, |x| x.pad(&[1, 2], PadMode::Reflect)?.add_scalar(-0.25)?.abs()),
    ("gather", 1, |x| {
        x.gather(1, &Tensor::from_slice(x.device(), &[5i32; 96], &[4, 2, 12])?)?.sub(&x.narrow(1, 0, 2)?)
    }),
    ("cat", 2, |x| Tensor::cat(&[x, &x.narrow(0, 0, 2)?], 0)?.square()),
    ("interpolate", 1, |x| {
        x.interpolate(&InterpolateOptions::default().scale_factor([2.0]).mode(InterpolateMode::Linear))?.exp()
    }),
    ("max_pool2d_backward", 3, |x| gradient(x, |x| x.max_pool2d([2, 2], &MaxPool2dOptions::default()))),
    ("avg_pool2d_backward", 2, |x| gradient(x, |x| x.avg_pool2d([2, 3], &AvgPool2dOptions::default()))),
    ("adaptive_max_pool1d_backward", 3, |x| gradient(x, |x| x.adaptive_max_pool1d([Some(5)]))),
    ("adaptive_avg_pool1d_backward", 2, |x| gradient(x, |x| x.adaptive_avg_pool1d([Some(5)]))),
    ("pad_backward", 2, |x| gradient(x, |x| x.pad(&[1, 2], PadMode::Reflect))),
    ("scatter_add", 2, |x| gradient(x, |x| x.gather(1, &Tensor::from_slice(x.device(), &[5i32; 96], &[4, 2, 12])?))),
    ("slice_backward", 2, |x| gradient(x, |x| x.narrow(1, 3, 5))),
];

#[test]
fn what_stands_behind_a_kernel_goes_into_its_stores() {
    let device = noop();
    for (name, kernels, chain) in CHAINS {
        let x = random(&device, &[4, 12, 12], 1);
        assert_eq!(dispatches(&device, || chain(&x)), *kernels, "{name}");
    }
    for disable in [Disable::default(), Disable { software: true, ..Disable::default() }] {
        let Some(device) = common::poisoned(disable) else { return };
        for (name, _, chain) in CHAINS {
            let result = |device: &Device| chain(&random(device, &[4, 12, 12], 1)).unwrap().to_vec::<f32>().unwrap();
            for (got, exact) in result(&device).into_iter().zip(result(&Device::reference())) {
                assert!((got - exact).abs() <= 1e-6, "{name}: {got} instead of {exact} with {disable:?}");
            }
        }
    }
}

/// The gradients of `[linear, convolution, depthwise convolution]`, weight and bias of each.
fn parameter_gradients(device: &Device, batch: usize) -> Result<Vec<Vec<f32>>> {
    let parameter = |shape: &[usize], seed| random(device, shape, seed).requires_grad();
    let (rows, image) = (random(device, &[batch, 41], 1), random(device, &[batch, 6, 9, 11], 2));
    let parameters = [
        parameter(&[13, 41], 3),
        parameter(&[13], 4),
        parameter(&[10, 3, 3, 2], 5),
        parameter(&[10], 6),
        parameter(&[6, 1, 3, 3], 7),
        parameter(&[6], 8),
        parameter(&[13, 520], 9),
        parameter(&[13], 10),
    ];
    let [w1, b1, w2, b2, w3, b3, w4, b4] = &parameters;
    let grouped = |groups| Conv2dOptions::default().groups(groups).padding(wgrad::Padding::Explicit([1, 0]));
    let linear = rows.linear(w1, Some(b1))?.square()?.sum_all()?;
    let convolution = image.conv2d(w2, Some(b2), &grouped(2))?.square()?.sum_all()?;
    let depthwise = image.conv2d(w3, Some(b3), &grouped(6))?.square()?.sum_all()?;
    // Long rows are loaded eight columns at a time.
    let long = random(device, &[batch, 520], 11).linear(w4, Some(b4))?.square()?.sum_all()?;
    linear.add(&convolution)?.add(&depthwise)?.add(&long)?.backward()?;
    // Reading one runs no more than that one needs.
    device.flush()?;
    parameters.iter().map(|parameter| parameter.grad().unwrap().to_vec::<f32>()).collect()
}

#[test]
fn gradients_of_biases_come_from_the_kernels_of_the_weights() {
    for disable in [
        Disable::default(),
        Disable { subgroup: true, ..Disable::default() },
        Disable { software: true, ..Disable::default() },
        Disable { fuse: true, ..Disable::default() },
    ] {
        let Some(device) = common::poisoned(disable) else { return };
        for batch in [1, 5, 70] {
            let got = parameter_gradients(&device, batch).unwrap();
            let exact = parameter_gradients(&Device::reference(), batch).unwrap();
            for (parameter, (got, exact)) in got.iter().zip(&exact).enumerate() {
                // Sums of up to 70 x 9 x 10 terms, which the largest of the sums bounds well enough.
                let largest = exact.iter().fold(0f32, |most, value| most.max(value.abs()));
                for (at, (got, exact)) in got.iter().zip(exact).enumerate() {
                    let near = (got - exact).abs() <= 64.0 * f32::EPSILON * largest;
                    assert!(near, "{parameter}[{at}] of {batch}: {got} instead of {exact} with {disable:?}");
                }
            }
        }
        // A column of ones stands for the sums.
        let sources = device.shader_sources();
        for kernel in ["matmul", "conv2d_backward_filter"] {
            let mut texts = sources.iter().filter(|(name, _)| name.starts_with(kernel)).map(|(_, text)| text);
            let has_ones = texts.any(|text| text.contains("const ONES: u32 = 1u;"));
            assert_eq!(has_ones, !disable.fuse, "{kernel} with {disable:?}");
        }
    }
}

#[test]
fn a_bias_and_a_weight_that_is_changed_in_the_stores_of_its_gradient() {
    let moved = |device: &Device| -> Result<Vec<f32>> {
        let x = random(device, &[6, 41], 1);
        let (weight, bias) = (random(device, &[13, 41], 2).requires_grad(), random(device, &[13], 3).requires_grad());
        let loss = x.linear(&weight, Some(&bias))?.square()?.sum_all()?;
        let gradients = wgrad::grad(&[&loss], &[&weight, &bias], &[&loss.ones_like()?])?;
        let [Some(of_weight), Some(of_bias)] = &gradients[..] else { panic!("no gradients") };
        // The gradient of the weight itself is never stored.
        let (weight, bias) = (of_weight.mul_scalar(0.01)?.t()?, of_bias.mul_scalar(0.01)?);
        drop((gradients, loss));
        device.flush()?;
        Ok([weight.to_vec::<f32>()?, bias.to_vec::<f32>()?].concat())
    };
    let Some(device) = common::poisoned(Disable::default()) else { return };
    for (at, (got, exact)) in moved(&device).unwrap().into_iter().zip(moved(&Device::reference()).unwrap()).enumerate()
    {
        assert!((got - exact).abs() <= 1e-6, "{at}: {got} instead of {exact}");
    }
}

#[test]
fn networks_take_few_dispatches() {
    let (software, gpu) = (software(), gpu());
    let plain = Noop { subgroup_size: 1, ..software.clone() };
    for batch in [2, 64] {
        for noop in [&software, &gpu, &plain] {
            let (lenet, _) = of_step(noop, |scope| Ok(Box::new(LeNet5::new(scope)?)), [batch, 1, 28, 28]);
            assert!(lenet <= 25, "LeNet-5, batch {batch} on {noop:?}: {lenet}");
        }
        let (cifar, _) = of_step(&plain, |scope| Ok(Box::new(CifarCnn::new(scope)?)), [batch, 3, 32, 32]);
        assert!(cifar <= 34, "CIFAR CNN, batch {batch}: {cifar}");
    }
    // The measured counts and at most a tenth: 240, 153, 114, 154, 140 and 199. Winograd's convolutions in parts are the most
    // launches that a plan may have anyway.
    let (few, many) = ((&software, 8, 260), (&software, 128, 165));
    for (noop, batch, most) in [few, many, (&plain, 8, 120), (&plain, 128, 165), (&gpu, 8, 154), (&gpu, 128, 218)] {
        let (resnet, _) = of_step(
            noop,
            |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18_cifar().classes(10))?)),
            [batch, 3, 32, 32],
        );
        assert!(resnet <= most, "ResNet-18, batch {batch} on {noop:?}: {resnet}");
    }
}

/// A network with a normalization and a residual connection; its loss and its parameters after a step of SGD.
fn step(device: &Device) -> Result<Vec<f32>> {
    let parameter = |name: &str, shape: &[usize], seed| Parameter::new(name, &random(device, shape, seed));
    let weight = parameter("weight", &[20, 20, 3, 3], 1);
    let (scale, shift) = (parameter("scale", &[20], 2), parameter("shift", &[20], 3));
    let last = parameter("last", &[7, 20], 4);
    let parameters = vec![weight.clone(), scale.clone(), shift.clone(), last.clone()];
    let options = SgdOptions::default().lr(0.1).momentum(0.9);
    let mut sgd = Sgd::new(parameters.clone(), options)?;
    let x = random(device, &[6, 20, 9, 9], 5);
    let labels = Tensor::from_slice(device, &[0i32, 1, 2, 3, 4, 5], &[6])?;
    let options = Conv2dOptions::default().padding(wgrad::Padding::Explicit([1, 1]));
    let (scaled, shifted) = (scale.value(), shift.value());
    let norm = BatchNormOptions::default().training(true);
    let y = x.conv2d(&weight.value(), None, &options)?;
    let y = y.batch_norm(None, None, Some(&scaled), Some(&shifted), &norm)?.relu()?.add(&x)?;
    let logits = y.mean([2, 3])?.linear(&last.value(), None)?;
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
    let open = |disable| Device::with_options(&DeviceOptions::default().disable(disable)).unwrap();
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

/// Chains over `count` elements that are read in order, from another offset in a buffer, broadcast, and of other types.
fn chains(device: &Device, count: usize) -> Result<Vec<f32>> {
    let long = random(device, &[count + 20], 1);
    let x = random(device, &[count], 2);
    let mut results = Vec::new();
    for start in [0, 1, 4, 8] {
        let part = long.narrow(0, start, count)?;
        results.push(x.mul(&part)?.add(&x)?.relu()?);
        results.push(part.gt(&x)?.where_(&x, &part)?);
    }
    let counted = Tensor::arange(device, 0.0, count as f64, 1.0, DType::I32)?;
    results.push(counted.mul_scalar(3.0)?.add(&counted)?.to_dtype(DType::F32)?);
    results.push(x.to_dtype(DType::F16)?.add_scalar(1.0)?.to_dtype(DType::F32)?.mul(&x)?);
    results.push(x.add(&random(device, &[1], 3))?);
    let spread = random(device, &[count, 4], 4);
    results.push(spread.mul(&x.unsqueeze(1)?)?.flatten(0, -1)?);
    results.push(random(device, &[4, count], 5).t()?.add(&spread)?.flatten(0, -1)?);
    let values: Result<Vec<Vec<f32>>> = results.iter().map(Tensor::to_vec).collect();
    Ok(values?.concat())
}

#[test]
fn chains_of_any_length_are_right_in_eights_and_in_fours() {
    for disable in [Disable::default(), Disable { int64: true, ..Disable::default() }] {
        let Some(device) = common::poisoned(disable) else { return };
        for count in [1, 3, 4, 5, 8, 12, 13, 16, 4_099, 70_000] {
            let (got, exact) = (chains(&device, count).unwrap(), chains(&Device::reference(), count).unwrap());
            for (at, (got, exact)) in got.iter().zip(&exact).enumerate() {
                // Two roundings of numbers below 2; the reference rounds to the type of each result as well.
                assert!(
                    (got - exact).abs() <= 2.0 * f32::EPSILON * exact.abs().max(1.0),
                    "{at} of {count}: {got} {exact}"
                );
            }
        }
    }
}
