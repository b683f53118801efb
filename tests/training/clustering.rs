//! Shared weights: scikit-learn's clusters, a textbook's code and PyTorch's training of centres (`tests/golden/clustering.py`).

use crate::common::from_names::{fill, numbers};
use serde_json::Value;
use std::collections::BTreeSet;
use wgrad::compress::clustering::*;
use wgrad::compress::pruning::{l1_unstructured, prunable};
use wgrad::nn::{self, Conv2d, Linear, Module, Scope};
use wgrad::optim::*;
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, Error, Parameter, Result, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/clustering.json")).unwrap()
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

fn close(got: &[f64], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let apart = got.iter().zip(expected).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= bound, "{what}: {apart}");
}

#[test]
fn clusters_are_those_of_scikit_learn() {
    for golden in golden()["k_means"].as_array().unwrap() {
        let (name, size) = (golden["name"].as_str().unwrap(), golden["size"].as_u64().unwrap() as usize);
        let cubes = numbers(name, size).map(|unit| unit.powi(3));
        let values: Vec<f64> = match name {
            "d" => cubes.map(|cube| cube.signum() * (0.5 + 0.5 * cube.abs())).collect(),
            _ => cubes.collect(),
        };
        let expected: Vec<f64> = list(&golden["centres"]);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let step = (high - low) / (expected.len() - 1) as f64;
        let first = (0..expected.len()).map(|at| low + at as f64 * step).collect();
        let found = k_means(&values, first, 100).unwrap();
        close(&found.centres, &expected, 1e-12, name);
        let mut counts = vec![0u64; expected.len()];
        found.labels.iter().for_each(|&label| counts[label] += 1);
        assert_eq!(counts, list::<u64>(&golden["counts"]));
    }
    assert!(matches!(k_means(&[f64::NAN], vec![0.0], 1), Err(Error::Invalid { .. })));
    assert!(matches!(k_means(&[1.0], Vec::new(), 1), Err(Error::Invalid { .. })));
}

#[test]
fn codes_are_as_short_as_the_textbooks() {
    for golden in golden()["huffman"].as_array().unwrap() {
        let counts: Vec<u64> = list(&golden["counts"]);
        let lengths = code_lengths(&counts);
        let bits: u64 = counts.iter().zip(&lengths).map(|(count, &length)| count * u64::from(length)).sum();
        assert_eq!(bits, golden["bits"].as_u64().unwrap(), "{counts:?}");
        // A code with such lengths exists (Kraft), and it wastes nothing.
        let used: Vec<u32> = lengths.into_iter().filter(|&length| length > 0).collect();
        let kraft: f64 = used.iter().map(|&length| (-f64::from(length)).exp2()).sum();
        assert_eq!(kraft, if used.len() == 1 { 0.5 } else { 1.0 });
    }
    assert!(code_lengths(&[]).is_empty());
}

struct Net {
    conv: Conv2d,
    fc: Linear,
}

impl Net {
    fn new(device: &Device) -> Net {
        let s = Scope::new(device);
        let net = Net {
            conv: Conv2d::new(&s.at("conv"), 2, 5, 3, &Conv2dOptions::default().padding(1)).unwrap(),
            fc: Linear::new(&s.at("fc"), 5 * 36, 4).unwrap(),
        };
        fill(&net, device);
        net
    }
}

impl Module for Net {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.conv.forward(x)?.tanh()?.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, fc]
    }
}

/// The different values of a parameter, in ascending order.
fn values(parameter: &Parameter) -> Vec<f64> {
    let mut values = parameter.value().to_f64().unwrap();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

fn train<O: Optimizer>(net: &Net, clusters: &Clusters, mut optimizer: O) {
    let device = Device::clone(net.fc.weight.value().device());
    let x: Vec<f64> = numbers("clustered", 3 * 2 * 36).collect();
    let x = Tensor::from_f64(&device, &x, &[3, 2, 6, 6]).unwrap();
    let labels = Tensor::from_slice(&device, &[1i32, 0, 3], &[3]).unwrap();
    for _ in 0..4 {
        let loss = net.forward(&x).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        clusters.share_gradients().unwrap();
        optimizer.step().unwrap();
        optimizer.zero_grad();
    }
}

#[test]
fn shared_weights_train_as_pytorchs_centres() {
    let (golden, device) = (golden(), Device::reference());
    for name in ["sgd", "adam"] {
        let net = Net::new(&device);
        let clusters = Clusters::new(prunable(&net), &ClusterOptions::default().values(6)).unwrap();
        let (lr, betas) = (1.0 / 32.0, (0.875, 1.0 - 1.0 / 1024.0));
        match name {
            "sgd" => train(&net, &clusters, Sgd::new(&net, SgdOptions::default().lr(lr).momentum(0.875)).unwrap()),
            _ => {
                let options = AdamOptions::default().lr(lr).betas(betas).eps((-27f64).exp2());
                train(&net, &clusters, Adam::new(&net, options).unwrap());
            }
        }
        // Bias corrections of Adam are words of f32 on every device.
        let bound = if name == "sgd" { 1e-9 } else { 1e-6 };
        for (parameter, expected) in prunable(&net).iter().zip(golden[name].as_array().unwrap()) {
            let mut expected: Vec<f64> = list(expected);
            expected.sort_by(f64::total_cmp);
            close(&values(parameter), &expected, bound, &format!("{name} {}", parameter.name()));
        }
    }
}

#[test]
fn pruned_weights_stay_zero_and_are_a_value_of_their_own() {
    let device = Device::reference();
    let net = Net::new(&device);
    l1_unstructured(&net.fc.weight, 0.9).unwrap();
    let clusters = Clusters::new(prunable(&net), &ClusterOptions::default().values(4)).unwrap();
    train(&net, &clusters, AdamW::new(&net, AdamWOptions::default().lr(0.05)).unwrap());
    let of_fc = values(&net.fc.weight);
    assert!(of_fc.len() == 5 && of_fc.contains(&0.0), "{of_fc:?}");
    assert_eq!(net.fc.weight.pruned().unwrap(), 648);
    assert_eq!(values(&net.conv.weight).len(), 4);

    // By hand: 90 weights of 4 values in 2 bits, and 720 of 5 in 3.
    let size = clusters.size().unwrap();
    assert_eq!((size.plain_bits, size.index_bits), (32 * 810, 2 * 90 + 3 * 720));
    assert_eq!(size.table_bits, 40 * (4 + 5));
    // 648 zeros of one bit, and the others of at least two and at most four.
    let most = 2 * 90 + 648 + 4 * 72;
    assert!(size.huffman_bits <= most && size.huffman_bits >= 90 + 648 + 2 * 72, "{size:?}");
    assert_eq!(size.ratio(), size.plain_bits as f64 / (size.huffman_bits + size.table_bits) as f64);
    let distinct: BTreeSet<u64> = of_fc.iter().map(|value| value.to_bits()).collect();
    assert_eq!(distinct.len(), 5);
    assert!(matches!(Clusters::new(prunable(&net), &ClusterOptions::default().values(0)), Err(Error::Invalid { .. })));
}
