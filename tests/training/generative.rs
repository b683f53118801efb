//! Networks that draw images, compared with PyTorch programs in float64 (`tests/golden/generative.py`).

use crate::common::adapter;
use crate::common::from_names::{digest, fill, gradients, names, numbers};
use crate::common::network_runs::of_float32;
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::generative::*;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Sgd, SgdOptions};
use wgrad::{Device, DeviceOptions, Error, Noop, Reduction, Result, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/generative.json")).unwrap()
}

fn dcgan() -> DcganOptions {
    DcganOptions::default().image_size(16).channels(2).latent(6).generator_width(4).discriminator_width(4)
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let scope = || Scope::new(&device);
    let golden = &golden()["names"];
    assert_eq!(golden["generator"], names(&DcganGenerator::new(&scope(), &DcganOptions::default()).unwrap()));
    assert_eq!(golden["generator16"], names(&DcganGenerator::new(&scope(), &dcgan()).unwrap()));
    assert_eq!(golden["discriminator"], names(&DcganDiscriminator::new(&scope(), &DcganOptions::default()).unwrap()));
    assert_eq!(golden["discriminator16"], names(&DcganDiscriminator::new(&scope(), &dcgan()).unwrap()));
    assert_eq!(golden["rrdb"], names(&RrdbNet::new(&scope(), &RrdbNetOptions::default()).unwrap()));
    assert_eq!(golden["rrdb2"], names(&RrdbNet::new(&scope(), &RrdbNetOptions::default().scale(2).blocks(6)).unwrap()));
}

/// Numbers of a golden run, from -1 or 0 to 1.
fn tensor(device: &Device, name: &str, shape: &[usize], low: f64) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f32> =
        numbers(name, count).map(|unit| (0.5 * (low + 1.0) + 0.5 * (1.0 - low) * unit) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// Results by their names in the golden file: numbers, or the digest of a tensor.
#[derive(Default)]
struct Results(BTreeMap<String, Vec<f64>>);

impl Results {
    fn values(&mut self, name: &str, tensors: &[&Tensor]) {
        self.0.insert(name.to_string(), tensors.iter().flat_map(|t| t.to_f64().unwrap()).collect());
    }

    fn digest(&mut self, prefix: &str, name: &str, tensor: &Tensor) {
        self.0.insert(format!("{prefix}{name}"), digest(name, tensor).into());
    }

    /// The gradients of a network under a name.
    fn gradients(&mut self, at: &str, net: &dyn Module) {
        gradients(net).for_each(|(name, gradient)| self.digest("gradients/", &format!("{at}.{name}"), &gradient));
    }
}

/// Arrays of a golden case by their paths.
fn flat(case: &Value) -> BTreeMap<String, Vec<f64>> {
    let mut all = BTreeMap::new();
    for (name, value) in case.as_object().unwrap() {
        match value {
            Value::Array(_) => drop(all.insert(name.clone(), serde_json::from_value(value.clone()).unwrap())),
            Value::Object(_) => {
                all.extend(flat(value).into_iter().map(|(inner, values)| (format!("{name}/{inner}"), values)));
            }
            _ => {}
        }
    }
    all
}

type Run = fn(&Device, bool) -> Result<Results>;

/// Both networks of a DCGAN; after an alternating step, too.
fn gan(device: &Device, training: bool) -> Result<Results> {
    let mut results = Results::default();
    let generator = DcganGenerator::new(&Scope::new(device), &dcgan())?;
    let discriminator = DcganDiscriminator::new(&Scope::new(device), &dcgan())?;
    let networks: [(&str, &dyn Module); 2] = [("g", &generator), ("d", &discriminator)];
    let start = || {
        for (_, net) in networks {
            fill(net, device);
            net.zero_grad();
            net.train(training);
        }
    };
    start();
    let (noise, real) = (tensor(device, "noise", &[5, 6], -1.0), tensor(device, "real", &[5, 2, 16, 16], -1.0));
    let drawn = generator.forward(&noise)?;
    // Detached, for the gradient of the drawn images.
    let seen = drawn.detach().requires_grad();
    let logits = discriminator.forward(&seen)?;
    logits.square()?.sum_all()?.backward()?;
    let gradient = seen.grad().unwrap();
    drawn.backward_with(wgrad::BackwardOptions::default().gradient(gradient.clone()))?;
    results.digest("", "drawn", &drawn);
    results.values("logits", &[&logits]);
    results.digest("gradients/", "drawn", &gradient);
    networks.iter().for_each(|(at, net)| results.gradients(at, *net));
    if training {
        start();
        let sgd = |net| Sgd::new(net, SgdOptions::default().lr(0.5));
        let (mut draws, mut tells) = (sgd(networks[0].1)?, sgd(networks[1].1)?);
        let options = AdversarialOptions::default().label_smoothing(0.125);
        let losses = options.step((&generator, &mut draws), (&discriminator, &mut tells), &real, &noise)?;
        results.values("losses", &[&losses.discriminator, &losses.generator]);
        for (at, net) in networks {
            for (name, parameter) in net.named_parameters().into_iter().filter(|(_, p)| p.value().dtype().is_float()) {
                results.digest("after/", &format!("{at}.{name}"), &parameter.value());
            }
        }
    }
    Ok(results)
}

fn vae(device: &Device, _: bool) -> Result<Results> {
    let mut results = Results::default();
    let options = VaeOptions::default().image_size(12).channels(2).widths([3, 5]).latent(4).beta(4.0);
    let net = Vae::new(&Scope::new(device), &options)?;
    fill(&net, device);
    let images = tensor(device, "images", &[3, 2, 12, 12], 0.0);
    // The loss compares with the images, through which no gradient flows there.
    let seen = images.requires_grad();
    let codes = net.encode(&seen)?;
    let logits = net.decode(&codes.at(&tensor(device, "noise", &[3, 4], -1.0))?)?;
    let losses = net.losses(&codes, &logits, &images.detach())?;
    losses.total()?.backward()?;
    let elbo = losses.elbo()?.to_f64()?[0] + losses.reconstruction.to_f64()?[0] + losses.divergence.to_f64()?[0];
    assert!(elbo.abs() < 1e-4, "{elbo}");
    results.digest("", "logits", &logits);
    results.values("mean", &[&codes.mean]);
    results.values("losses", &[&losses.reconstruction, &losses.divergence]);
    results.digest("gradients/", "input", &seen.grad().unwrap());
    results.gradients("n", &net);
    Ok(results)
}

fn upscaler<const SCALE: usize>(device: &Device, _: bool) -> Result<Results> {
    let mut results = Results::default();
    let options = RrdbNetOptions::default().scale(SCALE).channels(2).width(5).blocks(2).growth(3);
    let net = RrdbNet::new(&Scope::new(device), &options)?;
    let discriminator = DcganDiscriminator::new(&Scope::new(device), &dcgan())?;
    for module in [&net as &dyn Module, &discriminator] {
        fill(module, device);
        module.eval();
    }
    let small = tensor(device, "small", &[3, 2, 16 / SCALE, 16 / SCALE], -1.0).requires_grad();
    let large = tensor(device, "large", &[3, 2, 16, 16], -1.0);
    let drawn = net.forward(&small)?;
    let losses = relativistic_losses(&discriminator.forward(&large)?, &discriminator.forward(&drawn)?)?;
    (drawn.l1_loss(&large, Reduction::Mean)? + (&losses.generator * 0.5)?)?.backward()?;
    results.digest("", "drawn", &drawn);
    results.values("losses", &[&losses.discriminator, &losses.generator]);
    results.digest("gradients/", "input", &small.grad().unwrap());
    results.gradients("n", &net);
    results.gradients("d", &discriminator);
    Ok(results)
}

const CASES: [(&str, Run, bool); 5] = [
    ("gan.eval", gan, false),
    ("gan.train", gan, true),
    ("vae.train", vae, true),
    ("upscaler2.train", upscaler::<2>, true),
    ("upscaler4.train", upscaler::<4>, true),
];

/// Results are PyTorch's up to a bound, in units of a result's size or a thousandth of the largest gradient's.
fn compare(device: &Device, bound: impl Fn(f64) -> f64) {
    let golden = golden();
    for (name, run, training) in CASES {
        let case = &golden[name];
        let bound = bound(case["f32"].as_f64().unwrap());
        let (got, expected) = (run(device, training).unwrap().0, flat(case));
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        let size = |values: &[f64]| values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let largest =
            expected.iter().filter(|(key, _)| key.starts_with("gradients")).map(|(_, v)| size(v)).fold(0.0, f64::max);
        for (key, values) in &expected {
            let scale = size(values).max(if key.starts_with("gradients") { 1e-3 * largest } else { 0.0 });
            assert_eq!(got[key].len(), values.len(), "{name} {key}");
            for (got, expected) in got[key].iter().zip(values) {
                let apart = (got - expected).abs() / scale;
                assert!(apart <= bound, "{name} {key}: {got}, not {expected}, {apart:.1e} apart");
            }
        }
    }
}

#[test]
fn values_are_pytorchs_on_the_reference() {
    compare(&Device::reference(), |_| 1e-9);
}

#[test]
fn values_are_pytorchs_on_the_adapter() {
    adapter().iter().for_each(|device| compare(device, of_float32));
}

/// The networks start as in the paper.
#[test]
fn weights_of_dcgan_start_with_a_deviation_of_0_02() {
    let device = Device::reference();
    let net = DcganDiscriminator::new(&Scope::new(&device), &dcgan().discriminator_width(16)).unwrap();
    for (name, parameter) in net.named_parameters() {
        let values = parameter.value().to_f64().unwrap();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        let is_norm = parameter.value().rank() == 1;
        match name.rsplit('.').next().unwrap() {
            "weight" => {
                let slack = 4.0 * 0.02 / (values.len() as f64).sqrt();
                assert!((mean - if is_norm { 1.0 } else { 0.0 }).abs() < slack, "{name}: mean {mean}");
                assert!((std - 0.02).abs() < slack, "{name}: deviation {std}");
            }
            "bias" => assert_eq!((mean, std), (0.0, 0.0), "{name}"),
            _ => {}
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let scope = Scope::new(&Device::reference());
    let rule = |result: Result<()>| match result {
        Err(Error::Invalid { rule, .. }) => rule,
        other => panic!("{other:?}"),
    };
    let generator = |options: DcganOptions| rule(DcganGenerator::new(&scope, &options).map(drop));
    assert_eq!(generator(dcgan().image_size(28)), "image_size 28 is no power of two from 8 on");
    assert!(generator(dcgan().image_size(4)).contains("image_size 4"));
    assert!(generator(dcgan().latent(0)).contains("latent: 0"));
    let vae = |options: VaeOptions| rule(Vae::new(&scope, &options).map(drop));
    let smaller = vae(VaeOptions::default().image_size([28, 30]));
    assert_eq!(smaller, "28 x 30 can't be halved 2 times: multiples of 4 can");
    assert!(vae(VaeOptions::default().widths([])).contains("widths is empty"));
    let scale = rule(RrdbNet::new(&scope, &RrdbNetOptions::default().scale(3)).map(drop));
    assert_eq!(scale, "scale is 3; it must be 1, 2 or 4");
    let net = DcganGenerator::new(&Scope::new(&Device::reference()), &dcgan()).unwrap();
    let noise = Tensor::zeros(&Device::reference(), &[2, 7]).unwrap();
    assert_eq!(rule(net.forward(&noise).map(drop)), "expected [N, 6], got [2, 7]");
}
