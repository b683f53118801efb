//! Distillation, compared with PyTorch's formulas (`tests/golden/distillation.py`), and as a task of runs.

use crate::common::adapter;
use crate::common::from_names::{fill, gradients, numbers, worst};
use crate::nets::TwoConvolutions;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use wgrad::compress::distillation::*;
use wgrad::data::{Array, Batch, Images};
use wgrad::nn::{BatchNorm2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Sgd, SgdOptions};
use wgrad::train::{Checkpoints, ImageLoader, Loader, Supervised, Task, Trainer, TrainerOptions, evaluate};
use wgrad::{Conv2dOptions, Device, Error, Result, Tensor};

/// A network of some width.
fn net(device: &Device, width: usize) -> TwoConvolutions {
    let plain = Conv2dOptions::default();
    TwoConvolutions::with(device, [(width, plain), (width + 1, plain)], (width + 1) * 6)
}

fn golden(name: &str) -> Value {
    let golden: Value = serde_json::from_str(include_str!("../golden/distillation.json")).unwrap();
    golden[name].clone()
}

fn named(device: &Device, name: &str, shape: &[usize], scale: f64) -> Tensor {
    let values: Vec<f64> = numbers(name, shape.iter().product()).map(|unit| scale * unit).collect();
    Tensor::from_f64(device, &values, shape).unwrap()
}

/// A loss and its gradient are the golden ones; the teacher gets none.
fn check(name: &str, student: &Tensor, teacher: &Tensor, loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) {
    let (student, teacher) = (student.requires_grad(), teacher.requires_grad());
    let value = loss(&student, &teacher).unwrap();
    value.backward().unwrap();
    let mut got = value.to_f64().unwrap();
    got.extend(student.grad().unwrap().to_f64().unwrap());
    let expected: Vec<f64> = serde_json::from_value(golden(name)).unwrap();
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(got.len() == expected.len() && apart < 1e-12 * largest, "{name}: {apart:.1e}");
    assert!(teacher.grad().is_none());
}

#[test]
fn losses_are_those_of_pytorch() {
    let device = Device::reference();
    let logits = |name: &str| named(&device, name, &[5, 4], 3.0);
    check("soft", &logits("student"), &logits("teacher"), |student, teacher| soft_target_loss(student, teacher, 2.5));
    let maps = |name: &str, channels: usize| named(&device, name, &[2, channels, 4, 3], 1.0);
    check("attention", &maps("student maps", 3), &maps("teacher maps", 5), attention_loss);
}

/// All parts of a step together: the labels, the teacher's answers, attention and a hint through a regressor.
#[test]
fn a_step_of_distillation_is_that_of_pytorch() {
    for (device, bound) in [Some((Device::reference(), 1e-9)), adapter().map(|it| (it, 1e-4))].into_iter().flatten() {
        let (teacher, student) = (Arc::new(net(&device, 7)), net(&device, 3));
        let regressor = regressor(&Scope::new(&device).at("regressor"), &[6, 3, 4, 5], &[6, 8, 2, 3]).unwrap();
        fill(&*regressor, &device);
        let options = DistillationOptions::default().temperature(3.0).soft(0.7).hard(0.3);
        let task = Distillation::new(Supervised::classification(), teacher.clone(), &options)
            .unwrap()
            .attention("conv2", "conv2", 50.0)
            .hint(regressor, "conv1", "conv2", 2.0);
        let labels = Tensor::from_slice(&device, &[0, 1, 2, 3, 1, 0], &[6]).unwrap();
        let batch = Batch { images: named(&device, "batch", &[6, 2, 6, 7], 1.0), labels };
        let outcome = task.forward(&student, &batch).unwrap();
        outcome.loss.backward().unwrap();
        let expected = golden("loss")[0].as_f64().unwrap();
        let loss = outcome.loss.to_f64().unwrap()[0];
        assert!((loss / expected - 1.0).abs() < bound, "{loss}, expected {expected}");
        let mut all: BTreeMap<String, Tensor> = gradients(&student).collect();
        all.extend(task.parameters().into_iter().map(|p| (p.name().to_string(), p.grad().unwrap())));
        let golden: Vec<[f64; 2]> = serde_json::from_value(golden("gradients")).unwrap();
        assert_eq!(all.len(), golden.len());
        let (apart, name) = worst(&all, &golden);
        assert!(apart < bound, "{name}: {apart:.1e}");
        assert!(teacher.parameters().iter().all(|parameter| parameter.grad().is_none()));
    }
}

/// Images of two classes, which differ in brightness.
fn images() -> Images {
    let pixels = (0..40 * 12).map(|at| ((at * 37) % 90 + if at / 12 % 2 == 0 { 0 } else { 100 }) as u8).collect();
    let labels = (0..40).map(|item| item % 2).collect();
    Images::new(Array::new(vec![40, 3, 4], pixels).unwrap(), labels, vec!["a".into(), "b".into()]).unwrap()
}

fn network(device: &Device, width: usize) -> Sequential {
    Sequential::new(&Scope::new(device))
        .push(Flatten)
        .make(|s| Linear::new(s, 12, width))
        .unwrap()
        .push(Relu)
        .make(|s| Linear::new(s, width, 2))
        .unwrap()
}

/// Only the teacher teaches: labels have no weight. It stays in evaluation, and its running statistics don't move.
#[test]
fn a_student_learns_from_answers_alone() {
    let device = Device::reference();
    device.manual_seed(5);
    let images = images();
    let train = ImageLoader::shuffled(&images, &device, 10, 0).unwrap();
    let teacher = Arc::new(
        Sequential::new(&Scope::new(&device))
            .make(|s| BatchNorm2d::new(s, 1, &Default::default()))
            .unwrap()
            .push(Flatten)
            .make(|s| Linear::new(s, 12, 2))
            .unwrap(),
    );
    let mut adam = Adam::new(&*teacher, AdamOptions::default().lr(0.05)).unwrap();
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(5)).unwrap();
    trainer.fit(&*teacher, &mut adam, &mut Supervised::classification(), &train, None).unwrap();
    let values = |net: &dyn Module| -> Vec<Vec<f64>> {
        net.parameters().iter().map(|parameter| parameter.value().to_f64().unwrap()).collect()
    };
    let before = values(&*teacher);
    teacher.train(true);
    let options = DistillationOptions::default().temperature(2.0).soft(1.0).hard(0.0);
    let mut task = Distillation::new(Supervised::classification(), teacher.clone(), &options).unwrap();
    let student = network(&device, 3);
    let mut adam = Adam::new(&student, AdamOptions::default().lr(0.05)).unwrap();
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(12)).unwrap();
    let fit = trainer.fit(&student, &mut adam, &mut task, &train, Some(&train)).unwrap();
    assert_eq!(values(&*teacher), before);
    // An evaluation is that of the labels.
    let plain = evaluate(&student, &mut Supervised::classification(), &train).unwrap();
    assert!((fit.scalar("val/loss").unwrap() - plain.scalar("loss").unwrap()).abs() < 1e-12);
    assert!(plain.scalar("loss").unwrap() < 0.3, "{plain:?}");
    let batch = train.resume(0, 0).unwrap().next().unwrap().unwrap();
    let answers = |net: &dyn Module| net.forward(&batch.images).unwrap().softmax(1).unwrap();
    let apart = answers(&student).sub(&answers(&*teacher)).unwrap().abs().unwrap().amax_all().unwrap();
    assert!(apart.to_f64().unwrap()[0] < 0.1, "{apart:?}");
}

/// A run that was interrupted goes on with the same regressor, bit for bit.
#[test]
fn regressors_are_a_part_of_checkpoints() {
    let images = images();
    let run = |folder: &std::path::Path, epochs: u64, resume: bool| {
        let device = Device::reference();
        device.manual_seed(9);
        let (teacher, student) = (network(&device, 6), network(&device, 2));
        let regressor = regressor(&Scope::new(&device).at("regressor"), &[1, 2], &[1, 6]).unwrap();
        let mut task = Distillation::new(Supervised::classification(), teacher, &DistillationOptions::default())
            .unwrap()
            .hint(regressor, "1", "1", 1.0);
        let trained: Vec<_> = student.parameters().into_iter().chain(task.parameters()).collect();
        let mut sgd = Sgd::new(trained, SgdOptions::default().lr(0.1).momentum(0.9)).unwrap();
        let train = ImageLoader::shuffled(&images, &device, 10, 0).unwrap();
        let options = TrainerOptions::default().epochs(epochs).folder(folder);
        let mut trainer = Trainer::new(&device, options).unwrap().callback(Checkpoints::default());
        if resume {
            trainer.resume(&folder.join("last.safetensors"), &student, &mut sgd, &mut task).unwrap();
        }
        trainer.fit(&student, &mut sgd, &mut task, &train, None).unwrap();
        let all: Vec<_> = student.parameters().into_iter().chain(task.parameters()).collect();
        all.iter().map(|parameter| parameter.value().to_f64().unwrap()).collect::<Vec<_>>()
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let whole = run(folders[0].path(), 4, false);
    let half = run(folders[1].path(), 2, false);
    assert_ne!(whole, half);
    assert_eq!(run(folders[1].path(), 4, true), whole);
}

#[test]
fn wrong_distillations_are_errors() {
    let device = Device::reference();
    let tensor = |shape: &[usize]| Tensor::zeros(&device, shape).unwrap();
    let new = |options: &DistillationOptions| Distillation::new(Supervised::classification(), net(&device, 4), options);
    let plain = DistillationOptions::default();
    let batch = Batch { images: tensor(&[2, 2, 6, 7]), labels: Tensor::from_slice(&device, &[0, 1], &[2]).unwrap() };
    let student = net(&device, 3);
    let step = |task: Distillation| task.forward(&student, &batch).map(|_| ()).unwrap_err();
    let scope = Scope::new(&device);
    let linear = Linear::new(&scope.at("other"), 5, 4).unwrap();
    for (error, words) in [
        (soft_target_loss(&tensor(&[2, 3]), &tensor(&[2, 4]), 1.0).unwrap_err(), "[2, 4] of the teacher"),
        (soft_target_loss(&tensor(&[2, 3]), &tensor(&[2, 3]), 0.0).unwrap_err(), "temperature of 0"),
        (attention_loss(&tensor(&[1, 2, 4, 4]), &tensor(&[1, 2, 5, 4])).unwrap_err(), "differ in C alone"),
        (regressor(&scope, &[1, 2, 4, 4], &[1, 2, 5, 4]).map(|_| ()).unwrap_err(), "[1, 2, 5, 4] of the teacher"),
        (hint_loss(&linear, &tensor(&[2, 5]), &tensor(&[2, 3])).unwrap_err(), "the teacher's output is [2, 3]"),
        (new(&plain.temperature(-1.0)).map(|_| ()).unwrap_err(), "temperature of -1"),
        (new(&plain.hard(f64::NAN)).map(|_| ()).unwrap_err(), "expected one above 0"),
        (step(new(&plain.soft(0.0).hard(0.0)).unwrap()), "no layers are compared"),
        (step(new(&plain).unwrap().attention("conv9", "conv1", 1.0)), "runs no layer \"conv9\""),
        (step(new(&plain).unwrap().attention("conv1", "conv9", 1.0)), "no layer \"conv9\" runs"),
    ] {
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(words), "{error}");
    }
}
