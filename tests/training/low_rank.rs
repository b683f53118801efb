//! Layers as two of a lower rank, compared with NumPy's decomposition and PyTorch (`tests/golden/low_rank.py`).

use crate::common::from_names::{fill, tensor};
use serde_json::Value;
use wgrad::compress::channels::{ChannelOptions, Channels};
use wgrad::compress::low_rank::*;
use wgrad::models::{self, CifarResNet, CifarResNetOptions, LeNet5, ModelOptions};
use wgrad::nn::{Conv2d, Linear, Module, Scope, Sequential};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::weights::{self, LoadOptions, Metadata, SaveOptions};
use wgrad::{Conv2dOptions, Device, Error, Tensor, no_grad};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/low_rank.json")).unwrap()
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

fn pair(value: &Value) -> [usize; 2] {
    serde_json::from_value(value.clone()).unwrap()
}

/// A number is a rank if it is whole, otherwise a fraction of the energy.
fn rank(value: &Value) -> Rank {
    value.as_u64().map_or_else(|| Rank::Energy(value.as_f64().unwrap()), |rank| Rank::Fixed(rank as usize))
}

fn close(got: &[f64], expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let apart = got.iter().zip(expected).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= 1e-9 * scale, "{what}: {apart} of {scale}");
}

fn answers(net: &dyn Module, x: &Tensor) -> Vec<f64> {
    net.eval();
    no_grad(|| net.forward(x)).unwrap().to_f64().unwrap()
}

#[test]
fn layers_of_low_rank_are_numpys() {
    let device = Device::reference();
    for case in golden()["convolutions"].as_array().unwrap() {
        let options = Conv2dOptions::default().stride(pair(&case["stride"])).padding(pair(&case["padding"]));
        let options = options.dilation(pair(&case["dilation"]));
        let conv = Conv2d::new(&Scope::new(&device).at("conv"), 6, 8, [3, 5], &options).unwrap();
        fill(&conv, &device);
        let scheme = if case["scheme"] == "spatial" { Scheme::Spatial } else { Scheme::Channel };
        let done = factorize(&conv, &LowRankOptions::default().rank(rank(&case["asked"])).scheme(scheme)).unwrap();
        assert_eq!(done[0].rank as u64, case["rank"].as_u64().unwrap());
        assert!((done[0].energy - case["energy"].as_f64().unwrap()).abs() < 1e-12);
        let output = no_grad(|| conv.forward(&tensor(&device, "image", &[2, 6, 9, 10]))).unwrap();
        assert_eq!(output.shape().to_vec(), list::<usize>(&case["shape"]));
        let some: Vec<f64> = output.to_f64().unwrap().into_iter().step_by(7).collect();
        close(&some, &list::<f64>(&case["output"]), &case.to_string()[..90]);
    }
    for case in golden()["linears"].as_array().unwrap() {
        let asked = case["rank"].as_u64().unwrap() as usize;
        let energy = case["energy"].as_f64().unwrap();
        let fc = Linear::new(&Scope::new(&device).at("fc"), 20, 12).unwrap();
        fill(&fc, &device);
        // Slightly less energy than this rank has.
        let rank = if asked == 4 { Rank::Fixed(4) } else { Rank::Energy(energy - 1e-9) };
        let done = factorize(&fc, &LowRankOptions::default().rank(rank)).unwrap();
        assert_eq!((done[0].layer.as_str(), done[0].rank, done[0].full_rank), ("", asked, 12));
        close(&answers(&fc, &tensor(&device, "row", &[3, 20])), &list::<f64>(&case["output"]), "linear");
    }
}

/// Sizes by hand, a file, training, and channels that are cut before and after.
#[test]
fn two_layers_stand_in_the_place_of_one() {
    let (device, folder) = (Device::reference(), tempfile::tempdir().unwrap());
    let path = folder.path().join("low.safetensors");
    let options = ModelOptions::default().classes(10).channels(1).size(28);
    let net = models::by_name("lenet5", &Scope::new(&device), &options).unwrap();
    fill(&net, &device);
    let x = tensor(&device, "image", &[2, 1, 28, 28]);
    let cut = |net: &dyn Module, amount: f64| {
        let channels = Channels::of(net, &[1, 1, 28, 28]).unwrap();
        let chosen = channels.choose(&ChannelOptions::default().amount(amount).except(["fc*".to_string()])).unwrap();
        channels.cut(&chosen).unwrap();
    };
    cut(&net, 0.5);
    // 3 filters of 5 x 5, then 8: in all ranks but that of the last layer, two layers are smaller.
    let done = factorize(&net, &LowRankOptions::default().rank(Rank::Share(0.25))).unwrap();
    let ranks: Vec<(&str, usize)> = done.iter().map(|done| (done.layer.as_str(), done.rank)).collect();
    assert_eq!(ranks, [("conv1", 1), ("conv2", 4), ("fc1", 30), ("fc2", 21), ("fc3", 3)]);
    let summary = net.summary(&[1, 1, 28, 28]).unwrap();
    let first = (5 + 3 * 5, 3 + 4 * (3 * 5 + 8 * 5));
    let numbers = first.0 + first.1 + 8 + 30 * (200 + 120) + 120 + 21 * (120 + 84) + 84 + 3 * (84 + 10) + 10;
    assert_eq!(summary.trained_parameters, numbers);
    let adds = 784 * 20 + (10 * 14 * 4 * 15 + 100 * 8 * 20) + 30 * 320 + 21 * 204 + 3 * 94;
    assert_eq!(summary.multiply_adds, adds);
    net.check_reaches_all().unwrap();
    let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).take(3).collect();
    assert_eq!(names, ["conv1.0.weight", "conv1.1.weight", "conv1.bias"]);

    let about = SaveOptions::default().metadata(Metadata::new("lenet5", options.clone()));
    weights::save(&path, &net, &about).unwrap();
    let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).map(f64::from).collect::<Vec<f64>>();
    let (again, _) = weights::open(&path, &device).unwrap();
    let apart =
        |one: Vec<f64>, other: Vec<f64>| one.iter().zip(&other).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    // The file holds single precision.
    assert!(apart(single(answers(&again, &x)), single(answers(&net, &x))) < 1e-5);
    cut(&again, 0.5);
    factorize(&again, &LowRankOptions::default().rank(Rank::Fixed(5)).only(["fc1.0.*".to_string()])).unwrap();
    weights::save(&path, &again, &about).unwrap();
    let third = models::by_name("lenet5", &Scope::new(&device), &options).unwrap();
    weights::load(&path, &third, &LoadOptions::default()).unwrap();
    assert!(apart(answers(&third, &x), answers(&again, &x)) < 1e-5);

    let loss = || third.forward(&x).unwrap().square().unwrap().mean_all().unwrap();
    let before = loss().item::<f32>().unwrap();
    let mut sgd = Sgd::new(&third, SgdOptions::default().lr(0.01)).unwrap();
    for _ in 0..3 {
        sgd.zero_grad();
        loss().backward().unwrap();
        sgd.step().unwrap();
    }
    assert!(loss().item::<f32>().unwrap() < before);
}

#[test]
fn all_of_the_energy_is_the_layer_itself() {
    let device = Device::reference();
    let net = CifarResNet::new(&Scope::new(&device), &CifarResNetOptions::resnet20().depth(8)).unwrap();
    fill(&net, &device);
    let x = tensor(&device, "image", &[1, 3, 8, 8]);
    let before = answers(&net, &x);
    // The first filters have 27 numbers each for 16 channels; no rank of them saves anything.
    let done = factorize(&net, &LowRankOptions::default().rank(Rank::Energy(1.0))).unwrap();
    assert!(done.iter().all(|done| done.rank < done.full_rank && done.energy > 1.0 - 1e-12), "{done:?}");
    let all = |scheme: Scheme, share: f64| {
        let options = LowRankOptions::default().scheme(scheme).rank(Rank::Share(share));
        factorize(&net, &options).unwrap().len()
    };
    assert!(all(Scheme::Channel, 0.4) > 5);
    assert!(answers(&net, &x).iter().zip(&before).any(|(a, b)| (a - b).abs() > 1e-6));
}

#[test]
fn what_has_no_lower_rank_stays() {
    let device = Device::reference();
    let net = LeNet5::new(&Scope::new(&device)).unwrap();
    let refused = |rank: Rank| factorize(&net, &LowRankOptions::default().rank(rank)).unwrap_err();
    for rank in [Rank::Energy(1.5), Rank::Share(-0.1), Rank::Fixed(0), Rank::Energy(f64::NAN)] {
        assert!(matches!(refused(rank), Error::Invalid { .. }));
    }
    let grouped = Conv2dOptions::default().groups(2);
    let net = Sequential::new(&Scope::new(&device)).make(|s| Conv2d::new(s, 8, 8, 3, &grouped)).unwrap();
    let net = net.make(|s| Linear::new(s, 2, 2)).unwrap();
    assert!(factorize(&net, &LowRankOptions::default().rank(Rank::Fixed(1))).unwrap().is_empty());
    // A weight that occurs twice.
    let s = Scope::new(&device);
    let first = Linear::new(&s.at("first"), 6, 6).unwrap();
    let second = Linear { weight: first.weight.clone(), ..Linear::new(&s.at("second"), 6, 6).unwrap() };
    let tied = Sequential::new(&s).push(first).push(second);
    assert!(factorize(&tied, &LowRankOptions::default().rank(Rank::Fixed(1))).unwrap().is_empty());
}
