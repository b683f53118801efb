//! Steps that stop on the device if gradients are not finite.

use crate::common::own_adapter;
use wgrad::optim::{Adam, AdamOptions, AdamW, AdamWOptions, Guard, Optimizer, ParamGroup, Sgd, SgdOptions};
use wgrad::{Device, Error, Parameter, Tensor};

const START: [f32; 3] = [0.5, -1.0, 2.0];

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn parameters(device: &Device) -> Vec<Parameter> {
    let parameter = |name: &str| Parameter::new(name, &Tensor::from_slice(device, &START, &[3]).unwrap());
    vec![parameter("a"), parameter("b")]
}

/// Sets gradients that depend on the step, times `scale`; that of the second parameter ends in `last`, if one is given.
fn differentiate(parameters: &[Parameter], step: usize, scale: f32, last: Option<f32>) {
    for (at, parameter) in parameters.iter().enumerate() {
        let mut gradient = START.map(|x| scale * (x + 0.25 * step as f32 + at as f32));
        gradient[2] = last.filter(|_| at == 1).unwrap_or(gradient[2]);
        let gradient = Tensor::from_slice(parameter.value().device(), &gradient, &[3]).unwrap();
        parameter.set_grad(Some(gradient)).unwrap();
    }
}

fn values(parameters: &[Parameter]) -> Vec<f64> {
    parameters.iter().flat_map(|p| p.value().to_f64().unwrap()).collect()
}

/// Adam in two groups, with numbers that follow from the step and differ between them.
fn in_groups(parameters: Vec<Parameter>) -> Box<dyn Optimizer> {
    let options = AdamWOptions::default().lr(0.1);
    let of = |at: usize, options| ParamGroup::new(vec![parameters[at].clone()], options);
    Box::new(AdamW::with_groups(vec![of(0, options), of(1, options.betas((0.5, 0.9)).lr(0.02))]).unwrap())
}

fn sgd(parameters: Vec<Parameter>) -> Box<dyn Optimizer> {
    Box::new(Sgd::new(parameters, SgdOptions::default().lr(0.1).momentum(0.9).dampening(0.5)).unwrap())
}

fn amsgrad(parameters: Vec<Parameter>) -> Box<dyn Optimizer> {
    Box::new(Adam::new(parameters, AdamOptions::default().lr(0.1).amsgrad(true)).unwrap())
}

#[test]
fn a_stopped_step_is_one_that_never_was() {
    for device in devices() {
        for make in [sgd, amsgrad, in_groups] {
            let (guarded, plain) = (parameters(&device), parameters(&device));
            let (mut first, mut second) = (make(guarded.clone()), make(plain.clone()));
            for step in 0..7 {
                let bad = [Some(f32::NAN), None, None, Some(f32::INFINITY), Some(f32::NEG_INFINITY), None, None][step];
                let mut guard = Guard::new();
                differentiate(&guarded, step, 1.0, bad);
                first.step_guarded(&mut guard).unwrap();
                let found = guard.found().unwrap().item::<f32>().unwrap();
                assert_eq!(found, f32::from(u8::from(bad.is_some())), "{} step {step}", device.name());
                if bad.is_none() {
                    differentiate(&plain, step, 1.0, None);
                    second.step().unwrap();
                }
            }
            assert_eq!(first.steps().unwrap(), [4, 4]);
            let state = |optimizer: &dyn Optimizer, parameters: &[Parameter]| {
                [values(parameters), values(&optimizer.buffers())].concat()
            };
            for (got, expected) in state(&*first, &guarded).iter().zip(state(&*second, &plain)) {
                assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{}: {got} != {expected}", first.name());
            }
        }
    }
}

#[test]
fn gradients_are_brought_back_from_their_scale_first() {
    for device in devices() {
        let (scaled, plain) = (parameters(&device), parameters(&device));
        let (mut first, mut second) = (sgd(scaled.clone()), sgd(plain.clone()));
        let inverse = Tensor::full(&device, &[], 1.0f32 / 4096.0).unwrap();
        for step in 0..3 {
            differentiate(&scaled, step, 4096.0, None);
            first.step_guarded(&mut Guard::new().inverse_scale(&inverse)).unwrap();
            differentiate(&plain, step, 1.0, None);
            second.step().unwrap();
        }
        assert_eq!(values(&scaled), values(&plain));
    }
}

#[test]
fn optimizers_under_one_guard_stop_each_by_its_own_gradients() {
    for device in devices() {
        let all = parameters(&device);
        let mut optimizers = [sgd(vec![all[0].clone()]), sgd(vec![all[1].clone()])];
        let mut guard = Guard::new();
        differentiate(&all, 0, 1.0, Some(f32::NAN));
        let mut found = Vec::new();
        for optimizer in &mut optimizers {
            optimizer.step_guarded(&mut guard).unwrap();
            found.push(guard.found().unwrap().item::<f32>().unwrap());
        }
        assert_eq!(found, [0.0, 1.0]);
        let now = values(&all);
        assert!(now[..3] != START.map(f64::from) && now[3..] == START.map(f64::from), "{now:?}");
        assert_eq!([optimizers[0].steps().unwrap(), optimizers[1].steps().unwrap()].concat(), [1, 0]);
    }
}

#[test]
fn a_bad_index_stops_steps_until_somebody_is_told() {
    let Some(device) = own_adapter() else { return };
    for (watch, moved) in [(false, true), (true, false)] {
        let all = parameters(&device);
        let mut optimizer = sgd(all.clone());
        let mut step = |index: i32| {
            let index = Tensor::from_slice(&device, &[0, index], &[2]).unwrap();
            let picked = all[0].value().gather(0, &index).unwrap();
            picked.sum_all().unwrap().backward().unwrap();
            optimizer.step_guarded(&mut Guard::new().bad_indices(watch)).unwrap();
            optimizer.zero_grad();
        };
        step(7);
        let error = device.sync().unwrap_err();
        assert!(matches!(error, Error::IndexOutOfRange { index: 7, .. }), "{error}");
        assert_eq!(values(&all)[..3] != START.map(f64::from), moved);
        step(1);
        device.sync().unwrap();
        assert_ne!(values(&all)[..3], START.map(f64::from));
    }
}

#[test]
fn a_guard_makes_no_new_plans() {
    let Some(device) = own_adapter() else { return };
    let all = parameters(&device);
    let mut optimizer = in_groups(all.clone());
    let inverse = Tensor::full(&device, &[], 0.5f32).unwrap();
    let mut settled = None;
    for step in 0..6 {
        differentiate(&all, step, 2.0, (step % 2 == 0).then_some(f32::NAN));
        optimizer.set_lr(0, 0.1 / (step + 1) as f64).unwrap();
        optimizer.step_guarded(&mut Guard::new().inverse_scale(&inverse)).unwrap();
        device.sync().unwrap();
        let stats = device.stats();
        let made = (stats.plans, stats.pipelines, stats.buffers, stats.bind_groups);
        if step > 1 {
            assert_eq!(*settled.get_or_insert(made), made, "step {step}");
        }
    }
    assert_eq!(optimizer.steps().unwrap(), [3, 3]);
}
