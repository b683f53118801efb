//! Callbacks that log a run, called at its moments by hand.

use std::path::Path;
use wgrad::logs::{CsvLog, CsvLogger, JsonLinesLog, JsonLinesLogger, Record};
use wgrad::nn::{Linear, Scope};
use wgrad::optim::{Sgd, SgdOptions};
use wgrad::train::{Callback, Phase, Requests, Run};
use wgrad::{Device, Error, Tensor};

/// Numbers that live as long as any view of a run.
fn scalars(list: &[(&str, f64)]) -> &'static [(String, f64)] {
    list.iter().map(|&(name, value)| (name.to_string(), value)).collect::<Vec<_>>().leak()
}

/// Epochs of two steps, with a validation after each step; the first moment is at `from`, and the last after `to` steps.
fn run(callback: &mut dyn Callback, folder: Option<&Path>, from: u64, to: u64) -> Result<(), Error> {
    let device = Device::reference();
    let model = Linear::new(&Scope::new(&device), 4, 2).unwrap();
    model.weight.set_grad(Some(Tensor::ones(&device, &[2, 4]).unwrap())).unwrap();
    let mut sgd = Sgd::new(&model, SgdOptions::default()).unwrap();
    let mut requests = Requests::default();
    let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
    (run.folder, run.epochs, run.batches, run.step) = (folder, 3, 2, from);
    callback.on_fit_start(&mut run)?;
    for step in from + 1..=to {
        let value = |value: f64| value + from as f64;
        (run.epoch, run.batch) = ((step - 1) / 2, (step as usize - 1) % 2);
        callback.on_gradients(&mut run)?;
        (run.step, run.epoch, run.batch) = (step, (step - 1) / 2, (step as usize - 1) % 2 + 1);
        // The loss is not read after every step.
        let read = scalars(&[("train/loss", value(step as f64)), ("lr", 0.5)]);
        (run.scalars, run.phase) = (if step % 2 == 1 { read } else { &[] }, Phase::Train);
        callback.on_step_end(&mut run)?;
        let loss = ("val/loss", value(100.0 + step as f64));
        (run.scalars, run.phase) = (scalars(&[loss]), Phase::Validation);
        callback.on_validation_end(&mut run)?;
        if run.batch == run.batches {
            (run.scalars, run.phase) = (scalars(&[("train/loss", 0.25), loss]), Phase::Train);
            callback.on_epoch_end(&mut run)?;
        }
    }
    callback.on_fit_end(&mut run)
}

fn row(epoch: u64, step: u64, scalars: &[(&str, f64)]) -> Record {
    Record { epoch, step, scalars: scalars.iter().map(|&(name, value)| (name.to_string(), value)).collect() }
}

#[test]
fn a_table_has_epochs_and_the_validations_within() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut CsvLogger::new(), Some(folder.path()), 0, 4).unwrap();
    run(&mut CsvLogger::new(), Some(folder.path()), 3, 6).unwrap();
    let rows = CsvLog::read(&folder.path().join("metrics.csv")).unwrap();
    let expected = [
        row(0, 1, &[("val/loss", 101.0)]),
        row(1, 2, &[("val/loss", 102.0), ("train/loss", 0.25)]),
        row(1, 3, &[("val/loss", 103.0)]),
        row(2, 4, &[("val/loss", 107.0), ("train/loss", 0.25)]),
        row(2, 5, &[("val/loss", 108.0)]),
        row(3, 6, &[("val/loss", 109.0), ("train/loss", 0.25)]),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn json_lines_have_the_steps_that_were_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.jsonl");
    run(&mut JsonLinesLogger::new().path(&path), None, 0, 3).unwrap();
    let rows = JsonLinesLog::read(&path).unwrap();
    let expected = [
        row(0, 1, &[("step/loss", 1.0), ("step/lr", 0.5)]),
        row(0, 1, &[("val/loss", 101.0)]),
        row(1, 2, &[("train/loss", 0.25), ("val/loss", 102.0)]),
        row(1, 3, &[("step/loss", 3.0), ("step/lr", 0.5)]),
        row(1, 3, &[("val/loss", 103.0)]),
    ];
    assert_eq!(rows, expected);
    run(&mut JsonLinesLogger::new().path(&path).steps(false), None, 0, 1).unwrap();
    assert_eq!(JsonLinesLog::read(&path).unwrap(), expected[1..2], "a run that begins anew begins a log");
}

#[test]
fn a_run_without_a_folder_says_what_it_lacks() {
    let error = run(&mut CsvLogger::new(), None, 0, 1).unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "metrics.csv", .. }), "{error}");
}

#[cfg(feature = "progress")]
#[test]
fn lines_tell_the_state_of_a_run() {
    let mut text = Vec::new();
    let mut progress = wgrad::logs::Progress::lines(&mut text).every(std::time::Duration::ZERO);
    run(&mut progress, None, 0, 4).unwrap();
    drop(progress);
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("epoch 1/3, batch 1/2: loss 1, "), "{text}");
    assert!(lines[1].starts_with("epoch 1/3, batch 2/2: loss 1, ") && lines[1].ends_with(" left"), "{text}");
    assert!(lines[2].starts_with("epoch 1/3: train/loss 0.25, val/loss 102, "), "{text}");
    assert_eq!(lines.len(), 6, "{text}");
}

#[cfg(feature = "tensorboard")]
#[test]
fn event_files_have_numbers_notes_and_histograms() {
    use wgrad::logs::tensorboard::{HyperParameter, TensorBoardLogger, Value, read};
    let folder = tempfile::tempdir().unwrap();
    let mut logger = TensorBoardLogger::new().hparams(vec![("depth".to_string(), HyperParameter::Number(18.0))]);
    run(&mut logger, Some(folder.path()), 0, 2).unwrap();
    drop(logger);
    let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let entries = read(&path).unwrap();
    let scalars: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry.value {
            Value::Scalar(value) => Some((entry.step, entry.tag.as_str(), value)),
            _ => None,
        })
        .collect();
    assert_eq!(
        scalars,
        [
            (1, "step/loss", 1.0),
            (1, "step/lr", 0.5),
            (1, "val/loss", 101.0),
            (2, "train/loss", 0.25),
            (2, "val/loss", 102.0),
            // With the hyperparameters, at the end.
            (2, "train/loss", 0.25),
            (2, "val/loss", 102.0),
        ]
    );
    let bins: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.value {
            Value::Histogram(bins) => {
                Some((entry.step, entry.tag.as_str(), bins.len(), bins.iter().map(|bin| bin[2]).sum::<f64>()))
            }
            _ => None,
        })
        .collect();
    // The bias has no gradient.
    let expected =
        [(1, "gradients/weight", 30, 8.0), (2, "parameters/weight", 30, 8.0), (2, "parameters/bias", 30, 2.0)];
    assert_eq!(bins, expected);
}
