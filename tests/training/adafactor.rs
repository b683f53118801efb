//! Adafactor over parameters of several shapes, in two groups, against PyTorch 2.15 in double precision:
//!
//! ```python
//! shapes = [(2, 3), (3,), (), (2, 1, 2, 3), (5, 2)]
//! def run(first, second):
//!     n = [math.prod(s) for s in shapes]
//!     ps = [torch.tensor([math.sin(1.3 * i + k) for i in range(n[k])]).reshape(shapes[k]).requires_grad_() for k in range(5)]
//!     o = Adafactor([{"params": ps[:2], **first}, {"params": ps[2:], **second}])
//!     for s in range(4):
//!         o.zero_grad()
//!         sum((p ** 3).sum() / 3 * (s + 1) + (p * torch.arange(p.numel()).reshape(p.shape) * 0.1).sum() for p in ps).backward()
//!         o.step()
//!     print([float(f'{x:.9g}') for p in ps for x in p.flatten().tolist()])
//! ```
//!
//! with the epsilon of single precision if none is given.

use crate::common::own_adapter;
use wgrad::optim::{Adafactor, AdafactorOptions, Guard, Optimizer, ParamGroup};
use wgrad::{Device, Parameter, Result, Tensor};

const SHAPES: [&[usize]; 5] = [&[2, 3], &[3], &[], &[2, 1, 2, 3], &[5, 2]];

#[rustfmt::skip]
fn cases() -> [([AdafactorOptions; 2], [f64; 32]); 2] {
    let options = AdafactorOptions::default();
    [
        ([options.lr(0.1); 2], [0.0, 0.672790865, 0.195747625, -1.01763247, -1.14824292, 0.0237735659, 0.585810294, 0.4944864, -0.71735744, 0.596590042, 0.121327149, -1.22548602, -1.00816033, 0.172718394, 0.648877237, -0.244295162, -1.36650451, -0.773735201, 0.552317056, 0.635437308, -0.546733655, -1.3586079, -1.04273523, -1.15097013, 0.231388209, 0.64845473, 0.141805425, -1.26435981, -1.08562554, 0.334133937, 0.59221128, -0.121122854]),
        ([
            options.lr(0.3).beta2_decay(-0.5).eps((Some(0.3), 0.7)).d(1.25).weight_decay(0.2),
            options.lr(0.6).beta2_decay(-1.0).eps((Some(1e-6), 1e-2)).d(2.0),
        ], [0.0, 0.0558846993, -0.338331275, -1.54002104, -1.60309904, -0.623576061, 0.0966817688, 0.00884000361, -1.25678216, 0.166673746, 0.0736593453, -8.84002032, -8.08883429, -8.33882925, -0.112517464, -3.45975338, -7.29107356, -5.76324355, 0.0502242841, 0.0682888205, -4.09226531, -7.53894815, -4.99124342, -5.79163552, -1.24074673, -1.5212855, -0.155375374, -7.14063579, -7.38696991, -0.161428181, -1.20941993, -4.84669317]),
    ]
}

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn parameters(device: &Device) -> Result<Vec<Parameter>> {
    let start = |(k, shape): (usize, &&[usize])| {
        let sine: Vec<f64> = (0..shape.iter().product()).map(|i| (1.3 * i as f64 + k as f64).sin()).collect();
        Ok(Parameter::new(format!("p{k}"), &Tensor::from_f64(device, &sine, shape)?))
    };
    SHAPES.iter().enumerate().map(start).collect()
}

fn adafactor(parameters: &[Parameter], [first, second]: [AdafactorOptions; 2]) -> Result<Adafactor> {
    let (of_first, of_second) = parameters.split_at(2);
    Adafactor::with_groups(vec![ParamGroup::new(of_first.to_vec(), first), ParamGroup::new(of_second.to_vec(), second)])
}

/// Records the gradients of a step.
fn differentiate(parameters: &[Parameter], step: usize) -> Result<()> {
    for parameter in parameters {
        let p = parameter.value();
        let cubes = p.mul(&p)?.mul(&p)?.sum_all()?.mul_scalar((step + 1) as f32 / 3.0)?;
        let places: Vec<f32> = (0..p.numel()).map(|i| i as f32 * 0.1).collect();
        let places = Tensor::from_slice(p.device(), &places, p.shape())?;
        cubes.add(&p.mul(&places)?.sum_all()?)?.backward()?;
    }
    Ok(())
}

fn check(parameters: &[Parameter], expected: &[f64], about: &str) {
    let got = parameters.iter().flat_map(|p| p.value().to_f64().unwrap());
    for (at, (got, expected)) in got.zip(expected).enumerate() {
        assert!((got - expected).abs() <= 5e-6 * expected.abs().max(1.0), "{about}, {at}: {got} != {expected}");
    }
}

#[test]
fn adafactor_is_pytorchs() {
    for device in devices() {
        for (at, (options, expected)) in cases().iter().enumerate() {
            let parameters = parameters(&device).unwrap();
            let mut adafactor = adafactor(&parameters, *options).unwrap();
            for step in 0..4 {
                differentiate(&parameters, step).unwrap();
                adafactor.step().unwrap();
                adafactor.zero_grad();
            }
            check(&parameters, expected, &format!("case {at} on {}", device.name()));
        }
    }
}

/// In vectors and in either kind of weight.
#[test]
fn a_stopped_step_changes_nothing() {
    for device in devices() {
        for (at, (options, expected)) in cases().iter().enumerate() {
            let parameters = parameters(&device).unwrap();
            let mut adafactor = adafactor(&parameters, *options).unwrap();
            for (good, bad) in [(0, Some(3)), (1, None), (2, Some(1)), (3, Some(4))] {
                if let Some(bad) = bad {
                    differentiate(&parameters, good).unwrap();
                    let nan = Tensor::full(&device, SHAPES[bad], f32::NAN).unwrap();
                    parameters[bad].set_grad(Some(nan)).unwrap();
                    adafactor.step_guarded(&mut Guard::new()).unwrap();
                    adafactor.zero_grad();
                }
                differentiate(&parameters, good).unwrap();
                adafactor.step_guarded(&mut Guard::new()).unwrap();
                adafactor.zero_grad();
            }
            assert_eq!(adafactor.steps().unwrap(), [4; 5]);
            check(&parameters, expected, &format!("case {at} on {}", device.name()));
        }
    }
}

#[test]
fn weights_have_means_over_rows_and_columns() {
    let parameters = parameters(&Device::reference()).unwrap();
    let adafactor = Adafactor::new(parameters, AdafactorOptions::default()).unwrap();
    let buffers: Vec<_> = adafactor.buffers().iter().map(|b| format!("{} {}", b.name(), b.value().shape())).collect();
    let expected = [
        "row_var.p0 [2, 1]",
        "col_var.p0 [1, 3]",
        "variance.p1 [3]",
        "variance.p2 []",
        "row_var.p3 [2, 1, 2, 1]",
        "col_var.p3 [2, 1, 1, 3]",
        "row_var.p4 [5, 1]",
        "col_var.p4 [1, 2]",
    ];
    assert_eq!(buffers, expected);
}

/// The least root of a second moment may be the paper's 1e-30, whose square underflows in single precision.
#[test]
fn a_gradient_of_zeros_moves_nothing() {
    for device in devices() {
        let parameters = parameters(&device).unwrap();
        let before: Vec<_> = parameters.iter().map(|p| p.value().to_f64().unwrap()).collect();
        let options = AdafactorOptions::default().eps((Some(1e-30), 1e-3));
        let mut adafactor = Adafactor::new(parameters.clone(), options).unwrap();
        for parameter in &parameters {
            let zeros = parameter.value().zeros_like().unwrap();
            parameter.set_grad(Some(zeros)).unwrap();
        }
        adafactor.step().unwrap();
        let after: Vec<_> = parameters.iter().map(|p| p.value().to_f64().unwrap()).collect();
        assert_eq!(after, before, "{}", device.name());
    }
}

#[test]
fn another_rate_makes_no_new_plan_and_wrong_options_are_errors() {
    let Some(device) = own_adapter() else { return };
    let parameters = parameters(&device).unwrap();
    let mut adafactor = Adafactor::new(parameters.clone(), AdafactorOptions::default()).unwrap();
    let mut settled = None;
    for step in 0..8 {
        adafactor.set_lr(0, 0.01 / (step + 1) as f64).unwrap();
        differentiate(&parameters, 1).unwrap();
        adafactor.step().unwrap();
        adafactor.zero_grad();
        device.sync().unwrap();
        let stats = device.stats();
        let made = (stats.plans, stats.pipelines, stats.buffers, stats.bind_groups);
        // Buffers of one size swap first, and each has its bind groups.
        if step > 3 {
            assert_eq!(*settled.get_or_insert(made), made, "step {step}");
        }
    }
    let options = AdafactorOptions::default();
    let wrong = [
        (options.lr(-1.0), "lr is -1"),
        (options.beta2_decay(0.1), "beta2_decay is 0.1"),
        (options.eps((Some(-1.0), 0.0)), "the first eps is -1"),
        (options.eps((None, f64::NAN)), "the second eps is NaN"),
        (options.d(0.5), "d is 0.5"),
        (options.weight_decay(f64::INFINITY), "weight_decay is inf"),
    ];
    for (options, text) in wrong {
        let error = Adafactor::new(parameters.clone(), options).err().expect("an error").to_string();
        assert!(error.contains(text), "{error}");
    }
    let empty = Parameter::new("empty", &Tensor::ones(&device, &[0, 3]).unwrap());
    let error = Adafactor::new(vec![empty], options).err().expect("an error").to_string();
    assert!(error.contains("empty is [0, 3]"), "{error}");
}
