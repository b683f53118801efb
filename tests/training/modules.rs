//! Modules: their parts, the ones that they must not forget, freezing, tied weights, states by name.

use crate::common::own_adapter;
use std::sync::Arc;
use tempfile::TempDir;
use wgrad::data::{Array, Images};
use wgrad::nn::{
    self, BatchNorm1d, BatchNormLayerOptions, Branches, Identity, Lambda, Linear, Module, ModuleList, Relu, Residual,
    Scope, Sequential,
};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::train::{self, ImageLoader, Position, Supervised, Trainer, TrainerOptions};
use wgrad::weights::{self, LoadOptions};
use wgrad::{DType, Device, DeviceOptions, Error, Noop, Parameter, Result, Tensor};

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_f64().unwrap()
}

fn close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= 4e-6 * expected.abs().max(0.1), "{got} is not {expected}");
    }
}

fn names(module: &dyn Module) -> Vec<String> {
    module.named_parameters().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn modules_that_are_composed_name_and_compute_their_parts() {
    let device = Device::reference();
    let linear = |s: &Scope| Linear::without_bias(s, 2, 2);
    let scope = Scope::new(&device);
    let x = Tensor::from_slice(&device, &[1.0f32, -2.0], &[1, 2]).unwrap();
    let apply = |p: &Parameter, x: &Tensor| values(&x.linear(&p.value(), None).unwrap());
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();

    let residual = Residual::new(&scope.at("r"), linear).unwrap();
    let body = apply(&residual.parameters()[0], &x);
    close(&values(&residual.forward(&x).unwrap()), &sum(&body, &[1.0, -2.0]));
    let residual = residual.shortcut(linear).unwrap();
    assert_eq!(names(&residual), ["r.body.weight", "r.shortcut.weight"]);
    close(&values(&residual.forward(&x).unwrap()), &sum(&body, &apply(&residual.parameters()[1], &x)));

    let branches =
        Branches::new(&scope.at("b")).make(linear).unwrap().push(Identity).make_named("last", linear).unwrap();
    assert_eq!(names(&branches), ["b.0.weight", "b.last.weight"]);
    let [first, last] = [0, 1].map(|i| apply(&branches.parameters()[i], &x));
    close(&values(&branches.forward(&x).unwrap()), &[first, vec![1.0, -2.0], last].concat());

    let list = ModuleList::new(&scope.at("l")).make(linear).unwrap().push_named("relu", Relu);
    assert_eq!((list.len(), list.is_empty(), list.iter().count()), (2, false, 2));
    assert_eq!(values(&list.get(1).unwrap().forward(&x).unwrap()), [1.0, 0.0]);
    assert!(list.get(2).err().unwrap().to_string().contains("module 2 of 2"));
    assert!(list.forward(&x).unwrap_err().to_string().contains("run the modules in it"));

    let lambda = Lambda::new(|x: &Tensor| x.mul_scalar(3.0));
    assert_eq!(values(&lambda.forward(&x).unwrap()), [3.0, -6.0]);
    let types: Vec<String> = [&residual as &dyn Module, &lambda, &branches].map(|module| module.type_name()).to_vec();
    assert_eq!(types, ["Residual", "Lambda", "Branches"]);
    assert_eq!(BatchNorm1d::new(&scope, 2, &BatchNormLayerOptions::default()).unwrap().type_name(), "BatchNorm1d");
}

/// A module with parameters of its own, and children of all kinds.
struct Mixed {
    scale: Parameter,
    absent: Option<Linear>,
    list: Vec<Linear>,
    shared: Arc<Linear>,
    boxed: Box<dyn Module>,
}

impl Module for Mixed {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.mul(&self.scale.value())
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; scale]
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; absent, list, shared, boxed]
    }
}

#[test]
fn neither_own_parameters_nor_children_are_lost() {
    let scope = Scope::new(&Device::reference());
    let linear = |name: &str| Linear::without_bias(&scope.at(name), 2, 2).unwrap();
    let norm = BatchNorm1d::new(&scope.at("boxed.0"), 2, &BatchNormLayerOptions::default()).unwrap();
    let mixed = Mixed {
        scale: scope.parameter("scale", &Tensor::ones(scope.device(), &[2]).unwrap()),
        absent: None,
        list: vec![linear("list.0"), linear("list.1")],
        shared: Arc::new(linear("shared")),
        boxed: Box::new(Sequential::new(&scope.at("boxed")).push(norm.clone())),
    };
    let expected = ["scale", "list.0.weight", "list.1.weight", "shared.weight", "boxed.0.weight"];
    assert_eq!(names(&mixed)[..5], expected);
    assert_eq!(names(&mixed).len(), 9);
    let boxed: Box<dyn Module> = Box::new(mixed);
    assert_eq!(names(&boxed)[..5], expected);
    let places: Vec<String> = boxed.named_modules().into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["", "list.0", "list.1", "shared", "boxed", "boxed.0"]);
    // The switch reaches a norm two levels down: evaluation counts no batch.
    let count = || values(&norm.running.as_ref().unwrap().num_batches_tracked.value());
    let x = Tensor::ones(scope.device(), &[3, 2]).unwrap();
    boxed.eval();
    norm.forward(&x).unwrap();
    assert_eq!(count(), [0.0]);
    boxed.train(true);
    norm.forward(&x).unwrap();
    assert_eq!(count(), [1.0]);
}

/// A network whose head `children()` forgets.
struct Forgetful {
    fc: Linear,
    head: Linear,
}

impl Forgetful {
    fn new(scope: &Scope) -> Forgetful {
        let linear = |name: &str| Linear::new(&scope.at(name), 4, 4).unwrap();
        Forgetful { fc: linear("fc"), head: linear("head") }
    }
}

impl Module for Forgetful {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.fc.forward(&input.flatten(1, -1)?)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; fc]
    }
}

#[test]
fn a_forgotten_child_is_refused_by_name() {
    let device = Device::reference();
    let net = Forgetful::new(&Scope::new(&device));
    let refused = |error: Error| {
        assert!(
            matches!(&error, Error::Unreached { parameters, .. } if parameters[..] == ["head.weight", "head.bias"])
        );
        let text = error.to_string();
        assert!(text.contains("Forgetful") && text.contains("children()"), "{text}");
    };
    refused(net.check_reaches_all().unwrap_err());
    refused(Sgd::new(&net, SgdOptions::default()).err().unwrap());
    refused(wgrad::optim::groups_by_name(&net, SgdOptions::default(), &[]).unwrap_err());
    let images = Images::new(
        Array::new(vec![2, 1, 2, 2], vec![0; 8]).unwrap(),
        vec![0, 1],
        ["a", "b"].map(String::from).to_vec(),
    )
    .unwrap();
    let mut sgd = Sgd::new(net.parameters(), SgdOptions::default()).unwrap();
    let train = ImageLoader::in_order(&images, &device, 2).unwrap();
    let mut trainer = Trainer::new(&device, TrainerOptions::default()).unwrap();
    refused(trainer.fit(&net, &mut sgd, &mut Supervised::classification(), &train, None).err().unwrap());

    // A layer that was replaced is not missed, and a model in another scope does not matter.
    let scope = Scope::new(&device);
    let mut replaced = Sequential::new(&scope).make(|s| Linear::new(s, 4, 4)).unwrap();
    replaced.check_reaches_all().unwrap();
    replaced = Sequential::new(&scope).push(Linear::new(&scope.at("head"), 4, 4).unwrap());
    Sgd::new(&replaced, SgdOptions::default()).unwrap();
    let buffer = scope.at("elsewhere").buffer("mean", &Tensor::zeros(&device, &[2]).unwrap());
    assert!(replaced.check_reaches_all().unwrap_err().to_string().contains(buffer.name()));
}

/// PyTorch's results for two numbers `p` and losses `p^2 / 2`, the first of which has no gradient in some of the steps.
fn expected(adam: bool, frozen: [bool; 6]) -> [f64; 2] {
    let mut p = [3.0f64, -2.0];
    let (mut m, mut v, mut steps) = ([0.0f64; 2], [0.0f64; 2], [0i32; 2]);
    for frozen in frozen {
        for i in (usize::from(frozen))..2 {
            steps[i] += 1;
            let g = p[i] + 0.1 * p[i];
            if adam {
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (m, v) = (m[i] / (1.0 - 0.9f64.powi(steps[i])), v[i] / (1.0 - 0.999f64.powi(steps[i])));
                p[i] -= 0.1 * m / (v.sqrt() + 1e-8);
            } else {
                m[i] = if steps[i] == 1 { g } else { 0.9 * m[i] + g };
                p[i] -= 0.1 * m[i];
            }
        }
    }
    p
}

struct Two([Parameter; 2]);

impl Module for Two {
    fn call(&self, _: &Tensor) -> Result<Tensor> {
        self.0[0].value().square()?.add(&self.0[1].value().square()?)?.mul_scalar(0.5)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        self.0.to_vec()
    }
}

#[test]
fn a_frozen_parameter_stays_and_goes_on_from_there() {
    let sgd = |net: &Two| -> Box<dyn Optimizer> {
        let options = SgdOptions::default().lr(0.1).momentum(0.9).weight_decay(0.1);
        Box::new(Sgd::new(net, options).unwrap())
    };
    let adam = |net: &Two| -> Box<dyn Optimizer> {
        Box::new(Adam::new(net, AdamOptions::default().lr(0.1).weight_decay(0.1)).unwrap())
    };
    for device in devices() {
        for is_adam in [false, true] {
            for frozen in [
                [false, false, true, true, false, false],
                [true, true, false, false, true, false],
                [true, true, true, true, true, true],
            ] {
                let scope = Scope::new(&device);
                let number = |name: &str, value: f32| {
                    scope.at(name).parameter("p", &Tensor::full(&device, &[1], value).unwrap())
                };
                let net = Two([number("a", 3.0), number("b", -2.0)]);
                if frozen[0] {
                    net.freeze("a.*").unwrap();
                }
                let mut optimizer = if is_adam { adam(&net) } else { sgd(&net) };
                for frozen in frozen {
                    let x = Tensor::zeros(&device, &[1]).unwrap();
                    // The switch comes between the forward and the backward pass, or after both: neither leaves a gradient.
                    let loss = net.forward(&x).unwrap();
                    if frozen {
                        net.freeze("a.*").unwrap();
                        loss.backward().unwrap();
                        assert!(net.0[0].grad().is_none());
                    } else {
                        net.unfreeze("a.?").unwrap();
                        net.forward(&x).unwrap().backward().unwrap();
                    }
                    optimizer.step().unwrap();
                    optimizer.zero_grad();
                }
                let got = [0, 1].map(|i| values(&net.0[i].value())[0]);
                close(&got, &expected(is_adam, frozen));
            }
        }
    }
}

#[test]
fn freezing_forgets_gradients_and_tells_of_names_that_do_not_exist() {
    for device in devices() {
        let scope = Scope::new(&device);
        let net = Sequential::new(&scope)
            .make_named("fc", |s| Linear::new(s, 2, 2))
            .unwrap()
            .make_named("norm", |s| BatchNorm1d::new(s, 2, &BatchNormLayerOptions::default()))
            .unwrap();
        let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, -4.0], &[2, 2]).unwrap();
        let run = || net.forward(&x).unwrap().square().unwrap().sum_all().unwrap().backward().unwrap();
        run();
        let with_gradient = || -> Vec<String> {
            let has = net.named_parameters().into_iter().filter(|(_, parameter)| parameter.grad().is_some());
            has.map(|(name, _)| name).collect()
        };
        assert_eq!(with_gradient(), ["fc.weight", "fc.bias", "norm.weight", "norm.bias"]);
        net.freeze("*.weight").unwrap();
        assert_eq!(with_gradient(), ["fc.bias", "norm.bias"]);
        let weight = &net.parameters()[0];
        assert!(!weight.requires_grad() && !weight.value().is_tracked());
        assert!(weight.set_grad(Some(weight.value())).unwrap_err().to_string().contains("fc.weight takes no gradient"));
        // Thawing brings back no old gradient.
        net.set_requires_grad(true);
        assert_eq!(with_gradient(), ["fc.bias", "norm.bias"]);
        net.zero_grad();
        run();
        assert_eq!(with_gradient().len(), 4);
        net.zero_grad();
        assert!(with_gradient().is_empty());
        net.set_requires_grad(false);
        assert!(!net.forward(&x).unwrap().is_tracked());
        for pattern in ["layer9.*", "fc", "norm.running_*"] {
            let text = net.unfreeze(pattern).unwrap_err().to_string();
            assert!(text.contains(pattern) && text.contains("begin with fc, norm"), "{text}");
        }
        assert!(!net.parameters().iter().any(Parameter::requires_grad), "nothing was thawed by an error");
    }
}

#[test]
fn steps_after_a_switch_soon_make_nothing_new() {
    let device =
        Device::with_options(&DeviceOptions { noop: Some(Noop::default()), ..DeviceOptions::default() }).unwrap();
    let net = Sequential::new(&Scope::new(&device)).make(|s| Linear::new(s, 4, 4)).unwrap();
    let net = net.push(Relu).make(|s| Linear::new(s, 4, 4)).unwrap();
    let mut adam = Adam::new(&net, AdamOptions::default()).unwrap();
    let x = Tensor::ones(&device, &[2, 4]).unwrap();
    let mut step = || {
        net.forward(&x).unwrap().square().unwrap().sum_all().unwrap().backward().unwrap();
        adam.step().unwrap();
        adam.zero_grad();
        let stats = device.stats();
        [stats.plans, stats.pipelines, stats.bind_groups, stats.buffers]
    };
    let mut settled = || -> [u64; 4] { (0..4).map(|_| step()).last().unwrap() };
    for round in 0..2 {
        let before = settled();
        assert_eq!(settled(), before);
        net.freeze("0.*").unwrap();
        let frozen = settled();
        assert!(round > 0 || frozen[0] > before[0], "fewer gradients are another plan");
        assert_eq!(settled(), frozen);
        net.unfreeze("0.*").unwrap();
    }
}

/// An autoencoder whose decoder has the encoder's weight.
struct Tied {
    encoder: Linear,
    decoder: Linear,
}

impl Tied {
    fn new(scope: &Scope) -> Tied {
        let encoder = Linear::without_bias(&scope.at("encoder"), 3, 3).unwrap();
        let decoder = Linear { weight: encoder.weight.clone(), ..Linear::new(&scope.at("decoder"), 3, 3).unwrap() };
        Tied { encoder, decoder }
    }
}

impl Module for Tied {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.decoder.forward(&self.encoder.forward(input)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; encoder, decoder]
    }
}

#[test]
fn tied_weights_train_and_are_saved_once() {
    for device in devices() {
        let net = Tied::new(&Scope::new(&device));
        assert_eq!(names(&net), ["encoder.weight", "decoder.bias"]);
        let x = Tensor::from_slice(&device, &[1.0f32, -2.0, 0.5], &[1, 3]).unwrap();
        let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.1)).unwrap();
        // The gradient is the sum over its occurrences: h = W x and y = W h + b, of y^2 summed.
        let w = values(&net.encoder.weight.value());
        let times = |v: &[f64]| (0..3).map(|i| (0..3).map(|j| w[3 * i + j] * v[j]).sum::<f64>()).collect::<Vec<_>>();
        let (x0, b) = (values(&x), values(&net.decoder.bias.as_ref().unwrap().value()));
        let h = times(&x0);
        let dy: Vec<f64> = times(&h).iter().zip(&b).map(|(y, b)| 2.0 * (y + b)).collect();
        let dh: Vec<f64> = (0..3).map(|j| (0..3).map(|i| w[3 * i + j] * dy[i]).sum()).collect();
        let gradient = |i: usize| dy[i / 3] * h[i % 3] + dh[i / 3] * x0[i % 3];
        let moved: Vec<f64> = (0..9).map(|i| w[i] - 0.1 * gradient(i)).collect();
        net.forward(&x).unwrap().square().unwrap().sum_all().unwrap().backward().unwrap();
        sgd.step().unwrap();
        close(&values(&net.decoder.weight.value()), &moved);

        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run");
        train::save(&path, &device, &net, &[("optimizer", &sgd)], &Position::default()).unwrap();
        let other = Tied::new(&Scope::new(&device));
        weights::load(&path, &other, &LoadOptions::default()).unwrap();
        assert_eq!(values(&other.decoder.weight.value()), values(&net.encoder.weight.value()));

        // PyTorch's states have it under both names, and files of them under either.
        let mut state = net.state_dict().unwrap();
        assert_eq!(state.keys().collect::<Vec<_>>(), ["decoder.bias", "encoder.weight"]);
        state.insert("decoder.weight".into(), state["encoder.weight"].clone());
        let other = Tied::new(&Scope::new(&device));
        assert!(other.load_state_dict(&state, true).unwrap().is_empty());
        state.remove("encoder.weight");
        let other = Tied::new(&Scope::new(&device));
        assert!(other.load_state_dict(&state, true).unwrap().is_empty());
        assert_eq!(values(&other.encoder.weight.value()), values(&net.encoder.weight.value()));
    }
}

#[test]
fn states_come_back_whole_or_not_at_all() {
    let net = |device: &Device, outputs| {
        let net = Sequential::new(&Scope::new(device)).make_named("fc", |s| Linear::new(s, 3, outputs)).unwrap();
        net.make_named("norm", |s| BatchNorm1d::new(s, outputs, &BatchNormLayerOptions::default())).unwrap()
    };
    let all = |net: &Sequential| net.parameters().iter().flat_map(|p| values(&p.value())).collect::<Vec<_>>();
    for device in devices() {
        let first = net(&device, 2);
        let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, -6.0], &[2, 3]).unwrap();
        first.forward(&x).unwrap();
        let state = first.state_dict().unwrap();
        let saved = all(&first);
        assert_eq!(values(&state["norm.num_batches_tracked"]), [1.0]);
        // Further training does not change a state.
        let mut sgd = Sgd::new(&first, SgdOptions::default().lr(0.5)).unwrap();
        first.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
        sgd.step().unwrap();
        assert_ne!(all(&first), saved);
        // Onto the device and off it, and from half precision.
        for other in devices() {
            let second = net(&other, 2);
            assert!(second.load_state_dict(&state, true).unwrap().is_empty());
            close(&all(&second), &saved);
        }
        let mut half = state.clone();
        half.insert("fc.bias".into(), state["fc.bias"].to_dtype(DType::F16).unwrap());
        let third = net(&device, 2);
        third.load_state_dict(&half, true).unwrap();
        assert_eq!(third.parameters()[1].value().dtype(), state["fc.bias"].dtype());
        assert_eq!(values(&third.parameters()[1].value()), values(&half["fc.bias"]));

        let mut wrong = state.clone();
        wrong.remove("fc.bias");
        wrong.insert("head.weight".into(), state["fc.weight"].clone());
        wrong.insert("fc.weight".into(), Tensor::zeros(&device, &[2, 4]).unwrap());
        wrong.insert("norm.num_batches_tracked".into(), Tensor::zeros(&device, &[]).unwrap());
        let fourth = net(&device, 2);
        let before = all(&fourth);
        let error = fourth.load_state_dict(&wrong, true).unwrap_err();
        assert_eq!(all(&fourth), before, "an error changes nothing");
        let Error::IncompatibleKeys { keys } = &error else { panic!("{error}") };
        let names: Vec<&str> = keys.mismatched.iter().map(|mismatch| mismatch.name.as_str()).collect();
        assert_eq!(
            (&keys.missing[..], &keys.unexpected[..]),
            (&["fc.bias".to_string()][..], &["head.weight".to_string()][..])
        );
        assert_eq!(names, ["fc.weight", "norm.num_batches_tracked"]);
        let text = error.to_string();
        assert!(text.contains("missing: fc.bias; unexpected: head.weight; mismatched: fc.weight is [2, 4]"), "{text}");
        let told = fourth.load_state_dict(&wrong, false).unwrap();
        assert_eq!(&told, &**keys);
        let after = fourth.state_dict().unwrap();
        assert_eq!(values(&after["norm.running_mean"]), values(&state["norm.running_mean"]));
        assert_eq!(values(&after["fc.weight"]), before[..6]);
    }
    let scope = Scope::new(&Device::reference());
    let twice =
        Sequential::new(&scope).push(Linear::new(&scope, 2, 2).unwrap()).push(Linear::new(&scope, 2, 2).unwrap());
    assert!(twice.state_dict().unwrap_err().to_string().contains("two parameters are called weight"));
}
