//! Files of runs that were changed at random: checkpoints, networks, event files, rows of numbers.

use crate::fuzz::fuzz;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wgrad::logs::{CsvLog, JsonLinesLog, Record};
use wgrad::models::ModelOptions;
use wgrad::nn::{Linear, Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::train::{self, Position, State};
use wgrad::weights::{self, Metadata, SaveOptions};
use wgrad::{Device, Error, Result, Tensor};

const ALLOWED: usize = 1 << 20;

/// A model after a step, so that its optimizer has a state.
fn trained(device: &Device) -> Result<(Linear, Adam)> {
    let model = Linear::new(&Scope::new(device), 4, 2)?;
    let mut adam = Adam::new(&model, AdamOptions::default())?;
    model.forward(&Tensor::ones(device, &[3, 4])?)?.sum_all()?.backward()?;
    adam.step()?;
    Ok((model, adam))
}

#[test]
fn checkpoints() {
    let root = TempDir::new().unwrap();
    let device = Device::reference();
    let (model, adam) = trained(&device).unwrap();
    let path = root.path().join("a.safetensors");
    let at = Position { epoch: 1, batch: 2, seed: 3 };
    train::save(&path, &device, &model, &[("optimizer", &adam)], &at).unwrap();
    fuzz(root.path(), "a.safetensors", vec![fs::read(&path).unwrap()], ALLOWED, |folder| {
        let (model, mut adam) = trained(&device)?;
        let mut parts: [(&str, &mut dyn State); 1] = [("optimizer", &mut adam)];
        train::load(&folder.join("a.safetensors"), &device, &model, &mut parts).map(drop)
    });
}

/// The metadata describes the network to build, and may be wrong: its weights are in no such file.
#[test]
fn networks_of_files() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("a.safetensors");
    let device = Device::reference();
    let model = Linear::new(&Scope::new(&device), 4, 2).unwrap();
    let saved = SaveOptions::default().metadata(Metadata::new("lenet5", ModelOptions::default().classes(10)));
    weights::save(&path, &model, &saved).unwrap();
    fuzz(root.path(), "a.safetensors", vec![fs::read(&path).unwrap()], 8 * ALLOWED, |folder| {
        match weights::open(folder.join("a.safetensors"), &device) {
            Err(Error::UnfitWeights { .. }) => Ok(()),
            result => result.map(drop),
        }
    });
}

#[test]
fn rows() {
    let root = TempDir::new().unwrap();
    let record = |step: u64| Record {
        epoch: 1,
        step,
        scalars: vec![("loss".into(), 0.5), ("accuracy, \"top\"".into(), f64::NAN)],
    };
    let (csv, json) = (root.path().join("a.csv"), root.path().join("a.jsonl"));
    let (mut rows, mut lines) = (CsvLog::create(&csv).unwrap(), JsonLinesLog::create(&json).unwrap());
    for step in 0..3 {
        rows.write(&record(step)).unwrap();
        lines.write(&record(step)).unwrap();
    }
    fuzz(root.path(), "a.csv", vec![fs::read(&csv).unwrap()], ALLOWED, |folder| {
        CsvLog::read(&folder.join("a.csv"))?;
        CsvLog::resume(&folder.join("a.csv"), 1).map(|_| ())
    });
    fuzz(root.path(), "a.jsonl", vec![fs::read(&json).unwrap()], ALLOWED, |folder| {
        JsonLinesLog::read(&folder.join("a.jsonl"))?;
        JsonLinesLog::resume(&folder.join("a.jsonl"), 1).map(|_| ())
    });
}

#[cfg(feature = "tensorboard")]
#[test]
fn events() {
    let root = TempDir::new().unwrap();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events.tfevents");
    fuzz(root.path(), "a.tfevents", vec![fs::read(good).unwrap()], ALLOWED, |folder| {
        wgrad::logs::tensorboard::read(&folder.join("a.tfevents")).map(|_| ())
    });
}
