//! Weights that go to PyTorch and come back (`weights_pytorch.py`). They need a Python with PyTorch, which `PYTHON` names, and
//! belong to `make test-long`.

use crate::common::python::{ask, is_long};
use flate2::Crc;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::weights::{self, LoadOptions, Reader, SaveOptions};
use wgrad::{DType, Device, Tensor};

fn values(model: &dyn Module) -> Vec<Vec<f64>> {
    model.parameters().iter().map(|p| p.value().to_f64().unwrap()).collect()
}

#[test]
fn pytorch_loads_what_was_saved_and_saves_what_is_loaded() {
    if !is_long() {
        return;
    }
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    let build = || {
        let options = ModelOptions::default().classes(5).size(32).set("large_stem", 1.0);
        models::by_name("resnet18", &Scope::new(&device), &options).unwrap()
    };
    let model = build();
    // Statistics that are not those of a new network.
    for parameter in model.parameters().iter().filter(|p| p.is_buffer() && p.value().dtype() == DType::F32) {
        parameter.assign(&Tensor::uniform(&device, parameter.value().shape(), 0.5, 1.5).unwrap()).unwrap();
    }
    weights::save(file("resnet18.safetensors"), &model, &SaveOptions::default()).unwrap();
    weights::save(file("resnet18.npz"), &model, &SaveOptions::default()).unwrap();
    weights::save(file("resnet18_f16.safetensors"), &model, &SaveOptions::default().dtype(DType::F16)).unwrap();
    let Some(text) = ask("data/weights_pytorch.py", &[folder.path().as_os_str()]) else { return };
    let answer: Value = serde_json::from_str(&text).unwrap();
    let expected: Vec<f64> = serde_json::from_value(answer["logits"].clone()).unwrap();
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let images: Vec<f64> = (0..2 * 3 * 32 * 32).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let images = Tensor::from_f64(&device, &images, &[2, 3, 32, 32]).unwrap();
    let load = |name: &str, prefix: &str| {
        let model = build();
        let report = weights::load(file(name), &model, &LoadOptions::default()).unwrap();
        assert_eq!(report.prefix, prefix);
        model
    };
    let saved = load("resnet18.safetensors", "");
    saved.eval();
    let logits = saved.forward(&images).unwrap().to_f64().unwrap();
    for (logit, expected) in logits.iter().zip(&expected) {
        assert!((logit - expected).abs() <= 1e-9 * largest, "{logits:?}, not {expected:?}");
    }
    for (name, prefix) in [("zip.pth", ""), ("older.pth", "model.module."), ("resnet18.npz", "")] {
        assert!(values(&load(name, prefix)) == values(&saved), "{name}");
    }
    compare(&file("zip.pth"), &answer["state"]);
}

/// Every tensor of a file, by shape, type and the checksum that PyTorch's bytes have.
pub fn compare(path: &Path, state: &Value) {
    let device = Device::reference();
    let mut reader = Reader::open(path).unwrap();
    let state = state.as_object().unwrap();
    let names: Vec<String> = reader.entries().iter().map(|entry| entry.name().to_string()).collect();
    assert!(names.len() == state.len() && !names.is_empty(), "{}: {names:?}", path.display());
    for name in names {
        let (tensor, expected) = (reader.read(&name, &device).unwrap(), &state[&name]);
        let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
        assert_eq!(tensor.shape()[..], shape[..], "{}: {name}", path.display());
        let values = tensor.to_f64().unwrap();
        let bytes: Vec<u8> = match expected["dtype"].as_str().unwrap() {
            "float32" => values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
            "float64" => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            "int64" => values.iter().flat_map(|&v| (v as i64).to_le_bytes()).collect(),
            other => panic!("{}: {name} is {other}", path.display()),
        };
        let mut checksum = Crc::new();
        checksum.update(&bytes);
        assert_eq!(Some(u64::from(checksum.sum())), expected["crc"].as_u64(), "{}: {name}", path.display());
    }
}
