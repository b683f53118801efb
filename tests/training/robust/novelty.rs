//! Temperatures and scores of novelty, compared with SciPy, PyTorch and scikit-learn (`tests/golden/novelty.py`).

use super::{Net, images, normalization};
use crate::common::adapter;
use crate::common::from_names::numbers;
use serde_json::Value;
use wgrad::metrics::{CalibrationError, CalibrationOptions, Metric, Task};
use wgrad::robust::*;
use wgrad::{Device, Error, Tensor};

fn golden(name: &str) -> Vec<f64> {
    let golden: Value = serde_json::from_str(include_str!("../../golden/novelty.json")).unwrap();
    match &golden[name] {
        Value::Array(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

#[test]
fn scores_are_those_of_the_papers() {
    let normalization = normalization();
    let devices = [Some((Device::reference(), 1e-9)), adapter().map(|device| (device, 1e-4))];
    for (device, bound) in devices.into_iter().flatten() {
        let model = Net::new(&device);
        let net = Classifier::new(&model).normalization(&normalization);
        for (name, score) in [
            ("max_softmax", NoveltyScore::MaxSoftmax),
            ("energy", NoveltyScore::Energy { temperature: 2.5 }),
            ("odin", NoveltyScore::Odin { temperature: 10.0, eps: 0.02 }),
        ] {
            let got = score.of(&net, &images(&device)).unwrap().to_f64().unwrap();
            for (got, expected) in got.iter().zip(golden(name)) {
                assert!((got - expected).abs() < bound * expected.abs(), "{name}: {got}, expected {expected}");
            }
        }
    }
}

/// With equal scores among them, and far from 0, where a sigmoid would make all of them 1.
#[test]
fn the_separation_is_that_of_scikit_learn() {
    let device = Device::reference();
    let scores = |name: &str, count: usize, scale: f64, shift: f64| {
        let values = numbers(name, count).map(|unit| ((scale * unit + shift) * 32.0).round_ties_even() / 32.0 + 20.0);
        Tensor::from_f64(&device, &values.collect::<Vec<_>>(), &[count]).unwrap()
    };
    let (inside, outside) = (scores("inside", 200, 1.0, 0.8), scores("outside", 150, 1.5, -0.2));
    let Separation { auroc, fpr_at_95_tpr } = Separation::of(&inside, &outside).unwrap();
    for (got, expected) in [auroc, fpr_at_95_tpr].iter().zip(golden("separation")) {
        assert!((got - expected).abs() < 1e-12, "{got}, expected {expected}");
    }
    let equal = Tensor::full(&device, &[3], 2.0f32).unwrap();
    assert_eq!(Separation::of(&equal, &equal).unwrap(), Separation { auroc: 0.5, fpr_at_95_tpr: 1.0 });
}

/// Logits, and labels that follow them with some errors.
fn doubtful(device: &Device, factor: f64) -> (Tensor, Tensor) {
    let logits: Vec<f64> = numbers("logits", 2000).map(|unit| f64::from((6.0 * unit) as f32)).collect();
    let doubt: Vec<f64> = numbers("doubt", 2000).map(|unit| 5.0 * unit).collect();
    let label = |row: usize| {
        let noisy = |at: usize| logits[5 * row + at] + doubt[5 * row + at];
        (0..5).max_by(|&a, &b| noisy(a).total_cmp(&noisy(b))).unwrap() as i32
    };
    let labels: Vec<i32> = (0..400).map(label).collect();
    let logits: Vec<f64> = logits.iter().map(|logit| logit * factor).collect();
    (Tensor::from_f64(device, &logits, &[400, 5]).unwrap(), Tensor::from_slice(device, &labels, &[400]).unwrap())
}

#[test]
fn temperatures_are_those_of_the_least_loss() {
    let device = Device::reference();
    for (name, factor) in [("temperature", 1.0), ("temperature_of_unsure", 0.03125)] {
        let (logits, labels) = doubtful(&device, factor);
        let scaling = TemperatureScaling::fit(&logits, &labels).unwrap();
        let expected = golden(name)[0];
        // The minimum is flat: SciPy finds it to the square root of f64's precision.
        assert!((scaling.temperature() / expected - 1.0).abs() < 1e-7, "{name}: {}", scaling.temperature());
        let error = |logits: &Tensor| {
            let mut error =
                CalibrationError::new(&device, Task::Multiclass(5), &CalibrationOptions::default()).unwrap();
            error.update(&logits.softmax(1).unwrap(), &labels).unwrap();
            error.error().unwrap()
        };
        let (before, after) = (error(&logits), error(&scaling.apply(&logits).unwrap()));
        assert!(after < 0.5 * before, "{name}: {before} before, {after} after");
    }
}

#[test]
fn wrong_scores_and_temperatures_are_errors() {
    let device = Device::reference();
    let model = Net::new(&device);
    let (net, x) = (Classifier::new(&model), images(&device));
    let logits =
        |values: &[f32], classes: usize| Tensor::from_slice(&device, values, &[values.len() / classes, classes]);
    let labels = |values: &[i32]| Tensor::from_slice(&device, values, &[values.len()]).unwrap();
    let fit =
        |values: &[f32], of: &[i32]| TemperatureScaling::fit(&logits(values, 2).unwrap(), &labels(of)).unwrap_err();
    let one = Tensor::ones(&device, &[1]).unwrap();
    for (error, words) in [
        (NoveltyScore::Energy { temperature: 0.0 }.of(&net, &x).unwrap_err(), "temperature of 0"),
        (NoveltyScore::Odin { temperature: 1.0, eps: -1.0 }.of(&net, &x).unwrap_err(), "eps of -1"),
        (Separation::of(&x, &one).unwrap_err(), "expected [N] and [M]"),
        (Separation::of(&one.narrow(0, 0, 0).unwrap(), &one).unwrap_err(), "0 scores from inside"),
        (TemperatureScaling::fit(&one, &labels(&[0])).unwrap_err(), "expected [N, C]"),
        (fit(&[1.0, 0.0], &[0, 1]), "labels [2]"),
        (fit(&[1.0, 0.0], &[2]), "label 2"),
        (fit(&[f32::NAN, 0.0], &[1]), "not finite"),
        (fit(&[1.0, 0.0, 0.0, 2.0], &[0, 1]), "every answer is right"),
        (fit(&[1.0, 0.0, 0.0, 2.0], &[1, 0]), "no better than chance"),
    ] {
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(words), "{error}");
    }
}
