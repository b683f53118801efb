//! Optimizers against PyTorch.
//!
//! The expected values come from PyTorch 2.15:
//!
//! ```python
//! w0 = torch.tensor([0.5, -1.0, 2.0, 0.0]); a = torch.tensor([1.0, -2.0, 0.5, 3.0])
//! def run(make, steps=5):
//!     w = w0.clone().requires_grad_(); opt = make([w])
//!     for step in range(steps):
//!         opt.zero_grad()
//!         loss = ((w - a) ** 2 * (step + 1)).sum() + (w ** 3).sum()
//!         loss.backward(); opt.step()
//!     print([float(f'{x:.9g}') for x in w.detach().tolist()])
//! ```

use crate::common::{Random, own_adapter, poisoned};
use wgrad::optim::{Adafactor, AdafactorOptions, Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::{Device, Disable, Error, Parameter, Result, Tensor};

fn check(expected: [f64; 4], make: impl Fn(Vec<Parameter>) -> Box<dyn Optimizer>) {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        let start = Tensor::from_slice(&device, &[0.5f32, -1.0, 2.0, 0.0], &[4]).unwrap();
        let goal = Tensor::from_slice(&device, &[1.0f32, -2.0, 0.5, 3.0], &[4]).unwrap();
        let w = Parameter::new("w", &start);
        let mut optimizer = make(vec![w.clone()]);
        for step in 0..5 {
            let x = w.value();
            let square = x.sub(&goal).unwrap().square().unwrap().mul_scalar((step + 1) as f32).unwrap();
            let cube = x.mul(&x).unwrap().mul(&x).unwrap();
            square.add(&cube).unwrap().sum_all().unwrap().backward().unwrap();
            optimizer.step().unwrap();
            optimizer.zero_grad();
            assert!(w.grad().is_none());
        }
        let got = w.value().to_vec::<f32>().unwrap();
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (f64::from(*got) - expected).abs() <= 2e-6,
                "{} on {}: {got} != {expected}",
                optimizer.name(),
                device.name()
            );
        }
        assert_eq!(optimizer.steps().unwrap(), [5]);
    }
}

fn sgd(options: SgdOptions) -> impl Fn(Vec<Parameter>) -> Box<dyn Optimizer> {
    move |parameters| Box::new(Sgd::new(parameters, options).unwrap())
}

fn adam(options: AdamOptions) -> impl Fn(Vec<Parameter>) -> Box<dyn Optimizer> {
    move |parameters| Box::new(Adam::new(parameters, options).unwrap())
}

const SGD: SgdOptions =
    SgdOptions { lr: 0.01, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false };
const ADAM: AdamOptions = AdamOptions {
    lr: 0.05,
    betas: (0.9, 0.999),
    eps: 1e-8,
    weight_decay: 0.0,
    amsgrad: false,
    decoupled_weight_decay: false,
    maximize: false,
};

#[test]
fn sgd_is_pytorchs() {
    check([0.598478854, -1.43892717, 1.23658156, 0.789943993], sgd(SGD));
}

#[test]
fn sgd_with_momentum_is_pytorchs() {
    check([0.688348055, -2.01471782, 0.264798135, 1.61676133], sgd(SgdOptions { momentum: 0.9, ..SGD }));
}

#[test]
fn sgd_with_dampening_takes_the_first_gradient_whole() {
    let options = SgdOptions { momentum: 0.9, dampening: 0.5, ..SGD };
    check([0.605648756, -1.61048996, 0.749876022, 0.986034811], sgd(options));
}

#[test]
fn sgd_with_nesterov_is_pytorchs() {
    let options = SgdOptions { momentum: 0.9, nesterov: true, ..SGD };
    check([0.735815465, -2.36462498, 0.202455029, 1.90885246], sgd(options));
}

#[test]
fn sgd_with_weight_decay_is_pytorchs() {
    let options = SgdOptions { momentum: 0.9, weight_decay: 0.1, ..SGD };
    check([0.683105767, -1.99949551, 0.250742644, 1.61412346], sgd(options));
}

#[test]
fn adam_is_pytorchs() {
    check([0.736155391, -1.24918377, 1.74890089, 0.243204325], adam(ADAM));
}

#[test]
fn adam_with_every_option_is_pytorchs() {
    let options = AdamOptions { betas: (0.8, 0.95), eps: 1e-3, weight_decay: 0.1, ..ADAM };
    check([0.740112126, -1.25224435, 1.74748707, 0.248299703], adam(options));
}

#[test]
fn adamw_is_pytorchs() {
    let options = AdamOptions { weight_decay: 0.1, decoupled_weight_decay: true, ..ADAM };
    check([0.720844507, -1.22194374, 1.7018888, 0.240765989], adam(options));
}

#[test]
fn another_learning_rate_makes_no_new_plan() {
    let Some(device) = own_adapter() else { return };
    let w = Parameter::new("w", &Tensor::ones(&device, &[5]).unwrap());
    let mut adam = Adam::new(vec![w.clone()], ADAM).unwrap();
    let mut step = |lr: f64| {
        adam.set_lr(0, lr).unwrap();
        w.value().square().unwrap().sum_all().unwrap().backward().unwrap();
        adam.step().unwrap();
        adam.zero_grad();
        device.sync().unwrap();
        device.stats()
    };
    step(0.1);
    let second = step(0.1);
    for lr in [0.3, 0.01, 2.0] {
        let later = step(lr);
        assert_eq!((later.plans, later.pipelines), (second.plans, second.pipelines));
        assert_eq!((later.buffers, later.bind_groups), (second.buffers, second.bind_groups));
    }
}

#[test]
fn a_parameter_without_a_gradient_stays_and_counts_no_step() {
    let device = Device::reference();
    let used = Parameter::new("used", &Tensor::ones(&device, &[2]).unwrap());
    let unused = Parameter::new("unused", &Tensor::ones(&device, &[2]).unwrap());
    let mut adam = Adam::new(vec![used.clone(), unused.clone()], ADAM).unwrap();
    used.value().square().unwrap().sum_all().unwrap().backward().unwrap();
    adam.step().unwrap();
    assert_eq!(adam.steps().unwrap(), [1, 0]);
    assert_eq!(unused.value().to_vec::<f32>().unwrap(), [1.0, 1.0]);
    let names: Vec<String> = adam.buffers().iter().map(|b| b.name().to_string()).collect();
    assert_eq!(names, ["exp_avg.used", "exp_avg_sq.used", "exp_avg.unused", "exp_avg_sq.unused"]);
}

#[test]
fn options_out_of_range_are_errors() {
    let device = Device::reference();
    let w = Parameter::new("w", &Tensor::ones(&device, &[2]).unwrap());
    let bad = |error: Option<Error>, text: &str| {
        let error = error.expect("an error").to_string();
        assert!(error.contains(text), "{error}");
    };
    let sgd = |options| Sgd::new(vec![w.clone()], options).err();
    let adam = |options| Adam::new(vec![w.clone()], options).err();
    bad(sgd(SgdOptions { lr: -1.0, ..SGD }), "lr is -1");
    bad(sgd(SgdOptions { lr: f64::NAN, ..SGD }), "lr is NaN");
    bad(sgd(SgdOptions { nesterov: true, ..SGD }), "nesterov");
    bad(adam(AdamOptions { betas: (1.0, 0.9), ..ADAM }), "beta1 is 1");
    bad(adam(AdamOptions { eps: -1e-8, ..ADAM }), "eps");
    bad(Sgd::new(vec![], SGD).err(), "group 0 has no trained parameters");
    let other = Parameter::new("w", &Tensor::ones(&device, &[2]).unwrap());
    bad(Sgd::new(vec![w.clone(), other], SGD).err(), "w is the name of two parameters");
    let mut adam = Adam::new(vec![w.clone()], ADAM).unwrap();
    for lr in [f64::NAN, f64::INFINITY, -1.0] {
        bad(adam.set_lr(0, lr).err(), "lr is");
    }
    assert_eq!(adam.lr(0).unwrap(), ADAM.lr);
}

#[test]
fn a_shared_parameter_is_stepped_once() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        let w = Parameter::new("w", &Tensor::full(&device, &[2], 4.0f32).unwrap());
        let mut sgd = Sgd::new(vec![w.clone(), w.clone()], SgdOptions { lr: 0.25, ..SGD }).unwrap();
        assert_eq!((sgd.parameters().len(), sgd.steps().unwrap().len()), (1, 1));
        w.value().square().unwrap().sum_all().unwrap().backward().unwrap();
        sgd.step().unwrap();
        assert_eq!(w.value().to_vec::<f32>().unwrap(), [2.0; 2]);
    }
}

const SHAPES: [&[usize]; 6] = [&[1], &[130], &[3, 5], &[128], &[7, 1, 3], &[]];

fn parameters(device: &Device) -> Vec<Parameter> {
    let mut random = Random(3);
    let parameter = |(i, shape): (usize, &&[usize])| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit() as f32).collect();
        Parameter::new(format!("p{i}"), &Tensor::from_slice(device, &values, shape).unwrap())
    };
    SHAPES.iter().enumerate().map(parameter).collect()
}

/// Steps in which some parameters have no gradient, some are assigned, and values are read at any time. Returns every
/// value and every gradient that was read.
fn wander(device: &Device, parameters: &[Parameter], optimizers: &mut [Box<dyn Optimizer>]) -> Result<Vec<Vec<f32>>> {
    let mut random = Random(8);
    let mut seen = Vec::new();
    for step in 0..24 {
        let mut loss = Tensor::scalar(device, 0.0f32)?;
        let all = step < 6 || random.unit() < 0.3;
        for parameter in parameters {
            if all || random.unit() < 0.6 {
                let x = parameter.value();
                loss = loss.add(&x.square()?.mul(&x)?.sum_all()?)?;
            }
        }
        let read_early = random.unit() < 0.3;
        if read_early {
            seen.push(vec![loss.item()?]);
        }
        if loss.is_tracked() {
            loss.backward()?;
        }
        if random.unit() < 0.3 {
            seen.push(parameters[1].value().to_vec()?);
        }
        let before = parameters[2].value();
        for optimizer in optimizers.iter_mut() {
            optimizer.step()?;
        }
        // Held values don't change, nor do their gradients.
        seen.push(before.to_vec()?);
        for parameter in parameters {
            if let Some(gradient) = parameter.grad() {
                seen.push(gradient.to_vec()?);
            }
            if random.unit() < 0.1 {
                parameter.assign(&parameter.value().mul_scalar(0.5)?)?;
            }
            if random.unit() < 0.8 {
                parameter.zero_grad();
            }
        }
        seen.extend(parameters.iter().map(|parameter| parameter.value().to_vec()).collect::<Result<Vec<_>>>()?);
    }
    for buffer in optimizers.iter().flat_map(|optimizer| optimizer.buffers()) {
        seen.push(buffer.value().to_vec()?);
    }
    Ok(seen)
}

#[test]
fn parameters_changed_together_are_what_they_are_alone() {
    let Some(device) = poisoned(Disable::default()) else { return };
    let adamw = adam(AdamOptions { lr: 0.01, weight_decay: 0.01, decoupled_weight_decay: true, ..ADAM });
    let sgd = sgd(SgdOptions { momentum: 0.9, ..SGD });
    let adafactor = |parameters| -> Box<dyn Optimizer> {
        Box::new(Adafactor::new(parameters, AdafactorOptions::default().lr(0.1)).unwrap())
    };
    for name in ["adamw", "sgd", "adafactor"] {
        let make = |parameters| match name {
            "adamw" => adamw(parameters),
            "sgd" => sgd(parameters),
            _ => adafactor(parameters),
        };
        let together = parameters(&device);
        let together = wander(&device, &together, &mut [make(together.clone())]).unwrap();
        let alone = parameters(&device);
        let mut optimizers: Vec<_> = alone.iter().map(|parameter| make(vec![parameter.clone()])).collect();
        let alone = wander(&device, &alone, &mut optimizers).unwrap();
        assert_eq!(together.len(), alone.len());
        for (at, (together, alone)) in together.iter().zip(&alone).enumerate() {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(together.iter().all(|value| value.is_finite()), "value {at}: {together:?}");
            assert_eq!(bits(together), bits(alone), "{name}, value {at}: {together:?} and {alone:?}");
        }
    }
}

#[test]
fn parameters_with_one_and_the_same_gradient_all_get_it() {
    let Some(device) = own_adapter() else { return };
    let parameters: Vec<Parameter> =
        (0..3).map(|i| Parameter::new(format!("p{i}"), &Tensor::full(&device, &[5], 1.0f32).unwrap())).collect();
    let mut sgd = Sgd::new(parameters.clone(), SgdOptions { lr: 0.0625, ..SGD }).unwrap();
    for expected in [0.625, 0.390625] {
        // (a + b + c)^2 has the gradient 2 (a + b + c) in all three: x - 6 lr x.
        let sum = parameters[0].value().add(&parameters[1].value()).unwrap().add(&parameters[2].value()).unwrap();
        sum.square().unwrap().sum_all().unwrap().backward().unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
        for parameter in &parameters {
            assert_eq!(parameter.value().to_vec::<f32>().unwrap(), [expected; 5]);
        }
    }
}

#[test]
fn one_launch_changes_all_parameters() {
    let Some(device) = own_adapter() else { return };
    let parameters = parameters(&device);
    let mut adam = Adam::new(parameters.clone(), ADAM).unwrap();
    let mut counts = Vec::new();
    for step in 0..6 {
        let losses = parameters.iter().map(|parameter| parameter.value().square()?.sum_all());
        let losses = losses.collect::<Result<Vec<_>>>().unwrap();
        let loss = losses.iter().skip(1).fold(losses[0].clone(), |sum, loss| sum.add(loss).unwrap());
        loss.backward().unwrap();
        drop((losses, loss));
        // Gradients that exist already are copied, seven a launch.
        let early = step >= 3;
        if early {
            device.flush().unwrap();
        }
        let before = device.stats().dispatches;
        adam.step().unwrap();
        adam.zero_grad();
        counts.push(device.stats().dispatches - before);
    }
    // One a gradient and one for all of them; then one copy and one for all of them.
    assert_eq!(counts[1..], [7, 7, 2, 2, 2]);
}

#[test]
fn an_optimizer_made_later_takes_the_parameters_over() {
    let Some(device) = own_adapter() else { return };
    let w = Parameter::new("w", &Tensor::full(&device, &[3], 1.0f32).unwrap());
    let mut first = Sgd::new(vec![w.clone()], SgdOptions { lr: 0.25, ..SGD }).unwrap();
    let mut second = Sgd::new(vec![w.clone()], SgdOptions { lr: 0.125, ..SGD }).unwrap();
    let expected = [0.5, 0.375, 0.1875, 0.140625]; // x - lr 2 x
    for (step, expected) in expected.into_iter().enumerate() {
        w.value().square().unwrap().sum_all().unwrap().backward().unwrap();
        let optimizer = if step % 2 == 0 { &mut first } else { &mut second };
        optimizer.step().unwrap();
        optimizer.zero_grad();
        assert_eq!(w.value().to_vec::<f32>().unwrap(), [expected; 3]);
    }
}
