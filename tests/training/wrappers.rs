//! Lookahead, averages of weights and SAM on a network. Their trajectories are compared with PyTorch's by the conformance
//! files.

use crate::common::own_adapter;
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Module, Scope};
use wgrad::optim::{
    AdamW, AdamWOptions, Averaged, Averaging, Guard, Lookahead, LookaheadOptions, Optimizer, Sam, SamOptions, Sgd,
    SgdOptions,
};
use wgrad::{Device, Parameter, Result, Tensor, train};

fn parameters(device: &Device) -> Vec<Parameter> {
    let value = |shape: &[usize]| Tensor::ones(device, shape).unwrap();
    vec![Parameter::new("a", &value(&[3])), Parameter::new("b", &value(&[2, 2])), Parameter::new("c", &value(&[200]))]
}

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

/// A step on the sum of squares.
fn step(parameters: &[Parameter], optimizer: &mut dyn Optimizer) -> Result<()> {
    optimizer.zero_grad();
    for parameter in parameters {
        parameter.value().square()?.sum_all()?.backward()?;
    }
    optimizer.step()
}

fn values(parameters: &[Parameter]) -> Vec<f32> {
    parameters.iter().flat_map(|parameter| parameter.value().to_vec::<f32>().unwrap()).collect()
}

#[test]
fn averages_are_lent_for_an_evaluation_and_kept_in_the_end() {
    for device in devices() {
        let parameters = parameters(&device);
        let sgd = Sgd::new(parameters.clone(), SgdOptions::default().lr(0.25)).unwrap();
        let mut optimizer = Averaged::new(sgd, Averaging::Swa { start: 1 }).unwrap();
        for _ in 0..3 {
            step(&parameters, &mut optimizer).unwrap();
        }
        // 1, 1/2, 1/4, 1/8; the mean of the last two.
        assert_eq!(values(&parameters), [0.125; 207]);
        let lent = optimizer.with_average(|| Ok(values(&parameters))).unwrap();
        assert_eq!(lent, [0.1875; 207]);
        assert_eq!(values(&optimizer.averages()), [0.1875; 207]);
        assert_eq!(values(&parameters), [0.125; 207]);
        // A failing evaluation restores the weights too.
        let missing = || Parameter::new("x", &Tensor::ones(&device, &[1])?).value().reshape(&[2]);
        assert!(optimizer.with_average(missing).is_err());
        assert_eq!(values(&parameters), [0.125; 207]);
        // Training goes on from the same point.
        step(&parameters, &mut optimizer).unwrap();
        assert_eq!(values(&parameters), [0.0625; 207]);
        optimizer.apply().unwrap();
        assert_eq!(values(&parameters), [(0.25 + 0.125 + 0.0625) / 3.0; 207]);
    }
}

#[test]
fn a_wrapper_takes_no_launch_of_its_own_and_makes_no_plan_from_the_third_step_on() {
    let Some(device) = own_adapter() else { return };
    let parameters = parameters(&device);
    let launches = |optimizer: &mut dyn Optimizer| {
        // Lookahead takes its own step at every second one.
        for _ in 0..6 {
            step(&parameters, optimizer).unwrap();
        }
        let before = device.stats();
        for _ in 0..4 {
            step(&parameters, optimizer).unwrap();
        }
        let after = device.stats();
        assert_eq!((before.plans, before.pipelines), (after.plans, after.pipelines), "{}", optimizer.name());
        after.dispatches - before.dispatches
    };
    let adamw = || AdamW::new(parameters.clone(), AdamWOptions::default()).unwrap();
    let plain = launches(&mut adamw());
    let averaged = launches(&mut Averaged::new(adamw(), Averaging::Ema { decay: 0.9 }).unwrap());
    let ahead = launches(&mut Lookahead::new(adamw(), LookaheadOptions::default().k(2)).unwrap());
    assert!(averaged <= plain + 4 && ahead <= plain + 4, "{plain}, averaged {averaged}, lookahead {ahead}");
}

#[test]
fn options_without_a_meaning_are_refused() {
    let sgd = || Sgd::new(parameters(&Device::reference()), SgdOptions::default()).unwrap();
    let refusal = |result: Result<()>| result.unwrap_err().to_string();
    assert_eq!(
        refusal(Lookahead::new(sgd(), LookaheadOptions::default().k(0)).map(drop)),
        "lookahead: k is 0; it must be at least 1"
    );
    assert_eq!(
        refusal(Lookahead::new(sgd(), LookaheadOptions::default().alpha(1.5)).map(drop)),
        "lookahead: alpha is 1.5; it must be from 0 to 1"
    );
    assert_eq!(
        refusal(Averaged::new(sgd(), Averaging::Ema { decay: f64::NAN }).map(drop)),
        "averaged: decay is NaN; it must be from 0 to 1"
    );
}

#[test]
fn statistics_are_the_mean_over_the_batches_whatever_they_were() {
    for device in devices() {
        let options = BatchNormLayerOptions::default().momentum(0.3);
        let layer = BatchNorm1d::new(&Scope::new(&device), 2, &options).unwrap();
        let net: &dyn Module = &layer;
        net.forward(&Tensor::full(&device, &[5, 2], 100.0f32).unwrap()).unwrap();
        net.eval();
        let batches = [vec![1.0f32, 5.0, 3.0, -5.0], vec![2.0, 0.0, 8.0, 1.0, -4.0, 2.0], vec![0.0, 0.0, 1.0, 1.0]];
        let fed = || batches.iter().map(|batch| Tensor::from_slice(&device, batch, &[batch.len() / 2, 2]));
        for _ in 0..2 {
            train::update_batch_norm(net, fed()).unwrap();
        }
        let running = layer.running.as_ref().unwrap();
        for channel in 0..2 {
            let (mut mean, mut var) = (0.0, 0.0);
            for batch in &batches {
                let values: Vec<f64> = batch.iter().skip(channel).step_by(2).map(|&v| f64::from(v)).collect();
                let own = values.iter().sum::<f64>() / values.len() as f64;
                mean += own / 3.0;
                var += values.iter().map(|v| (v - own).powi(2)).sum::<f64>() / (values.len() - 1) as f64 / 3.0;
            }
            let got = [&running.mean, &running.var].map(|of| f64::from(of.value().to_vec::<f32>().unwrap()[channel]));
            assert!((got[0] - mean).abs() < 1e-5 && (got[1] - var).abs() < 1e-5 * var, "{got:?}: {mean}, {var}");
        }
        assert!(!net.mode().unwrap().is_training());
        // Training goes on with the layer's momentum.
        net.train(true);
        net.forward(&Tensor::full(&device, &[5, 2], 10.0f32).unwrap()).unwrap();
        let expected = [0.7 * (2.0 + 2.0 + 0.5) / 3.0 + 3.0, 0.7 * (0.0 + 1.0 + 0.5) / 3.0 + 3.0];
        let got = running.mean.value().to_vec::<f32>().unwrap();
        assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-5), "{got:?}");
    }
}

/// Nothing moves by a gradient that is not finite: neither up, nor in the step after it, whose own gradients are finite.
#[test]
fn sam_takes_neither_step_if_the_first_is_stopped() {
    for device in devices() {
        for adaptive in [false, true] {
            let parameters = parameters(&device);
            let sgd = Sgd::new(parameters.clone(), SgdOptions::default().lr(0.25)).unwrap();
            let mut sam = Sam::new(sgd, SamOptions::default().rho(2.0).adaptive(adaptive)).unwrap();
            let before = values(&parameters);
            let scale = Tensor::full(&device, &[], 0.5f32).unwrap();
            let set = |last: f32| {
                for parameter in &parameters {
                    let mut gradient = vec![4.0; parameter.value().numel()];
                    gradient[0] = last;
                    let value = Tensor::from_slice(&device, &gradient, parameter.value().shape()).unwrap();
                    parameter.set_grad(Some(value)).unwrap();
                }
            };
            for bad in [true, false] {
                let mut guard = Guard::new().inverse_scale(&scale);
                set(if bad { f32::INFINITY } else { 4.0 });
                sam.first_step_with(Some(&mut guard)).unwrap();
                // Gradients of 2 without their scale, and so in a direction that no scale changes.
                let up = if bad { 1.0 } else { 1.0 + 2.0 / 207f32.sqrt() };
                assert!(values(&parameters).iter().all(|value| (value - up).abs() < 1e-6));
                set(4.0);
                sam.step_guarded(&mut guard).unwrap();
                assert_eq!(guard.found().unwrap().item::<f32>().unwrap(), f32::from(u8::from(bad)));
                let after = if bad { before.clone() } else { vec![0.5; 207] };
                assert_eq!(values(&parameters), after, "on {}", device.name());
                sam.zero_grad();
            }
        }
    }
}

#[test]
fn sam_takes_its_two_steps_in_turns() {
    for device in devices() {
        let parameters = parameters(&device);
        let sgd = Sgd::new(parameters.clone(), SgdOptions::default().lr(0.25)).unwrap();
        let mut sam = Sam::new(sgd, SamOptions::default().rho(2.0)).unwrap();
        let backward = || {
            for parameter in &parameters {
                parameter.value().square().unwrap().sum_all().unwrap().backward().unwrap();
            }
        };
        let message = sam.step().unwrap_err().to_string();
        assert_eq!(message, "sam: call first_step(), compute the gradients again, and then step()");
        assert_eq!(sam.first_step().unwrap_err().to_string(), "sam: no parameter has a gradient to go up by");
        backward();
        sam.first_step().unwrap();
        let message = sam.first_step().unwrap_err().to_string();
        assert!(message.starts_with("sam: a first_step() follows another"), "{message}");
        // 207 elements of 1, whose gradient has the length 2 sqrt(207).
        let up = 1.0 + 2.0 / 207f32.sqrt();
        assert!(values(&parameters).iter().all(|value| (value - up).abs() < 1e-6));
        backward();
        sam.step().unwrap();
        assert!(values(&parameters).iter().all(|value| (value - (1.0 - 0.5 * up)).abs() < 1e-6));
        // A parameter without a gradient stays, and does not count.
        sam.zero_grad();
        let before = values(&parameters);
        parameters[0].value().square().unwrap().sum_all().unwrap().backward().unwrap();
        sam.first_step().unwrap();
        let climbed = values(&parameters);
        assert!((climbed[0] - before[0] - 2.0 / 3f32.sqrt()).abs() < 1e-6, "{} to {}", before[0], climbed[0]);
        assert_eq!(climbed[3..], before[3..]);
    }
    let sgd = Sgd::new(parameters(&Device::reference()), SgdOptions::default()).unwrap();
    let error = Sam::new(sgd, SamOptions::default().rho(f64::NAN)).map(drop).unwrap_err().to_string();
    assert!(error.contains("rho is NaN"), "{error}");
    let mut sgd = Sgd::new(parameters(&Device::reference()), SgdOptions::default()).unwrap();
    let error = sgd.first_step().unwrap_err().to_string();
    assert_eq!(error, "sgd: its step takes one gradient: call step() alone, or wrap it in optim::Sam");
    let within = Lookahead::new(Sam::new(sgd, SamOptions::default()).unwrap(), LookaheadOptions::default()).unwrap();
    let error = Sam::new(within, SamOptions::default()).map(drop).unwrap_err().to_string();
    assert!(error.contains("is or holds a Sam"), "{error}");
}
