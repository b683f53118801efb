//! A value of f16 is always one that f16 can store, for all readers: kernels compute in f32 in between.

use crate::common;
use crate::common::launches::random;
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{Conv2dOptions, DType, Device, DeviceOptions, Disable, Noop, Parameter, Result, Tensor};

/// Adapters that compute, without and with the options that change the kernels' text.
fn adapters() -> Vec<Device> {
    let open = |disable| common::poisoned(disable).filter(common::has_f16);
    let of_gpus = Disable { int64: true, software: true, ..Disable::default() };
    [Disable::default(), of_gpus].into_iter().filter_map(open).collect()
}

/// Adapters that compute nothing, of both kinds.
fn noops() -> Vec<Device> {
    let kinds = [Noop::default(), Noop { software: false, subgroup_size: 32, ..Noop::default() }];
    kinds.map(|noop| Device::with_options(&DeviceOptions::default().noop(noop)).unwrap()).into()
}

/// Values of f16 that are in memory: powers of two and their sums, so that products are exact or far from it.
fn stored(device: &Device, shape: &[usize], scale: f32, seed: u64) -> Result<Tensor> {
    let x = random(device, shape, seed).mul_scalar(16.0)?.round()?.mul_scalar(scale)?.to_dtype(DType::F16)?;
    x.to_f64()?;
    Ok(x)
}

/// A name, and a function of a tensor `[2, 4, 8, 8]`.
type Program = (&'static str, fn(&Tensor) -> Result<Tensor>);

/// Every result is compared with the reference's, which rounds after each call.
fn compare(programs: &[Program], scale: f32) {
    let run = |device: &Device, program: fn(&Tensor) -> Result<Tensor>| {
        stored(device, &[2, 4, 8, 8], scale, 1).and_then(|x| program(&x)?.to_f64())
    };
    for (name, program) in programs {
        let expected = run(&Device::reference(), *program).unwrap_or_else(|e| panic!("{name} on the reference: {e}"));
        for device in adapters() {
            let got = run(&device, *program).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(got.len(), expected.len(), "{name}");
            for (at, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
                // A sum whose last digit rounds the other way, once or twice.
                let near = (got - expected).abs() <= expected.abs() / 512.0;
                let same = got == expected || got.is_nan() && expected.is_nan() || near;
                assert!(same, "{name} [{at}]: {got} instead of {expected}, {:?}", device.adapter());
            }
        }
        for device in noops() {
            run(&device, *program).unwrap_or_else(|e| panic!("{name} on {:?}: {e}", device.adapter()));
        }
    }
}

/// One number for each of `shape`.
fn one_each(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    stored(x.device(), shape, 0.25, 2)
}

#[test]
fn operands_are_broadcast() {
    let programs: [Program; 8] = [
        ("[1]", |x| x.add(&one_each(x, &[1])?)),
        ("[C, 1, 1]", |x| x.mul(&one_each(x, &[4, 1, 1])?)),
        ("[W]", |x| x.sub(&one_each(x, &[8])?)),
        ("[H, 1]", |x| x.maximum(&one_each(x, &[8, 1])?)),
        ("prelu", |x| x.prelu(&one_each(x, &[1])?)),
        ("behind a sum's rows", |x| {
            let largest = x.amax_keepdim(3)?;
            largest.to_f64()?;
            x.sub(&largest)?.sum(3)
        }),
        ("behind a convolution", |x| {
            let weight = one_each(x, &[4, 4, 3, 3])?;
            x.conv2d(&weight, None, &Conv2dOptions::default())?.mul(&one_each(x, &[4, 1, 1])?)?.add(&one_each(x, &[1])?)
        }),
        ("before a product", |x| {
            let columns = one_each(x, &[8, 8])?;
            x.mul(&one_each(x, &[1])?)?.flatten(0, 2)?.matmul(&columns)
        }),
    ];
    compare(&programs, 0.125);
}

#[test]
fn readers_see_what_is_stored() {
    let large = |x: &Tensor| x.mul(x);
    // Magnitudes up to 2,048: squares are past the largest number of f16.
    let programs: [Program; 15] = [
        ("itself", large),
        ("a question", |x| x.mul(x)?.isinf()?.to_dtype(DType::F32)),
        ("a product", |x| x.mul(x)?.mul_scalar(1e-3)),
        ("a cast", |x| x.mul(x)?.to_dtype(DType::F32)),
        ("small digits", |x| x.add_scalar(1.0 / 64.0)?.sub(x)),
        ("a relation", |x| x.mul_scalar(1.0 / 3.0)?.mul_scalar(3.0)?.eq(x)?.to_dtype(DType::F32)),
        ("a constant", |x| x.full_like(60_000.0)?.mul_scalar(60_000.0)?.mul_scalar(1e-3)),
        ("a constant that a tensor meets", |x| x.full_like(300.0)?.mul_scalar(300.0)?.minimum(x)),
        ("a reduction's elements", |x| x.mul(x)?.mul_scalar(1e-3)?.amax(3)),
        ("a reduction's result", |x| x.abs()?.mul_scalar(16.0)?.sum(3)?.mul_scalar(1e-3)),
        ("rows and elements", |x| {
            let sum = x.abs()?.mul_scalar(16.0)?.sum_keepdim(3)?;
            x.div(&sum)?.add_scalar(1.0)
        }),
        ("a whole row", |x| {
            x.mul_scalar(1.0 / 1024.0)?
                .softmax(3)?
                .mul_scalar(3000.0)?
                .mul_scalar(3000.0)?
                .isinf()?
                .to_dtype(DType::F32)
        }),
        ("a product's result", |x| {
            let squares = x.flatten(0, 2)?.matmul(&one_each(x, &[8, 8])?.abs()?.mul_scalar(16.0)?)?;
            squares.mul_scalar(1e-3)
        }),
        ("a convolution's result", |x| {
            let weight = one_each(x, &[4, 4, 3, 3])?.abs()?.mul_scalar(16.0)?.contiguous()?;
            x.abs()?.conv2d(&weight, None, &Conv2dOptions::default())?.mul_scalar(1e-3)?.relu()
        }),
        ("what is loaded", |x| {
            let columns = one_each(x, &[8, 8])?;
            x.mul(x)?.mul_scalar(1e-3)?.minimum_scalar(64.0)?.flatten(0, 2)?.matmul(&columns)
        }),
    ];
    compare(&programs, 256.0);
}

#[test]
fn a_loss_scale_that_is_too_large_is_seen() {
    for device in adapters() {
        let half = |values: &[f32]| Tensor::from_slice(&device, values, &[values.len()])?.to_dtype(DType::F16);
        let weight = Parameter::new("weight", &half(&[1.0; 4]).unwrap());
        let mut sgd = Sgd::new(vec![weight.clone()], SgdOptions::default()).unwrap();
        let scaled = weight.value().mul(&half(&[100.0, 1.0, 2.0, 3.0]).unwrap()).unwrap();
        let loss = scaled.mul(&half(&[1024.0; 4]).unwrap()).unwrap().sum_all().unwrap();
        loss.backward().unwrap();
        let finite = weight.grad().unwrap().isfinite().unwrap().all_all().unwrap();
        assert!(!finite.to_vec::<bool>().unwrap()[0]);
        sgd.step().unwrap();
        assert_eq!(weight.value().to_f64().unwrap()[0], f64::NEG_INFINITY);
    }
}
