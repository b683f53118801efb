//! Training under attack, step by step as in the papers' own code in PyTorch (`tests/golden/robust_training.py`).

use super::{Net, normalization};
use crate::common::from_names::{digest, numbers};
use serde_json::{Value, json};
use std::path::Path;
use wgrad::data::{Array, Batch, Images};
use wgrad::nn::Module;
use wgrad::optim::{Sgd, SgdOptions};
use wgrad::robust::*;
use wgrad::train::{Checkpoints, Fit, ImageLoader, Loader, Outcome, Supervised, Task, Trainer, TrainerOptions};
use wgrad::{CrossEntropyOptions, Device, Error, Tensor, no_grad};

const BATCH: usize = 3;
const CLOSE: f64 = 1e-9;

fn images() -> Images {
    let bytes: Vec<u8> =
        numbers("bytes", 6 * 2 * 7 * 6).map(|unit| (127.5 + 120.0 * unit).round_ties_even() as u8).collect();
    let classes = ["a", "b", "c", "d"].map(String::from).to_vec();
    let images = Images::new(Array::new(vec![6, 2, 7, 6], bytes).unwrap(), vec![0, 3, 1, 2, 2, 0], classes);
    images.unwrap().with_normalization(&normalization()).unwrap()
}

fn golden(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../../golden/robust_training.json")).unwrap();
    all[name].clone()
}

fn list(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn close(what: &str, got: &[f64], expected: &[f64]) {
    let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= CLOSE * scale, "{what}: {got} {expected}");
    }
}

fn fit(
    device: &Device,
    net: &Net,
    task: &mut impl Task<Batch = Batch>,
    train: &dyn Loader<Batch = Batch>,
    epochs: u64,
) -> Fit {
    let mut sgd = Sgd::new(net, SgdOptions::default().lr(0.125).momentum(0.875)).unwrap();
    let options = TrainerOptions::default().epochs(epochs);
    Trainer::new(device, options).unwrap().fit(net, &mut sgd, task, train, None).unwrap()
}

fn check_weights(net: &Net, golden: &Value) {
    for (name, parameter) in net.named_parameters() {
        close(&name, &digest(&name, &parameter.value()), &list(&golden["weights"][&name]));
    }
}

fn smoothed() -> Supervised {
    let smooth = CrossEntropyOptions::default().label_smoothing(0.1);
    Supervised::classification().loss(move |outputs, labels| outputs.cross_entropy(labels, &smooth))
}

/// An attack whose bound grows, as in the golden run.
fn growing() -> Adversarial {
    Adversarial::scheduled(|step| Pgd::bim(0.02 * (step + 1) as f64, 0.015, 3))
}

#[test]
fn adversarial_training_takes_the_steps_of_madry() {
    let (device, set, golden) = (Device::reference(), images(), golden("madry"));
    let net = Net::new(&device);
    let train = ImageLoader::in_order(&set, &device, BATCH).unwrap();
    let mut task = RobustTraining::new(smoothed(), growing()).normalization(set.normalization());
    let fit = fit(&device, &net, &mut task, &train, 2);
    let losses = list(&golden["losses"]);
    // The mean loss of an epoch is added up in f32.
    let mean = f64::midpoint(losses[2], losses[3]);
    assert!((fit.scalar("train/loss").unwrap() - mean).abs() < 1e-6 * mean);
    check_weights(&net, &golden);
}

#[test]
fn free_training_takes_the_steps_of_shafahi() {
    let (device, set, golden) = (Device::reference(), images(), golden("free"));
    let net = Net::new(&device);
    let train = ImageLoader::in_order(&set, &device, BATCH).unwrap().replayed(3);
    let free = Free::new(&device, [BATCH, 2, 7, 6], &FreeOptions::default().eps(0.05).step(0.03)).unwrap();
    let change = free.clone();
    let mut task = RobustTraining::new(Supervised::classification(), free).normalization(set.normalization());
    fit(&device, &net, &mut task, &train, 2);
    check_weights(&net, &golden);
    close("change", &change.change().unwrap().to_f64().unwrap(), &list(&golden["change"]));
}

#[test]
fn trades_is_the_formula_of_zhang() {
    let (device, set, golden, normalization) = (Device::reference(), images(), golden("trades"), normalization());
    let net = Net::new(&device);
    let batch = ImageLoader::in_order(&set, &device, BATCH).unwrap().resume(0, 0).unwrap().next().unwrap().unwrap();
    let options = TradesOptions::default().beta(6.0).eps(0.05).step(0.02).steps(4);
    let (trades, classifier) = (Trades::new(&options), Classifier::new(&net).normalization(&normalization));
    let x = classifier.unnormalized(&batch.images).unwrap();
    let noise: Vec<f32> = numbers("start", x.numel()).map(|unit| unit as f32).collect();
    let noise = Tensor::from_slice(&device, &noise, x.shape()).unwrap().mul_scalar(0.01).unwrap();
    let near = trades.perturb_from(&classifier, &x, &x.add(&noise).unwrap()).unwrap();
    // The start is rounded to f32, which a step by a sign keeps.
    let apart = near.to_f64().unwrap().into_iter().zip(list(&golden["near"])).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-9);

    let logits = classifier.logits(&x).unwrap();
    let robust = Trades::divergence(&logits, &classifier.logits(&near).unwrap()).unwrap().mean_all().unwrap();
    let plain = logits.cross_entropy(&batch.labels, &CrossEntropyOptions::default()).unwrap();
    let loss = plain.add(&robust.mul_scalar(6.0).unwrap()).unwrap();
    let values = [&robust, &loss].map(|value| value.to_f64().unwrap()[0]);
    close("loss", &values, &[golden["robust"].as_f64().unwrap(), golden["loss"].as_f64().unwrap()]);
    loss.backward().unwrap();
    for (name, parameter) in net.named_parameters() {
        close(&name, &digest(&name, &parameter.grad().unwrap()), &list(&golden["gradients"][&name]));
    }

    // The task draws its start, and has the same formula.
    let mut task = RobustTraining::new(Supervised::classification(), trades).normalization(&normalization);
    device.manual_seed(3);
    let Outcome { loss, .. } = task.forward(&net, &batch).unwrap();
    device.manual_seed(3);
    let near = trades.perturb(&classifier, &x).unwrap();
    let apart = Trades::divergence(&logits, &classifier.logits(&near).unwrap()).unwrap().mean_all().unwrap();
    let by_hand = plain.to_f64().unwrap()[0] + 6.0 * apart.to_f64().unwrap()[0];
    close("loss of the task", &loss.to_f64().unwrap(), &[by_hand]);
    assert!(task.state().is_some());
}

#[test]
fn distillation_is_the_formula_of_papernot() {
    let (device, set, golden, normalization) = (Device::reference(), images(), golden("distillation"), normalization());
    let (teacher, student) = (Net::new(&device), Net::new(&device));
    for parameter in student.parameters() {
        parameter.assign(&parameter.value().mul_scalar(0.5).unwrap()).unwrap();
    }
    let batch = ImageLoader::in_order(&set, &device, BATCH).unwrap().resume(0, 0).unwrap().next().unwrap().unwrap();
    let task = RobustTraining::new(Supervised::classification(), Tempered { temperature: 20.0 });
    let first = task.normalization(&normalization).forward(&teacher, &batch).unwrap().loss;
    close("teacher", &first.to_f64().unwrap(), &list(&json!([golden["teacher"]])));
    let distillation = DefensiveDistillation::new(Classifier::new(&teacher).normalization(&normalization), 20.0);
    let task = RobustTraining::new(Supervised::classification(), distillation).normalization(&normalization);
    let Outcome { loss, outputs, .. } = task.forward(&student, &batch).unwrap();
    close("loss", &loss.to_f64().unwrap(), &list(&json!([golden["loss"]])));
    // Evaluated at temperature 1.
    assert_eq!(outputs.to_f64().unwrap(), student.forward(&batch.images).unwrap().to_f64().unwrap());
    loss.backward().unwrap();
    for (name, parameter) in student.named_parameters() {
        close(&name, &digest(&name, &parameter.grad().unwrap()), &list(&golden["gradients"][&name]));
    }
    assert!(teacher.parameters().iter().all(|parameter| parameter.grad().is_none()));
}

#[test]
fn evaluations_see_the_images_of_an_attack() {
    let (device, set, normalization) = (Device::reference(), images(), normalization());
    let net = Net::new(&device);
    let batch = ImageLoader::in_order(&set, &device, 6).unwrap().resume(0, 0).unwrap().next().unwrap().unwrap();
    let pgd = Pgd::bim(0.1, 0.03, 4);
    let task =
        || RobustTraining::new(Supervised::classification(), Adversarial::new(pgd)).normalization(&normalization);
    let outputs =
        |task: RobustTraining<Adversarial>| no_grad(|| task.forward(&net, &batch)).unwrap().outputs.to_f64().unwrap();
    assert_eq!(outputs(task()), net.forward(&batch.images).unwrap().to_f64().unwrap());
    let classifier = Classifier::new(&net).normalization(&normalization);
    let x = classifier.unnormalized(&batch.images).unwrap();
    let near = pgd.perturb(&classifier, &x, &Goal::untargeted(&batch.labels)).unwrap();
    close("attacked", &outputs(task().evaluated_under(pgd)), &classifier.logits(&near).unwrap().to_f64().unwrap());
}

/// The bound depends on the step, and the change of free training is state.
#[test]
fn interrupted_training_ends_in_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (device, set) = (Device::reference(), images());
    let free = || Free::new(&device, [BATCH, 2, 7, 6], &FreeOptions::default().eps(0.05).step(0.03)).unwrap();
    ends_in_the_same_bits(&device, &folder.path().join("grown.safetensors"), &set, growing);
    ends_in_the_same_bits(&device, &folder.path().join("free.safetensors"), &set, free);
}

fn ends_in_the_same_bits<D: Defence>(device: &Device, path: &Path, set: &Images, defence: impl Fn() -> D) {
    let run = |epochs: u64, resumed: bool| {
        let net = Net::new(device);
        let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.125).momentum(0.875)).unwrap();
        let train = ImageLoader::in_order(set, device, BATCH).unwrap().replayed(2);
        let mut task = RobustTraining::new(smoothed(), defence()).normalization(set.normalization());
        let options = TrainerOptions::default().epochs(epochs);
        let mut trainer = Trainer::new(device, options).unwrap().callback(Checkpoints::at(path));
        if resumed {
            trainer.resume(path, &net, &mut sgd, &mut task).unwrap();
        }
        trainer.fit(&net, &mut sgd, &mut task, &train, None).unwrap();
        let weights: Vec<f64> = net.parameters().iter().flat_map(|p| p.value().to_f64().unwrap()).collect();
        weights
    };
    let whole = run(2, false);
    run(1, false);
    // Checkpoints hold f32, of which the reference has more digits.
    close(&path.display().to_string(), &run(2, true), &whole);
}

#[test]
fn wrong_defences_are_errors() {
    let (device, set) = (Device::reference(), images());
    let net = Net::new(&device);
    let batch = ImageLoader::in_order(&set, &device, 6).unwrap().resume(0, 0).unwrap().next().unwrap().unwrap();
    let invalid = |words: &str, error: Error| {
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(words), "{error}");
    };
    let free = |eps: f64| Free::new(&device, [BATCH, 2, 7, 6], &FreeOptions::default().eps(eps));
    invalid("eps 0", free(0.0).err().unwrap());
    let task = RobustTraining::new(Supervised::classification(), free(0.1).unwrap());
    invalid("a batch [6, 2, 7, 6]", task.forward(&net, &batch).unwrap_err());
    let task = RobustTraining::new(Supervised::classification(), Tempered { temperature: 0.0 });
    invalid("a temperature of 0", task.forward(&net, &batch).unwrap_err());
    let trades = Trades::new(&TradesOptions::default().step(0.0));
    let task = RobustTraining::new(Supervised::classification(), trades);
    invalid("steps of 0", task.forward(&net, &batch).unwrap_err());
}
