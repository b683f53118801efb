//! Every algorithm against PyTorch, and Lion, LARS and LAMB against timm.
//!
//! The expected values come from PyTorch 2.15 and timm 1.0, in double precision:
//!
//! ```python
//! w0 = torch.tensor([0.5, -1.0, 2.0, 0.0]); a = torch.tensor([1.0, -2.0, 0.5, 3.0])
//! def run(make, steps=8):
//!     w = w0.clone().requires_grad_(); opt = make([w])
//!     for step in range(steps):
//!         opt.zero_grad()
//!         loss = ((w - a) ** 2 * (step % 3 + 1)).sum() + (w ** 3).sum() / 4
//!         loss.backward(); opt.step()
//!     print([float(f'{x:.9g}') for x in w.detach().tolist()])
//! ```

use crate::common::own_adapter;
use wgrad::optim::{
    Adadelta, AdadeltaOptions, Adafactor, AdafactorOptions, Adagrad, AdagradOptions, Adam, AdamOptions, AdamW,
    AdamWOptions, Adamax, AdamaxOptions, Guard, Lamb, LambOptions, Lars, LarsOptions, Lion, LionOptions, NAdam,
    NAdamOptions, Optimizer, RAdam, RAdamOptions, RmsProp, RmsPropOptions, Rprop, RpropOptions, Sgd, SgdOptions,
};
use wgrad::{Device, Parameter, Result, Tensor};

type Make = Box<dyn Fn(Vec<Parameter>) -> Box<dyn Optimizer>>;

fn row<O: Optimizer + 'static>(
    make: impl Fn(Vec<Parameter>) -> Result<O> + 'static,
    expected: [f64; 4],
) -> (Make, [f64; 4]) {
    (Box::new(move |parameters| Box::new(make(parameters).unwrap())), expected)
}

#[rustfmt::skip]
fn rows() -> Vec<(Make, [f64; 4])> {
    vec![
        row(|p| Adagrad::new(p, AdagradOptions::default().lr(0.1)), [0.822375874, -1.44231391, 1.57488561, 0.440802566]),
        row(|p| Adagrad::new(p, AdagradOptions::default().lr(0.2).lr_decay(0.1).weight_decay(0.1).initial_accumulator_value(0.5).eps(1e-3)), [0.840243133, -1.70622676, 1.33327971, 0.710318888]),
        row(|p| Adagrad::new(p, AdagradOptions::default().maximize(true)), [0.45427112, -0.954650154, 2.04545948, -0.0452285956]),
        row(|p| Adadelta::new(p, AdadeltaOptions::default()), [0.528060655, -1.02868458, 1.97147558, 0.0286255147]),
        row(|p| Adadelta::new(p, AdadeltaOptions::default().lr(0.5).rho(0.7).eps(1e-3).weight_decay(0.1)), [0.721489095, -1.27579051, 1.72845135, 0.272025075]),
        row(|p| Adadelta::new(p, AdadeltaOptions::default().eps(1e-2).maximize(true)), [-3.18235428, 3.00728411, 6.36823694, -3.07415154]),
        row(|p| RmsProp::new(p, RmsPropOptions::default()), [0.823207292, -1.44476152, 1.57245992, 0.44301893]),
        row(|p| RmsProp::new(p, RmsPropOptions::default().centered(true).alpha(0.9).weight_decay(0.1)), [0.65906407, -1.17833054, 1.82132855, 0.175692138]),
        row(|p| RmsProp::new(p, RmsPropOptions::default().momentum(0.9).eps(1e-3).maximize(true)), [-1.66548647, 1.02388193, 4.07122254, -1.96088697]),
        row(|p| RmsProp::new(p, RmsPropOptions::default().centered(true).momentum(0.5).lr(0.03)), [0.868361633, -3.37658522, 0.412820049, 1.99738972]),
        row(|p| Rprop::new(p, RpropOptions::default().lr(0.3)), [0.872, -5.94972544, 0.5192, 2.605728]),
        row(|p| Rprop::new(p, RpropOptions::default().lr(0.2).etas((0.3, 1.5)).step_sizes((0.1, 0.4))), [1.0, -3.9, 0.6, 2.22]),
        row(|p| Rprop::new(p, RpropOptions::default().maximize(true)), [0.335009152, -0.835009152, 2.16499085, -0.164990848]),
        row(|p| NAdam::new(p, NAdamOptions::default().lr(0.05)), [0.768626369, -1.31854324, 1.68696584, 0.315866663]),
        row(|p| NAdam::new(p, NAdamOptions::default().lr(0.05).betas((0.8, 0.95)).eps(1e-3).weight_decay(0.1).momentum_decay(0.5)), [0.78965563, -1.35728322, 1.64768357, 0.354158494]),
        row(|p| NAdam::new(p, NAdamOptions::default().lr(0.05).weight_decay(0.5).decoupled_weight_decay(true).maximize(true)), [0.0928075836, -0.515063122, 1.92684192, -0.294640422]),
        row(|p| RAdam::new(p, RAdamOptions::default().lr(0.05)), [0.796240272, -1.91352732, 0.565696335, 1.98145168]),
        row(|p| RAdam::new(p, RAdamOptions::default().lr(0.05).betas((0.8, 0.9)).eps(1e-3).weight_decay(0.1)), [0.813119344, -1.93293955, 0.537955329, 1.98503983]),
        row(|p| RAdam::new(p, RAdamOptions::default().lr(0.02).weight_decay(0.5).decoupled_weight_decay(true).maximize(true)), [0.307734919, -0.516184407, 2.69484258, -0.997803686]),
        row(|p| Adamax::new(p, AdamaxOptions::default().lr(0.05)), [0.756776846, -1.29503178, 1.69226921, 0.278705985]),
        row(|p| Adamax::new(p, AdamaxOptions::default().lr(0.05).betas((0.8, 0.9)).eps(1e-2).weight_decay(0.1).maximize(true)), [0.209617212, -0.686958288, 2.33175064, -0.302006455]),
        row(|p| Adam::new(p, AdamOptions::default().lr(0.05).amsgrad(true).betas((0.9, 0.5))), [0.793178559, -1.34159362, 1.65096234, 0.325359424]),
        row(|p| AdamW::new(p, AdamWOptions::default().lr(0.05).amsgrad(true).betas((0.9, 0.5)).weight_decay(0.5).maximize(true)), [0.126266322, -0.517720537, 1.95328768, -0.293942804]),
        row(|p| Sgd::new(p, SgdOptions::default().lr(0.01).momentum(0.9).nesterov(true).maximize(true)), [-0.295359046, 0.920369287, 7.6521309, -4.52051026]),
        row(|p| Lion::new(p, LionOptions::default().lr(0.05)), [0.9, -1.4, 1.6, 0.4]),
        row(|p| Lion::new(p, LionOptions::default().lr(0.05).betas((0.7, 0.5)).weight_decay(0.5).maximize(true)), [0.0416295092, -0.449955411, 2.0, -0.366696393]),
        row(|p| Lars::new(p, LarsOptions::default().lr(0.5).weight_decay(0.1).trust_coeff(0.1).momentum(0.9)), [0.822797699, -2.1634516, 0.318490989, 2.25154523]),
        row(|p| Lars::new(p, LarsOptions::default().lr(0.1).always_adapt(true).trust_clip(true).trust_coeff(0.05).momentum(0.8).nesterov(true)), [0.825499945, -2.31148665, 0.476961495, 2.14793928]),
        row(|p| Lars::new(p, LarsOptions::default().lr(0.01).momentum(0.5).dampening(0.5)), [0.612804501, -1.32424629, 1.44028957, 0.764557529]),
        row(|p| Lamb::new(p, LambOptions::default().lr(0.05)), [0.910928934, -1.46741292, 1.52459463, 0.473000026]),
        row(|p| Lamb::new(p, LambOptions::default().lr(0.05).max_grad_norm(None).bias_correction(false).betas((0.8, 0.9)).trust_clip(true).grad_averaging(false)), [0.906519583, -1.47501546, 1.5206054, 0.464821667]),
        row(|p| Lamb::new(p, LambOptions::default().lr(0.05).weight_decay(0.5).decoupled_decay(true).max_grad_norm(Some(3.0))), [0.772869638, -1.19916166, 1.26137315, 0.382484267]),
        row(|p| Lamb::new(p, LambOptions::default().lr(0.05).weight_decay(0.0)), [0.865709503, -1.40004946, 1.60462436, 0.40076658]),
        row(|p| Adafactor::new(p, AdafactorOptions::default().lr(0.1)), [0.862041465, -1.84710508, 1.223793, 0.817768815]),
        row(|p| Adafactor::new(p, AdafactorOptions::default().lr(0.4).beta2_decay(-0.5).eps((Some(0.5), 0.1)).d(1.5).weight_decay(0.1).maximize(true)), [-5.36940978, 9.93034234, 12.1430042, -6.27495669]),
    ]
}

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn start(device: &Device) -> Parameter {
    Parameter::new("w", &Tensor::from_slice(device, &[0.5f32, -1.0, 2.0, 0.0], &[4]).unwrap())
}

/// Records the gradient of a step.
fn differentiate(w: &Parameter, step: usize) {
    let x = w.value();
    let goal = Tensor::from_slice(x.device(), &[1.0f32, -2.0, 0.5, 3.0], &[4]).unwrap();
    let square = x.sub(&goal).unwrap().square().unwrap().mul_scalar((step % 3 + 1) as f32).unwrap();
    let cube = x.mul(&x).unwrap().mul(&x).unwrap().mul_scalar(0.25).unwrap();
    square.add(&cube).unwrap().sum_all().unwrap().backward().unwrap();
}

#[test]
fn algorithms_are_pytorchs() {
    for device in devices() {
        let tolerance = if device.name() == "reference" { 2e-7 } else { 3e-6 };
        for (at, (make, expected)) in rows().iter().enumerate() {
            let w = start(&device);
            let mut optimizer = make(vec![w.clone()]);
            for step in 0..8 {
                differentiate(&w, step);
                optimizer.step().unwrap();
                optimizer.zero_grad();
            }
            let got = w.value().to_f64().unwrap();
            for (got, expected) in got.iter().zip(expected) {
                let name = optimizer.name();
                let is_near = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
                assert!(is_near, "row {at}, {name} on {}: {got} != {expected}", device.name());
            }
        }
    }
}

/// The device then computes the numbers that follow from a step's number.
#[test]
fn a_stopped_step_changes_no_algorithm() {
    for device in devices() {
        for (at, (make, expected)) in rows().iter().enumerate() {
            let w = start(&device);
            let mut optimizer = make(vec![w.clone()]);
            for step in 0..10 {
                let is_bad = step == 1 || step == 4;
                if is_bad {
                    w.set_grad(Some(Tensor::full(&device, &[4], f32::NAN).unwrap())).unwrap();
                } else {
                    differentiate(&w, [0, 0, 1, 2, 2, 3, 4, 5, 6, 7][step]);
                }
                optimizer.step_guarded(&mut Guard::new()).unwrap();
                optimizer.zero_grad();
            }
            assert_eq!(optimizer.steps().unwrap(), [8]);
            let got = w.value().to_f64().unwrap();
            for (got, expected) in got.iter().zip(expected) {
                let is_near = (got - expected).abs() <= 5e-6 * expected.abs().max(1.0);
                assert!(is_near, "row {at}, {} on {}: {got} != {expected}", optimizer.name(), device.name());
            }
        }
    }
}

#[test]
fn from_the_second_step_on_no_algorithm_makes_anything() {
    let Some(device) = own_adapter() else { return };
    for (make, _) in rows() {
        let w = start(&device);
        let mut optimizer = make(vec![w.clone()]);
        let mut settled = None;
        for step in 0..5 {
            optimizer.set_lr(0, 0.01 / (step + 1) as f64).unwrap();
            differentiate(&w, step);
            optimizer.step().unwrap();
            optimizer.zero_grad();
            device.sync().unwrap();
            let stats = device.stats();
            let made = (stats.plans, stats.pipelines, stats.buffers, stats.bind_groups);
            if step > 0 {
                assert_eq!(*settled.get_or_insert(made), made, "{}, step {step}", optimizer.name());
            }
        }
    }
}
