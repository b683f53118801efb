//! Attributions, compared with captum's and pytorch-grad-cam's (`tests/golden/explain.py`), and with identities of theirs.

use crate::common::adapter;
use crate::common::from_names::{fill, numbers};
use serde_json::Value;
use wgrad::explain::*;
use wgrad::nn::{self, AvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, Relu, Scope, Tanh};
use wgrad::{Conv2dOptions, Device, Error, Result, Tensor};

pub(super) const SHAPE: [usize; 4] = [2, 3, 9, 8];
pub(super) const CLASSES: [usize; 2] = [2, 0];
const LAYER: &str = "relu2";

pub(super) struct Net {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    relu1: Relu,
    pool1: Box<dyn Module>,
    conv2: Conv2d,
    relu2: Relu,
    conv3: Conv2d,
    tanh3: Tanh,
    fc: Linear,
}

impl Net {
    pub(super) fn new(device: &Device) -> Net {
        Net::with_pool(device, Box::new(MaxPool2d::new(2)))
    }

    fn with_pool(device: &Device, pool1: Box<dyn Module>) -> Net {
        let s = Scope::new(device);
        let same = Conv2dOptions::default().padding(1);
        let net = Net {
            conv1: Conv2d::new(&s.at("conv1"), 3, 4, 3, &same).unwrap(),
            bn1: BatchNorm2d::new(&s.at("bn1"), 4, &Default::default()).unwrap(),
            relu1: Relu,
            pool1,
            conv2: Conv2d::new(&s.at("conv2"), 4, 6, 3, &same).unwrap(),
            relu2: Relu,
            conv3: Conv2d::new(&s.at("conv3"), 6, 5, 2, &Conv2dOptions::default()).unwrap(),
            tanh3: Tanh,
            fc: Linear::new(&s.at("fc"), 5, 4).unwrap(),
        };
        fill(&net, device);
        net.eval();
        net
    }
}

impl Module for Net {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.relu1.forward(&self.bn1.forward(&self.conv1.forward(x)?)?)?;
        let x = self.relu2.forward(&self.conv2.forward(&self.pool1.forward(&x)?)?)?;
        self.fc.forward(&self.tanh3.forward(&self.conv3.forward(&x)?)?.mean([2, 3])?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, relu1, pool1, conv2, relu2, conv3, tanh3, fc]
    }
}

pub(super) fn images(device: &Device) -> Tensor {
    let values: Vec<f32> = numbers("images", SHAPE.iter().product()).map(|value| value as f32).collect();
    Tensor::from_slice(device, &values, &SHAPE).unwrap()
}

pub(super) fn baseline(device: &Device) -> Tensor {
    let values = numbers("baseline", SHAPE[1..].iter().product());
    let values: Vec<f32> = values.map(|value| (0.3 * f64::from(value as f32)) as f32).collect();
    Tensor::from_slice(device, &values, &[1, SHAPE[1], SHAPE[2], SHAPE[3]]).unwrap()
}

fn golden(kind: &str, name: &str) -> Vec<f64> {
    let all: Value = serde_json::from_str(include_str!("../golden/explain.json")).unwrap();
    serde_json::from_value(all[kind][name].clone()).unwrap_or_else(|_| panic!("no {name} among {kind}"))
}

/// The largest difference, relative to the largest value.
pub(super) fn apart(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    got.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f64::max)
}

fn attributions(explainer: &Explainer, x: &Tensor, baseline: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
    let steps = IntegratedGradientsOptions::default().baseline(baseline.clone()).steps(20);
    let windows = OcclusionOptions::default().window([4, 3]).stride([3, 2]).baseline(baseline.clone());
    let segments: Vec<i32> = (0..72).map(|pixel| pixel / 5 % 6).collect();
    let segments = Tensor::from_slice(x.device(), &segments, &[1, 1, 9, 8])?;
    Ok(vec![
        ("saliency", explainer.saliency(x)?),
        ("vanilla_gradient", explainer.vanilla_gradient(x)?),
        ("input_x_gradient", explainer.input_x_gradient(x)?),
        ("integrated_gradients", explainer.integrated_gradients(x, &steps)?),
        ("guided_backprop", explainer.guided_backprop(x)?),
        ("deconvolution", explainer.deconvolution(x)?),
        ("occlusion", explainer.occlusion(x, &windows)?),
        ("feature_ablation", explainer.feature_ablation(x, &segments, 6, Some(baseline))?),
        ("layer_activation", explainer.layer_activation(x, LAYER)?),
        ("layer_conductance", explainer.layer_conductance(x, LAYER, &steps)?),
        ("guided_grad_cam", explainer.guided_grad_cam(x, LAYER)?),
        ("layer_grad_cam", explainer.cam_raw(x, LAYER, CamMethod::GradCam)?),
    ])
}

fn devices() -> impl Iterator<Item = (Device, f64)> {
    [Some((Device::reference(), 1e-6)), adapter().map(|device| (device, 1e-4))].into_iter().flatten()
}

#[test]
fn attributions_are_captums() {
    for (device, bound) in devices() {
        let net = Net::new(&device);
        // A few at once, so that batches are divided.
        let explainer = Explainer::new(&net).target(Target::Classes(CLASSES.to_vec())).batch(7);
        let (x, baseline) = (images(&device), baseline(&device));
        // captum's rule for maximum pooling leaves a part of the difference unexplained.
        let of_means = Net::with_pool(&device, Box::new(AvgPool2d::new(2)));
        let of_means = Explainer::new(&of_means).target(Target::Classes(CLASSES.to_vec()));
        let deep_lift = ("deep_lift", of_means.deep_lift(&x, Some(&baseline)).unwrap());
        for (name, got) in attributions(&explainer, &x, &baseline).unwrap().into_iter().chain([deep_lift]) {
            let apart = apart(&got.to_f64().unwrap(), &golden("attributions", name));
            assert!(apart < bound, "{name}: {apart:.1e}");
        }
    }
}

#[test]
fn maps_are_those_of_pytorch_grad_cam() {
    for (device, bound) in devices() {
        let net = Net::new(&device);
        let explainer = Explainer::new(&net).target(Target::Classes(CLASSES.to_vec())).batch(7);
        let x = images(&device);
        for method in CamMethod::ALL {
            let (name, got) = (method.name(), explainer.cam(&x, LAYER, method));
            let apart = match method {
                CamMethod::Cam => {
                    assert!(matches!(got, Err(Error::Invalid { .. })), "{got:?}");
                    continue;
                }
                // Each image's component with its own sign.
                CamMethod::EigenCam => {
                    let (got, expected) = (explainer.cam_raw(&x, LAYER, method).unwrap(), golden("maps", name));
                    let got = got.to_f64().unwrap();
                    let halves = got.chunks(got.len() / 2).zip(expected.chunks(got.len() / 2));
                    let signs = |(got, expected): (&[f64], &[f64])| {
                        let negative: Vec<f64> = got.iter().map(|value| -value).collect();
                        apart(got, expected).min(apart(&negative, expected))
                    };
                    halves.map(signs).fold(0.0, f64::max)
                }
                _ => apart(&got.unwrap().to_f64().unwrap(), &golden("maps", name)),
            };
            assert!(apart < bound.max(1e-5), "{name}: {apart:.1e}");
        }
    }
}

/// The gradient at the last maps is the class's weights divided by the number of positions if a network ends in a mean and a
/// linear layer.
#[test]
fn class_activation_maps_are_grad_cams_of_the_last_layer() {
    let device = Device::reference();
    let net = Net::new(&device);
    let explainer = Explainer::new(&net).target(Target::Class(1));
    let maps = |method| explainer.cam_raw(&images(&device), "tanh3", method).unwrap().to_f64().unwrap();
    let positions = 3.0 * 3.0;
    let scaled: Vec<f64> = maps(CamMethod::GradCam).iter().map(|value| value * positions).collect();
    assert!(apart(&maps(CamMethod::Cam), &scaled) < 1e-9);
}

/// Integrated gradients and DeepLIFT explain the whole difference from the baseline.
#[test]
fn attributions_add_up_to_the_difference() {
    let device = Device::reference();
    let net = Net::new(&device);
    let explainer = Explainer::new(&net);
    let (x, baseline) = (images(&device), baseline(&device));
    let steps = IntegratedGradientsOptions::default().baseline(baseline.clone()).steps(200);
    for (attributions, bound) in [
        (explainer.integrated_gradients(&x, &steps).unwrap(), 1e-3),
        (explainer.deep_lift(&x, Some(&baseline)).unwrap(), 1e-9),
    ] {
        let deltas = explainer.convergence_delta(&attributions, &x, Some(&baseline)).unwrap().to_f64().unwrap();
        assert!(deltas.iter().all(|delta| delta.abs() < bound), "{deltas:?}");
    }
}

#[test]
fn noisy_attributions_are_those_of_the_noise_that_is_drawn() {
    let device = Device::reference();
    let net = Net::new(&device);
    let explainer = Explainer::new(&net).target(Target::Classes(CLASSES.to_vec()));
    let x = images(&device);
    let options = NoiseTunnelOptions::default().samples(3).std(0.5);
    let samples: Vec<Vec<f64>> = {
        device.manual_seed(5);
        let noisy = || x.add(&Tensor::normal(&device, &SHAPE, 0.0, 0.5)?);
        (0..3).map(|_| explainer.saliency(&noisy().unwrap()).unwrap().to_f64().unwrap()).collect()
    };
    let mean = |power: i32| -> Vec<f64> {
        (0..samples[0].len()).map(|at| samples.iter().map(|sample| sample[at].powi(power)).sum::<f64>() / 3.0).collect()
    };
    let variance = mean(2).iter().zip(mean(1)).map(|(squares, mean)| squares - mean * mean).collect();
    for (kind, expected) in [
        (NoiseTunnelKind::SmoothGrad, mean(1)),
        (NoiseTunnelKind::SmoothGradSquare, mean(2)),
        (NoiseTunnelKind::VarGrad, variance),
    ] {
        device.manual_seed(5);
        let got =
            explainer.noise_tunnel(&x, &options.kind(kind), |explainer, noisy| explainer.saliency(noisy)).unwrap();
        assert!(apart(&got.to_f64().unwrap(), &expected) < 1e-9, "{kind:?}");
    }
}

/// A linear network's Shapley values are `(x - mean of the baselines) weight`; with one baseline nothing is random.
#[test]
fn shapley_values_of_a_linear_network_are_exact() {
    let device = Device::reference();
    let net = Linear::new(&Scope::new(&device).at("fc"), 6, 3).unwrap();
    fill(&net, &device);
    let value = |name: &str, rows: usize| {
        let values: Vec<f32> = numbers(name, 6 * rows).map(|value| value as f32).collect();
        Tensor::from_slice(&device, &values, &[rows, 6]).unwrap()
    };
    let (x, baseline) = (value("x", 4), value("baseline", 1));
    let explainer = Explainer::new(&net).target(Target::Class(2));
    let got = explainer.gradient_shap(&x, &baseline, &GradientShapOptions::default()).unwrap().to_f64().unwrap();
    let weight = net.weight.value().narrow(0, 2, 1).unwrap();
    let expected = x.sub(&baseline).unwrap().mul(&weight).unwrap().to_f64().unwrap();
    assert!(apart(&got, &expected) < 1e-9);
}

/// A network that answers with the brightness of one corner: its probability is high under masks that uncover that corner.
#[test]
fn random_masks_find_the_corner_that_matters() {
    let device = Device::reference();
    let corner = nn::Lambda::new(|x: &Tensor| {
        let bright = (x.narrow(2, 0, 4)?.narrow(3, 0, 4)?.mean([1, 2, 3])? * 6.0)?;
        Tensor::stack(&[&bright, &bright.zeros_like()?], 1)
    });
    device.manual_seed(3);
    let explainer = Explainer::new(&corner).target(Target::Class(0));
    let options = RiseOptions::default().masks(300).grid(4);
    let map = explainer.rise(&Tensor::ones(&device, &[1, 3, 16, 16]).unwrap(), &options).unwrap();
    let inside = map.narrow(2, 0, 4).unwrap().narrow(3, 0, 4).unwrap().mean_all().unwrap().to_f64().unwrap()[0];
    let far = map.narrow(2, 8, 8).unwrap().narrow(3, 8, 8).unwrap().mean_all().unwrap().to_f64().unwrap()[0];
    // p(class) is near 0.95 if the corner is uncovered and 0.5 if not; far from it masks have no effect, 0.75.
    assert!(inside > far + 0.1, "{inside} {far}");
    assert!((far - 0.75).abs() < 0.1, "{far}");
}

#[test]
fn wrong_questions_are_errors() {
    let device = Device::reference();
    let net = Net::new(&device);
    let x = images(&device);
    let explainer = Explainer::new(&net);
    let says = |error: Error, words: &str| {
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    };
    says(explainer.clone().target(Target::Class(4)).saliency(&x).unwrap_err(), "there is no class 4");
    let absent = explainer.clone().target(Target::Class(4));
    says(absent.rise(&x, &RiseOptions::default().masks(1)).unwrap_err(), "there is no class 4");
    says(explainer.clone().target(Target::Classes(vec![1])).saliency(&x).unwrap_err(), "1 classes for 2 images");
    says(explainer.layer_activation(&x, "relu9").unwrap_err(), "no layer \"relu9\" runs");
    says(explainer.cam(&x, "fc", CamMethod::GradCam).unwrap_err(), "[N, C, H, W]");
    says(explainer.occlusion(&x, &OcclusionOptions::default().window(12)).unwrap_err(), "12");
    says(explainer.rise(&x, &RiseOptions::default().masks(0)).unwrap_err(), "0 masks");
    let none = IntegratedGradientsOptions::default().steps(0);
    says(explainer.integrated_gradients(&x, &none).unwrap_err(), "steps must be at least 1");
}
