//! The range test of learning rates.

use crate::common::own_adapter;
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Dropout, Linear, Module, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Averaged, Averaging, Optimizer, ParamGroup, Sgd, SgdOptions};
use wgrad::train::{LrCurve, LrFinder, Ramp, State};
use wgrad::{Device, Error, Parameter, Tensor};

#[test]
fn model_and_optimizer_are_the_same_bits_afterwards() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        let scope = Scope::new(&device);
        let net = Sequential::new(&scope)
            .make(|s| Linear::new(s, 4, 8))
            .unwrap()
            .make(|s| BatchNorm1d::new(s, 8, &BatchNormLayerOptions::default()))
            .unwrap()
            .push(Dropout::new(0.5))
            .make(|s| Linear::new(s, 8, 1))
            .unwrap();
        let adam = Adam::new(&net, AdamOptions::default().lr(0.01)).unwrap();
        let mut optimizer = Averaged::new(adam, Averaging::Ema { decay: 0.9 }).unwrap();
        let loss = || {
            let x = Tensor::randn(&device, &[8, 4])?;
            net.forward(&x)?.square()?.mean_all()
        };
        let step = |optimizer: &mut dyn Optimizer| {
            optimizer.zero_grad();
            loss().unwrap().backward().unwrap();
            optimizer.step().unwrap();
        };
        (0..3).for_each(|_| step(&mut optimizer));
        let bits = |optimizer: &Averaged<Adam>| {
            let tensors = [net.parameters(), optimizer.buffers()].concat();
            let gradients = net.parameters().into_iter().filter_map(|parameter| parameter.grad());
            let tensors = tensors.iter().map(Parameter::value).chain(gradients);
            let values: Vec<u64> = tensors.flat_map(|t| t.to_f64().unwrap()).map(f64::to_bits).collect();
            (values, optimizer.numbers().unwrap(), device.random_state())
        };
        let before = bits(&optimizer);
        let finder = LrFinder::default().start_lr(1e-4).end_lr(1.0).steps(12);
        let curve = finder.run(&device, &net, &mut optimizer, loss).unwrap();
        assert!(curve.lrs.len() > 2 && (curve.lrs[0] - 1e-4).abs() < 1e-12, "{curve:?}");
        assert!(bits(&optimizer) == before, "on {}", device.name());

        // A test that fails midway leaves no trace either.
        let mut calls = 0;
        let failing = || {
            calls += 1;
            if calls == 4 { Err(Error::NoGradient { op: "loss" }) } else { loss() }
        };
        assert!(matches!(finder.run(&device, &net, &mut optimizer, failing), Err(Error::NoGradient { op: "loss" })));
        assert!(bits(&optimizer) == before, "on {}", device.name());
    }
}

/// SGD on `sum(x^2) / 2`, which diverges from a rate of 2 on.
fn of_square(finder: LrFinder, rates: &[f64]) -> LrCurve {
    let device = Device::reference();
    let parameters: Vec<Parameter> = (0..rates.len())
        .map(|index| Parameter::new(format!("x{index}"), &Tensor::ones(&device, &[1]).unwrap()))
        .collect();
    struct All(Vec<Parameter>);
    impl Module for All {
        fn call(&self, input: &Tensor) -> wgrad::Result<Tensor> {
            let mut sum = input.clone();
            for parameter in &self.0 {
                sum = sum.add(&parameter.value().square()?.mul_scalar(0.5)?)?;
            }
            sum.sum_all()
        }
        fn own_parameters(&self) -> Vec<Parameter> {
            self.0.clone()
        }
    }
    let groups = parameters.iter().zip(rates);
    let groups = groups.map(|(x, &lr)| ParamGroup::new(vec![x.clone()], SgdOptions::default().lr(lr))).collect();
    let mut sgd = Sgd::with_groups(groups).unwrap();
    let all = All(parameters);
    let zero = Tensor::zeros(&device, &[1]).unwrap();
    let curve = finder.run(&device, &all, &mut sgd, || all.forward(&zero)).unwrap();
    let after: Vec<f64> = (0..rates.len()).map(|group| sgd.lr(group).unwrap()).collect();
    assert_eq!(after, rates);
    curve
}

#[test]
fn the_losses_are_those_of_the_rates() {
    let finder = LrFinder::default().start_lr(0.1).end_lr(0.5).steps(5).ramp(Ramp::Linear).smoothing(0.0);
    // Groups keep their ratios: the second has half of the rate.
    let curve = of_square(finder, &[0.2, 0.1]);
    let (mut x, mut y) = (1.0f64, 1.0f64);
    for (step, &loss) in curve.losses.iter().enumerate() {
        let lr = 0.1 * (step + 1) as f64;
        assert!((curve.lrs[step] - lr).abs() < 1e-12);
        assert!((loss - (x * x + y * y) / 2.0).abs() < 1e-6, "step {step}: {loss}");
        (x, y) = (x - lr * x, y - 0.5 * lr * y);
    }
    assert_eq!((curve.losses.len(), curve.diverged), (5, false));

    let curve = of_square(LrFinder::default().start_lr(1e-2).end_lr(100.0).steps(60).smoothing(0.5), &[0.1]);
    assert!(curve.diverged && curve.lrs.len() < 60, "{} steps", curve.lrs.len());
    let expected = 1e-2 * 1e4f64.powf(20.0 / 59.0);
    assert!((curve.lrs[20] / expected - 1.0).abs() < 1e-12);
}

#[test]
fn suggestions_lie_where_the_curve_says() {
    // Falls along a logistic curve that is steepest at a rate of 1e-3, and rises from 1e-1 on.
    let lrs: Vec<f64> = (0..=60).map(|step| 10f64.powf(-6.0 + 0.1 * f64::from(step))).collect();
    let smoothed: Vec<f64> = (0..=60)
        .map(|step| {
            let x = -6.0 + 0.1 * f64::from(step);
            1.0 / (1.0 + (2.0 * (x + 3.05)).exp()) + (x + 1.0).max(0.0) * 3.0
        })
        .collect();
    let curve = |lrs: &[f64], smoothed: &[f64]| {
        let mut curve = LrCurve::default();
        (curve.lrs, curve.losses, curve.smoothed) = (lrs.to_vec(), smoothed.to_vec(), smoothed.to_vec());
        curve
    };
    let whole = curve(&lrs, &smoothed);
    assert!((whole.steepest().unwrap() / 10f64.powf(-3.1) - 1.0).abs() < 1e-9, "{:?}", whole.steepest());
    // It falls for 51 steps, to 1e-1; the 25th is halfway through the middle third.
    assert!((whole.valley().unwrap() / lrs[25] - 1.0).abs() < 1e-9, "{:?}", whole.valley());
    assert_eq!((curve(&[], &[]).steepest(), curve(&[1.0], &[1.0]).steepest()), (None, None));
    assert_eq!((curve(&[], &[]).valley(), curve(&[1.0], &[1.0]).valley()), (None, None));
    assert_eq!(curve(&[1.0, 2.0], &[1.0, 2.0]).steepest(), Some(1.0));
}

#[test]
fn options_without_a_meaning_are_refused() {
    let device = Device::reference();
    let net = Linear::new(&Scope::new(&device), 2, 1).unwrap();
    let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.0)).unwrap();
    let mut refusal = |finder: LrFinder| {
        let loss = || net.forward(&Tensor::ones(&device, &[1, 2])?)?.sum_all();
        finder.run(&device, &net, &mut sgd, loss).unwrap_err().to_string()
    };
    let finder = LrFinder::default();
    for (finder, expected) in [
        (finder.start_lr(0.0), "rates go from 0 to 10"),
        (finder.end_lr(1e-9), "rates go from 0.0000001 to 0.000000001"),
        (finder.steps(1), "steps is 1"),
        (finder.smoothing(1.0), "smoothing is 1"),
        (finder.divergence(0.5), "divergence is 0.5"),
        (finder, "all rates of the optimizer are 0"),
    ] {
        let message = refusal(finder);
        assert!(message.contains(expected), "{expected:?} in {message:?}");
    }
}
