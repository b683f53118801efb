//! Training in half precision.

use crate::common;
use crate::common::chains::{Chain, Shape};
use crate::common::steps::{gpu, software};
use serde_json::Value;
use std::path::Path;
use wgrad::amp::{AutocastOptions, GradScaler, GradScalerOptions, autocast, autocast_with};
use wgrad::data::{Batch, Mnist};
use wgrad::models::{CifarCnn, LeNet5};
use wgrad::nn::{Linear, Module, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::train::State;
use wgrad::{
    CrossEntropyOptions, DType, Device, DeviceOptions, Disable, Error, Graph, Noop, PadMode, Parameter, Reduction,
    Result, Tensor, checkpoint,
};

fn noop(f16: bool) -> Device {
    let noop = Noop { f16, ..Noop::default() };
    Device::with_options(&DeviceOptions::default().noop(noop)).unwrap()
}

fn product(x: &Tensor) -> Result<DType> {
    Ok(x.matmul(x)?.dtype())
}

#[test]
fn settings_lie_in_each_other_and_end() {
    let x = Tensor::ones(&Device::reference(), &[2, 2]).unwrap();
    let off = AutocastOptions::default().enabled(false);
    let types = autocast(DType::F16, || {
        let inner = autocast_with(&off, || Ok([product(&x)?, autocast(DType::F16, || product(&x))?, product(&x)?]))?;
        let failed: Result<()> = autocast_with(&off, || Err(x.reshape(&[3]).unwrap_err()));
        assert!(failed.is_err());
        let other = std::thread::scope(|scope| scope.spawn(|| product(&x)).join().unwrap())?;
        Ok((inner, product(&x)?, other))
    });
    assert_eq!(types.unwrap(), ([DType::F32, DType::F16, DType::F32], DType::F16, DType::F32));
    assert_eq!(product(&x).unwrap(), DType::F32);
    let error = autocast(DType::I32, || product(&x)).unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "autocast", .. }), "{error}");
}

#[test]
fn an_adapter_without_f16_says_so_or_stays_with_f32() {
    let x = Tensor::ones(&noop(false), &[2, 2]).unwrap();
    let error = autocast(DType::F16, || product(&x)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { op: "autocast", feature: "shader-f16", .. }), "{error}");
    let or_f32 = AutocastOptions::default().or_f32(true);
    assert_eq!(autocast_with(&or_f32, || product(&x)).unwrap(), DType::F32);
}

/// A weight that is read three times, in a checkpoint too, is cast once and gets one gradient of f32, that of the plain calls on
/// a rounded weight.
#[test]
fn weights_are_cast_once_and_get_gradients_of_f32() {
    for device in [Some(Device::reference()), common::poisoned(Disable::default())].into_iter().flatten() {
        if !common::has_f16(&device) {
            continue;
        }
        let w = Tensor::from_slice(&device, &[0.1f32, -0.7, 1.3, 0.4], &[2, 2]).unwrap();
        let x = Tensor::from_slice(&device, &[1.0f32, 2.0, -3.0, 0.5], &[2, 2]).unwrap();
        let weight = Parameter::new("weight", &w);
        let thrice = |w: &Tensor| x.matmul(w)?.relu()?.matmul(w)?.matmul(w)?.sum_all();
        let loss = autocast(DType::F16, || checkpoint(|_: &()| thrice(&weight.value()), &())).unwrap();
        assert_eq!(loss.dtype(), DType::F32);
        let casts = Graph::of(&[&loss]).unwrap().to_string().matches("to_dtype").count();
        loss.backward().unwrap();
        let gradient = weight.grad().unwrap();
        assert_eq!(gradient.dtype(), DType::F32);
        // By hand: three products in f16.
        let leaf = w.to_dtype(DType::F16).unwrap().requires_grad();
        let halves = x.to_dtype(DType::F16).unwrap();
        let y = halves.matmul(&leaf).unwrap().relu().unwrap().matmul(&leaf).unwrap().matmul(&leaf).unwrap();
        let by_hand = y.to_dtype(DType::F32).unwrap().sum_all().unwrap();
        by_hand.backward().unwrap();
        assert_eq!(loss.to_f64().unwrap(), by_hand.to_f64().unwrap());
        assert_eq!(gradient.to_f64().unwrap(), leaf.grad().unwrap().to_f64().unwrap());
        assert!(casts <= 3, "{casts} casts");
    }
}

#[test]
fn a_loss_of_probabilities_is_refused() {
    let p = Tensor::full(&Device::reference(), &[3], 0.5f32).unwrap();
    let loss = || p.binary_cross_entropy(&p, None, Reduction::Mean);
    let error = autocast(DType::F16, loss).unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "binary_cross_entropy", .. }), "{error}");
    assert!(error.to_string().contains("binary_cross_entropy_with_logits"), "{error}");
    assert!(loss().is_ok());
}

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), common::own_adapter()].into_iter().flatten().filter(common::has_f16)
}

#[test]
fn scales_are_pytorchs_over_steps_with_infinities() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/grad_scaler.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for device in [Some(Device::reference()), common::own_adapter()].into_iter().flatten() {
        for case in &cases {
            let option = |name: &str| case["options"][name].as_f64().unwrap();
            let options = GradScalerOptions::default()
                .init_scale(option("init_scale"))
                .growth_factor(option("growth_factor"))
                .backoff_factor(option("backoff_factor"))
                .growth_interval(option("growth_interval") as u32);
            let mut scaler = GradScaler::new(&device, options).unwrap();
            let parameter = Parameter::new("p", &Tensor::zeros(&device, &[2]).unwrap());
            let mut sgd = Sgd::new(vec![parameter.clone()], SgdOptions::default().lr(1.0)).unwrap();
            let mut moved = 0.0;
            let steps = case["found"].as_array().unwrap().iter().zip(case["scales"].as_array().unwrap());
            for (step, (found, expected)) in steps.enumerate() {
                // Its inverse is a denormal past 2^126, which adapters may flush to 0.
                let scale = scaler.scale_value().unwrap();
                let bad = [f32::INFINITY, f32::NAN][step % 2];
                let last = if found == 1 { bad } else { scale as f32 };
                let gradient = Tensor::from_slice(&device, &[scale as f32, last], &[2]).unwrap();
                parameter.set_grad(Some(gradient)).unwrap();
                scaler.step(&mut sgd).unwrap();
                scaler.update().unwrap();
                // The reference rounds nothing, and PyTorch to f32 at each step.
                let (got, expected) = (scaler.scale_value().unwrap(), expected.as_f64().unwrap());
                let rounding = f64::from(f32::EPSILON) * expected * (step + 1) as f64;
                assert!((got - expected).abs() <= rounding, "{got}, not {expected} at step {step} of {case}");
                if found == 0 && scale < 1e37 {
                    moved -= 1.0;
                    let values = parameter.value().to_f64().unwrap();
                    // One rounding of the inverse a step.
                    assert!((values[1] - moved).abs() <= 1e-7 * moved.abs() * (step + 1) as f64, "{values:?}, {moved}");
                } else {
                    moved = parameter.value().to_f64().unwrap()[1];
                }
            }
        }
    }
}

/// A regression whose loss is a hundred millionth, so that gradients of f16 are 0 without a scale: its final error.
fn regression(device: &Device, options: GradScalerOptions) -> f64 {
    device.manual_seed(4);
    let x = Tensor::randn(device, &[32, 4]).unwrap();
    let w = Tensor::from_slice(device, &[1.0f32, -2.0, 0.5, 3.0], &[4, 1]).unwrap();
    let y = x.matmul(&w).unwrap();
    let model = Linear::new(&Scope::new(device), 4, 1).unwrap();
    let mut sgd = Sgd::new(&model, SgdOptions::default().lr(2e7)).unwrap();
    let mut scaler = GradScaler::new(device, options).unwrap();
    let error = || model.forward(&x)?.mse_loss(&y, Reduction::Mean);
    for _ in 0..60 {
        let loss = autocast(DType::F16, || error()?.mul_scalar(1e-8)).unwrap();
        scaler.scale(&loss).unwrap().backward().unwrap();
        scaler.step(&mut sgd).unwrap();
        scaler.update().unwrap();
        sgd.zero_grad();
    }
    error().unwrap().to_f64().unwrap()[0]
}

#[test]
fn gradients_that_underflow_are_learned_from_with_a_scale() {
    for device in devices() {
        let scaled = regression(&device, GradScalerOptions::default().init_scale(1e8));
        let plain = regression(&device, GradScalerOptions::default().enabled(false));
        assert!(scaled < 0.01 && plain > 3.0, "{scaled} with a scale, {plain} without on {device:?}");
    }
}

/// A scale that is far too large is halved until gradients are finite, and steps before that change nothing.
#[test]
fn a_scale_that_is_too_large_comes_down_without_a_step() {
    for device in devices() {
        device.manual_seed(1);
        let model = Linear::new(&Scope::new(&device), 4, 2).unwrap();
        let mut adam = Adam::new(&model, AdamOptions::default()).unwrap();
        let before = model.weight.value().to_f64().unwrap();
        let x = Tensor::full(&device, &[8, 4], 3.0f32).unwrap();
        let mut scaler = GradScaler::new(&device, GradScalerOptions::default().init_scale(2f64.powi(20))).unwrap();
        let mut skipped = 0;
        while adam.steps().unwrap()[0] == 0 {
            assert_eq!(model.weight.value().to_f64().unwrap(), before);
            let loss = autocast(DType::F16, || model.forward(&x)?.sum_all()).unwrap();
            scaler.scale(&loss).unwrap().backward().unwrap();
            scaler.step(&mut adam).unwrap();
            scaler.update().unwrap();
            adam.zero_grad();
            skipped += 1;
        }
        // The weight's gradient is 24 times the scale, and f16 ends at 65,504: after nine halvings.
        assert_eq!((scaler.scale_value().unwrap(), skipped), (2048.0, 10));
        assert_ne!(model.weight.value().to_f64().unwrap(), before);
    }
}

#[test]
fn a_scaler_goes_on_from_its_state() {
    let device = Device::reference();
    let options = GradScalerOptions::default().growth_interval(3);
    let parameter = Parameter::new("p", &Tensor::zeros(&device, &[2]).unwrap());
    let mut sgd = Sgd::new(vec![parameter.clone()], SgdOptions::default()).unwrap();
    let mut step = |scaler: &mut GradScaler| {
        parameter.set_grad(Some(Tensor::ones(&device, &[2]).unwrap())).unwrap();
        scaler.step(&mut sgd).unwrap();
        scaler.update().unwrap();
    };
    let mut first = GradScaler::new(&device, options).unwrap();
    (0..5).for_each(|_| step(&mut first));
    let mut second = GradScaler::new(&device, options).unwrap();
    for (to, from) in second.tensors().into_iter().zip(first.tensors()) {
        to.assign(&from.value()).unwrap();
    }
    step(&mut second);
    assert_eq!(second.scale_value().unwrap(), 4.0 * 65536.0);
}

#[test]
fn a_scaler_refuses_what_it_can_tell() {
    let device = Device::reference();
    let options = GradScalerOptions::default();
    let wrong = [
        options.init_scale(0.0),
        options.init_scale(f64::NAN),
        options.growth_factor(1.0),
        options.backoff_factor(1.0),
        options.growth_interval(0),
    ];
    for options in wrong {
        assert!(matches!(GradScaler::new(&device, options), Err(Error::Invalid { op: "grad_scaler", .. })));
    }
    // On a separate thread, which has not used autocast.
    let told = std::thread::spawn(move || {
        let mut scaler = GradScaler::new(&device, options).unwrap();
        let x = Tensor::ones(&device, &[2]).unwrap().requires_grad();
        let loss = x.square().unwrap().sum_all().unwrap();
        let without = scaler.scale(&loss).unwrap_err().to_string();
        let half = x.to_dtype(DType::F16).unwrap().to_dtype(DType::F32).unwrap().sum_all().unwrap();
        assert!(scaler.scale(&half).is_ok());
        (without, scaler.update().unwrap_err().to_string())
    });
    let (without, unstepped) = told.join().unwrap();
    assert!(without.contains("amp::autocast") && unstepped.contains("behind step()"), "{without}, {unstepped}");
}

#[test]
fn nothing_is_created_after_the_second_step() {
    let Some(device) = common::own_adapter().filter(common::has_f16) else { return };
    let model = Linear::new(&Scope::new(&device), 16, 4).unwrap();
    let mut adam = Adam::new(&model, AdamOptions::default()).unwrap();
    let mut scaler =
        GradScaler::new(&device, GradScalerOptions::default().init_scale(1024.0).growth_interval(2)).unwrap();
    let x = Tensor::randn(&device, &[8, 16]).unwrap();
    device.sync().unwrap();
    let mut made = Vec::new();
    for step in 0..6 {
        // One of them meets infinities.
        let factor = Tensor::full(&device, &[], if step == 3 { f32::INFINITY } else { 1.0 }).unwrap();
        let loss = autocast(DType::F16, || model.forward(&x)?.mul(&factor)?.sum_all()).unwrap();
        scaler.scale(&loss).unwrap().backward().unwrap();
        scaler.step(&mut adam).unwrap();
        scaler.update().unwrap();
        adam.zero_grad();
        device.sync().unwrap();
        let stats = device.stats();
        made.push((stats.plans, stats.pipelines, stats.buffers, stats.bind_groups));
    }
    assert!(made[1..].iter().all(|now| *now == made[1]), "{made:?}");
    assert_eq!(adam.steps().unwrap()[0], 5);
}

/// A step of an optimizer's packs, of three weights here, casts them by one launch.
#[test]
fn weights_of_a_pack_are_cast_together() {
    for device in [Device::reference(), noop(true)] {
        let scope = Scope::new(&device);
        let model = Sequential::new(&scope)
            .make(|s| Linear::new(s, 4, 4))
            .and_then(|model| model.make(|s| Linear::new(s, 4, 4)))
            .and_then(|model| model.make(|s| Linear::new(s, 4, 4)))
            .unwrap();
        let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1)).unwrap();
        let x = Tensor::ones(&device, &[2, 4]).unwrap();
        for _ in 0..2 {
            let loss = autocast(DType::F16, || model.forward(&x)?.square()?.sum_all()).unwrap();
            let casts = Graph::of(&[&loss]).unwrap().to_string().matches("to_f16").count();
            // The weights, and the input.
            assert_eq!(casts, 2, "{}", Graph::of(&[&loss]).unwrap());
            loss.backward().unwrap();
            assert_eq!(model.parameters()[0].grad().unwrap().dtype(), DType::F32);
            sgd.step().unwrap();
            sgd.zero_grad();
        }
    }
}

/// Peak of a step of convolutions with norms and rectifiers, minus the memory of a cast of all weights.
fn peak(noop: Noop, is_half: bool) -> u64 {
    let device = Device::with_options(&DeviceOptions { noop: Some(noop), ..DeviceOptions::default() }).unwrap();
    let chain = Chain::new(&Scope::new(&device), Shape::Plain, 16, 32).unwrap();
    let mut sgd = Sgd::new(&chain, SgdOptions::default()).unwrap();
    let x = Tensor::ones(&device, &[32, 16, 32, 32]).unwrap();
    let labels = Tensor::from_slice(&device, &[1i32; 32], &[32]).unwrap();
    device.sync().unwrap();
    device.reset_peak_stats();
    let loss = || chain.forward(&x)?.cross_entropy(&labels, &CrossEntropyOptions::default());
    autocast_with(&AutocastOptions::default().enabled(is_half), loss).unwrap().backward().unwrap();
    sgd.step().unwrap();
    let weights: usize = chain.parameters().iter().map(|weight| weight.value().numel()).sum();
    device.stats().bytes_live_peak - if is_half { 2 * weights as u64 } else { 0 }
}

/// Values kept for gradients are f16; temporaries are not.
#[test]
fn half_precision_keeps_half_as_much() {
    for noop in [software(), gpu()] {
        let [single, half] = [false, true].map(|is_half| peak(noop.clone(), is_half));
        let share = half as f64 / single as f64;
        assert!(share <= 0.6, "{half} bytes are {share:.3} of {single} on {noop:?}");
    }
}

/// The accuracy on MNIST's test images after training on `count` others, padded to `side` and repeated in `channels`.
fn accuracy(device: &Device, make: fn(&Scope) -> Result<Box<dyn Module>>, input: [usize; 2], is_half: bool) -> f64 {
    let [channels, side] = input;
    let (limit, epochs) = if channels == 1 { (60_000, 3) } else { (10_000, 2) };
    let mnist = Mnist::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")).unwrap();
    let train = mnist.train.limit(limit).unwrap();
    let shown = |images: &Tensor| {
        let (edge, count) = ((side - 28) as isize / 2, images.shape()[0]);
        images.pad(&[edge; 4], PadMode::Constant(0.0))?.expand(&[count as isize, channels as isize, -1, -1])
    };
    let autocast =
        |body: &dyn Fn() -> Result<Tensor>| autocast_with(&AutocastOptions::default().enabled(is_half), body);
    device.manual_seed(0);
    let model = make(&Scope::new(device)).unwrap();
    let mut adam = Adam::new(&*model, AdamOptions::default().lr(2e-3)).unwrap();
    let mut scaler = GradScaler::new(device, GradScalerOptions::default().enabled(is_half)).unwrap();
    for epoch in 0..epochs {
        for batch in train.shuffled(device, 64, 0, epoch).unwrap() {
            let Batch { images, labels } = batch.unwrap();
            let images = shown(&images).unwrap();
            let loss = autocast(&|| model.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default()));
            scaler.scale(&loss.unwrap()).unwrap().backward().unwrap();
            scaler.step(&mut adam).unwrap();
            scaler.update().unwrap();
            adam.zero_grad();
        }
        // At a constant rate the accuracy wavers by as much as the difference to detect.
        adam.set_lr(0, 2e-3 * 0.3f64.powi(epoch as i32 + 1)).unwrap();
    }
    model.eval();
    let mut right = 0.0;
    for batch in mnist.test.batches(device, 500).unwrap() {
        let Batch { images, labels } = batch.unwrap();
        let images = shown(&images).unwrap();
        let guesses = autocast(&|| model.forward(&images)?.argmax(1)).unwrap();
        right += guesses.eq(&labels).unwrap().to_dtype(DType::F32).unwrap().sum_all().unwrap().item::<f32>().unwrap();
    }
    f64::from(right) / mnist.test.len() as f64
}

/// Minutes long, so behind `WGRAD_TEST_ALL`.
#[test]
fn half_precision_is_as_accurate() {
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    let Some(device) = common::own_adapter().filter(|device| all && common::has_f16(device)) else { return };
    type Network = (fn(&Scope) -> Result<Box<dyn Module>>, [usize; 2]);
    let networks: [Network; 2] =
        [(|scope| Ok(Box::new(LeNet5::new(scope)?)), [1, 28]), (|scope| Ok(Box::new(CifarCnn::new(scope)?)), [3, 32])];
    for (make, input) in networks {
        let [single, half] = [false, true].map(|is_half| accuracy(&device, make, input, is_half));
        assert!((single - half).abs() <= 0.003, "{input:?}: {single} in f32, {half} in f16");
    }
}
