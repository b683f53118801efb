//! Views of a network, compared with PyTorch's and torchvision's (`tests/golden/views.py`).

use crate::common::adapter;
use crate::common::from_names::{fill, rounded};
use serde_json::Value;
use wgrad::explain::*;
use wgrad::logs::Histogram;
use wgrad::nn::{BatchNorm2d, Conv2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, Error, Result, Tensor};

const SHAPE: [usize; 4] = [2, 3, 9, 8];
const BINS: usize = 7;

pub fn network(device: &Device) -> Sequential {
    let same = Conv2dOptions::default().padding(1);
    let make = || {
        Sequential::new(&Scope::new(device))
            .make_named("conv1", |s| Conv2d::new(s, 3, 4, 3, &same))?
            .push_named("relu1", Relu)
            .make_named("conv2", |s| Conv2d::new(s, 4, 5, 3, &same.stride(2)))?
            .push_named("relu2", Relu)
            .make_named("conv3", |s| Conv2d::new(s, 5, 3, 3, &same))?
            .push_named("flat", Flatten)
            .make_named("fc", |s| Linear::new(s, 60, 4))
    };
    let net = make().unwrap();
    fill(&net, device);
    net.eval();
    net
}

pub fn images(device: &Device) -> Tensor {
    rounded(device, "images", &SHAPE)
}

fn golden(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../golden/views.json")).unwrap();
    all[name].clone()
}

/// The largest difference from golden values, relative to the largest of those.
pub fn apart(got: &Tensor, name: &str) -> f64 {
    let (got, expected): (_, Vec<f64>) = (got.to_f64().unwrap(), serde_json::from_value(golden(name)).unwrap());
    assert_eq!(got.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    got.iter().zip(&expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f64::max)
}

#[test]
fn sheets_fields_and_directions_are_pytorchs() {
    let devices = [Some((Device::reference(), 1e-9)), adapter().map(|device| (device, 1e-4))];
    for (device, bound) in devices.into_iter().flatten() {
        let (net, x) = (network(&device), images(&device));
        let weight = net.get(2).unwrap().own_parameters()[0].value();
        let field = |layer| effective_receptive_field(&net, &x, layer).unwrap().gradient;
        for (name, got) in [
            ("filters_each", filters(&net, "conv1", Stretch::Each).unwrap()),
            ("filters_all", filters(&net, "conv2", Stretch::All).unwrap()),
            ("maps_each", feature_maps(&net, &x, "relu2", Stretch::Each).unwrap()),
            ("field_conv1", field("conv1")),
            ("field_conv3", field("conv3")),
            ("filter_normalized", filter_normalized(&rounded(&device, "direction", weight.shape()), &weight).unwrap()),
        ] {
            let apart = apart(&got, name);
            assert!(apart < bound, "{name}: {apart:.1e}");
        }
    }
}

fn check_histograms(layers: &[LayerHistogram], name: &str) {
    let golden = golden(name);
    let names: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(names, ["conv1", "relu1", "conv2", "relu2", "conv3", "flat", "fc"]);
    for LayerHistogram { layer, histogram } in layers {
        let expected = &golden[layer];
        let end = |end: &str| expected[end].as_f64().unwrap();
        let counts: Vec<u64> = serde_json::from_value(expected["counts"].clone()).unwrap();
        assert_eq!(histogram.counts(), counts, "{name} of {layer}");
        let apart = (histogram.min() - end("min")).abs().max((histogram.max() - end("max")).abs());
        assert!(apart < 1e-9 * (end("max") - end("min")), "{name} of {layer}: {apart:.1e}");
    }
}

#[test]
fn distributions_by_layer_are_pytorchs() {
    let device = Device::reference();
    let (net, x) = (network(&device), images(&device));
    check_histograms(&activation_histograms(&net, &x, BINS).unwrap(), "activations");
    let labels = Tensor::from_slice(&device, &[2i32, 0], &[2]).unwrap();
    let loss = |output: &Tensor| output.cross_entropy(&labels, &CrossEntropyOptions::default());
    // Also if the network itself is frozen.
    net.set_requires_grad(false);
    check_histograms(&gradient_histograms(&net, &x, BINS, loss).unwrap(), "gradients");
    let alone = net.intermediates(&x, &["conv3"]).unwrap();
    assert_eq!(activation_histograms(&net, &x, 3).unwrap()[4].histogram, Histogram::of(&alone[0], 3).unwrap());
}

#[test]
fn units_are_dead_that_fire_in_no_batch() {
    let device = Device::reference();
    let (net, x) = (network(&device), images(&device));
    let biases = net.get(2).unwrap().own_parameters()[1].clone();
    biases.assign(&(biases.value() - 0.4).unwrap()).unwrap();
    let expected: Vec<(String, usize)> = ["conv1", "relu1", "conv2", "relu2", "conv3", "flat", "fc"]
        .map(|name| (name.to_string(), golden("dead")[name].as_u64().unwrap() as usize))
        .into();
    // Image by image as in one batch.
    let each = [x.narrow(0, 0, 1), x.narrow(0, 1, 1)];
    for got in [dead_units(&net, each).unwrap(), dead_units(&net, [Ok(x)]).unwrap()] {
        assert_eq!(got[3].units, 5);
        assert!((got[3].share() - golden("dead")["relu2"].as_f64().unwrap() / 5.0).abs() < 1e-12);
        assert_eq!(got.into_iter().map(|layer| (layer.layer, layer.dead)).collect::<Vec<_>>(), expected);
    }
    assert_eq!(dead_units(&net, []).unwrap(), []);
}

/// The effective field fills a part of the theoretical one, and never exceeds it.
#[test]
fn effective_fields_lie_within_theoretical_ones() {
    let device = Device::reference();
    let net = network(&device);
    let x = rounded(&device, "large", &[1, 3, 32, 32]);
    let conv3 = |row: &wgrad::nn::Row| row.name == "conv3";
    // The last layer wants small images, so the table ends before.
    let net = net.truncate(5);
    let summary = net.summary(&[1, 3, 32, 32]).unwrap();
    let theoretical = summary.rows.iter().find(|row| conv3(row)).unwrap().receptive_field.clone().unwrap();
    let field = effective_receptive_field(&net, &x, "conv3").unwrap();
    let values = field.gradient.to_f64().unwrap();
    let rows: Vec<usize> = (0..32).filter(|&y| values[y * 32..][..32].iter().any(|&value| value > 0.0)).collect();
    assert_eq!(rows.len(), theoretical.size[0]);
    // The middle unit of 16 x 16 sees from 8 * stride - padding on.
    assert_eq!(rows[0] as f64, 8.0 * theoretical.stride[0] - theoretical.padding[0]);
    let size = field.size().unwrap();
    assert!(size > 3.0 && size < rows.len() as f64, "{size}");
}

/// Losses are those at the weights plus multiples of the two directions, and nothing about the network changes.
#[test]
fn a_loss_surface_is_the_loss_at_shifted_weights() {
    let device = Device::reference();
    let net = Sequential::new(&Scope::new(&device))
        .make_named("conv", |s| Conv2d::new(s, 3, 2, 3, &Conv2dOptions::default()));
    let net = net.unwrap().make_named("bn", |s| BatchNorm2d::new(s, 2, &Default::default())).unwrap();
    let x = images(&device);
    let loss = || net.forward(&x)?.tanh()?.square()?.mean_all();
    let state = |net: &Sequential| -> Vec<Vec<f64>> {
        net.parameters().iter().map(|parameter| parameter.value().to_f64().unwrap()).collect()
    };
    let (before, middle) = (state(&net), net.parameters()[0].value().detach());
    device.manual_seed(3);
    // In training mode, so that running statistics move with each loss.
    let surface = loss_surface(&net, &LossSurfaceOptions::default().points(3).extent(0.5), loss).unwrap();
    assert_eq!(state(&net), before);
    assert_eq!(surface.places, [-0.5, 0.0, 0.5]);

    device.manual_seed(3);
    // One direction for each parameter, and biases and norms have one, too.
    let drawn = || -> Result<Vec<Tensor>> {
        net.parameters().iter().filter(|p| !p.is_buffer()).map(|p| p.value().randn_like()).collect()
    };
    let [first, second] = [drawn().unwrap(), drawn().unwrap()].map(|all| filter_normalized(&all[0], &middle).unwrap());
    for (y, &down) in surface.places.iter().enumerate() {
        for (x, &across) in surface.places.iter().enumerate() {
            let shifted = || -> Result<Tensor> { &middle + ((&first * across)? + (&second * down)?)? };
            net.parameters()[0].assign(&shifted().unwrap()).unwrap();
            let expected = loss().unwrap().to_f64().unwrap()[0];
            assert!((surface.at(x, y) - expected).abs() < 1e-12, "{x} {y}");
        }
    }
    assert!(surface.at(0, 0) != surface.at(2, 0) && surface.at(0, 0) != surface.at(0, 2));
}

#[test]
fn a_loss_surface_leaves_the_weights_also_after_an_error() {
    let device = Device::reference();
    let net = network(&device);
    let before = net.state_dict().unwrap();
    let mut calls = 0;
    let failing = || {
        calls += 1;
        let size: &[usize] = if calls < 4 { &[1] } else { &[2] };
        Tensor::ones(&device, size)
    };
    let error = loss_surface(&net, &LossSurfaceOptions::default().points(3), failing).unwrap_err();
    assert!(error.to_string().contains("not one number"), "{error}");
    for (name, value) in net.state_dict().unwrap() {
        assert_eq!(value.to_f64().unwrap(), before[&name].to_f64().unwrap(), "{name}");
    }
}

#[test]
fn wrong_views_are_errors() {
    let device = Device::reference();
    let (net, x) = (network(&device), images(&device));
    let says = |error: Error, words: &str| {
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    };
    says(filters(&net, "conv9", Stretch::Each).unwrap_err(), "no layer is called \"conv9\"");
    says(filters(&net, "fc", Stretch::Each).unwrap_err(), "no weights [O, I, h, w]");
    says(feature_maps(&net, &x, "fc", Stretch::Each).unwrap_err(), "[N, C, H, W]");
    says(feature_maps(&net, &x, "conv9", Stretch::Each).unwrap_err(), "conv9");
    says(effective_receptive_field(&net, &x, "fc").unwrap_err(), "[N, C, H, W]");
    says(gradient_histograms(&net, &x, 3, |output| Ok(output.clone())).unwrap_err(), "not one number");
    says(
        loss_surface(&net, &LossSurfaceOptions::default().points(0), || Tensor::ones(&device, &[1])).unwrap_err(),
        "0 points",
    );
}
