//! The capsule network, compared with a PyTorch program of the paper's formulas in float64 (`tests/golden/capsules.py`).

use crate::common::adapter;
use crate::common::from_names::{fill, gradients, names, numbers, worst};
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::{CapsNet, CapsNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::{Device, DeviceOptions, Error, Noop, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/capsules.json")).unwrap()
}

#[test]
fn the_papers_network_has_the_papers_parameters() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let net = CapsNet::new(&Scope::new(&device), &CapsNetOptions::default()).unwrap();
    assert_eq!(golden()["names"], names(&net));
}

fn small() -> CapsNetOptions {
    let layers = CapsNetOptions::default().conv_channels(6).kernel_size(3).primary_capsules(3).primary_dim(4);
    layers.image_size(13).channels(2).classes(4).class_dim(5).decoder_widths([7, 9])
}

/// The small network with the golden weights.
fn net(device: &Device, iterations: usize) -> CapsNet {
    let net = CapsNet::new(&Scope::new(device), &small().routing_iterations(iterations)).unwrap();
    fill(&net, device);
    let (_, weight) = net.named_parameters().into_iter().find(|(name, _)| name == "digit_capsules.weight").unwrap();
    weight.assign(&weight.value().detach().mul_scalar(12.0).unwrap()).unwrap();
    net
}

/// Values are PyTorch's up to `bound`, in units of their largest one.
fn check(what: &str, got: &Tensor, expected: &Value, bound: f64) {
    let expected: Vec<f64> = match expected {
        Value::Array(_) => serde_json::from_value(expected.clone()).unwrap(),
        number => vec![number.as_f64().unwrap()],
    };
    let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    assert_eq!(got.numel(), expected.len(), "{what}");
    for (got, expected) in got.to_f64().unwrap().iter().zip(expected) {
        assert!((got - expected).abs() <= bound * scale, "{what}: {got}, not {expected}");
    }
}

fn compare(device: &Device, bound: f64) {
    let golden = golden();
    let images: Vec<f32> = numbers("images", 5 * 2 * 13 * 13).map(|unit| (0.5 + 0.5 * unit) as f32).collect();
    let images = Tensor::from_slice(device, &images, &[5, 2, 13, 13]).unwrap().requires_grad();
    let labels = Tensor::from_slice(device, &[3, 0, 2, 2, 1], &[5]).unwrap();
    let lengths = net(device, 1).forward(&images).unwrap();
    check("lengths of one iteration", &lengths, &golden["lengths_of_one_iteration"], bound);

    let net = net(device, 3);
    let outputs = net.outputs(&images).unwrap();
    let losses = net.losses(&outputs, &images, &labels).unwrap();
    losses.total().unwrap().backward().unwrap();

    assert_eq!(outputs.lengths.shape()[..], [5, 4]);
    check("lengths", &outputs.lengths, &golden["lengths"], bound);
    check("margin", &losses.margin, &golden["margin"], bound);
    check("reconstruction", &losses.reconstruction, &golden["reconstruction"], bound);
    let digests: Vec<[f64; 2]> = serde_json::from_value(golden["gradients"].clone()).unwrap();
    let gradients: BTreeMap<String, Tensor> =
        gradients(&net).chain([("input".into(), images.grad().unwrap())]).collect();
    assert_eq!(gradients.len(), digests.len());
    let (apart, whose) = worst(&gradients, &digests);
    assert!(apart <= bound, "the gradient of {whose} is {apart:.1e} off");
}

#[test]
fn values_are_the_papers_on_the_reference() {
    compare(&Device::reference(), 1e-9);
}

#[test]
fn values_are_the_papers_on_the_adapter() {
    adapter().iter().for_each(|device| compare(device, 1e-4));
}

#[test]
fn options_that_leave_nothing_are_errors() {
    let scope = Scope::new(&Device::reference());
    let message = |options: CapsNetOptions| match CapsNet::new(&scope, &options) {
        Err(Error::Invalid { rule, .. }) => rule,
        other => panic!("{:?}", other.err()),
    };
    let rule = message(CapsNetOptions::default().image_size([28, 16]));
    assert_eq!(rule, "images of 28 x 16 are too small for two convolutions of 9 x 9");
    assert!(message(CapsNetOptions::default().routing_iterations(0)).contains("0 routing iterations"));
}
