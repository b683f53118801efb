//! Files of weights in every format that PyTorch, safetensors and NumPy write (`make_weights.py`).

use crate::allocations::peak;
use crate::common::adapter;
use crate::files::made;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;
use wgrad::data::{NpyArray, Npz};
use wgrad::models::ModelOptions;
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Linear, Module, Scope, Sequential};
use wgrad::weights::{self, LoadOptions, Reader, SaveOptions};
use wgrad::{DType, Device, Error};

fn file(name: &str) -> PathBuf {
    made("weights").join(name)
}

/// Element `i` of a tensor of floats, as the script computes it.
fn counted(i: usize) -> f64 {
    i as f64 / 4.0 - 2.0
}

/// The tensors that the script saved, in every file that can hold them.
fn state() -> BTreeMap<&'static str, (&'static str, Vec<usize>, Vec<f64>)> {
    let floats = |count: usize| (0..count).map(counted).collect::<Vec<f64>>();
    let integers: Vec<f64> = (-2..4).map(f64::from).collect();
    let of = |indices: Vec<usize>| indices.into_iter().map(counted).collect::<Vec<f64>>();
    BTreeMap::from([
        ("f64", ("F64", vec![2, 3], floats(6))),
        ("f32", ("F32", vec![2, 3], floats(6))),
        ("f16", ("F16", vec![2, 3], floats(6))),
        ("bf16", ("BF16", vec![2, 3], floats(6))),
        ("i64", ("I64", vec![2, 3], integers.clone())),
        ("i32", ("I32", vec![6], integers.clone())),
        ("i16", ("I16", vec![6], integers.clone())),
        ("i8", ("I8", vec![6], integers)),
        ("u8", ("U8", vec![6], (0..6).map(f64::from).collect())),
        ("truth", ("BOOL", vec![6], vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0])),
        ("scalar", ("F32", vec![], vec![0.25])),
        ("empty", ("F32", vec![0, 3], vec![])),
        ("whole", ("F32", vec![4, 6], floats(24))),
        ("part", ("F32", vec![3, 3], of(vec![6, 8, 10, 12, 14, 16, 18, 20, 22]))),
        ("transposed", ("F32", vec![6, 4], of((0..24).map(|i| i % 4 * 6 + i / 4).collect()))),
        ("expanded", ("F32", vec![3, 2], of(vec![0, 0, 1, 1, 2, 2]))),
        ("parameter", ("F32", vec![2], floats(2))),
    ])
}

#[test]
fn every_form_holds_the_same_tensors() {
    let device = Device::reference();
    for name in
        ["state.safetensors", "zip.pth", "older.pth", "protocol4.pth", "deflated.pth", "stored.npz", "deflated.npz"]
    {
        let mut reader = Reader::open(file(name)).unwrap();
        let entries: Vec<_> =
            reader.entries().iter().map(|e| (e.name().to_string(), e.dtype(), e.shape().to_vec())).collect();
        // NumPy has no bf16, and arrays of 8 and 16 bits aren't read.
        let left_out = if name.ends_with("npz") { 3 } else { 0 };
        let state = state();
        assert_eq!(entries.len(), state.len() - left_out, "{name}");
        for (entry, dtype, shape) in entries {
            let (expected_dtype, expected_shape, values) = &state[entry.as_str()];
            assert_eq!((dtype.as_str(), &shape), (*expected_dtype, expected_shape), "{name}: {entry}");
            let tensor = reader.read(&entry, &device).unwrap();
            assert_eq!(
                (&tensor.shape()[..], tensor.to_f64().unwrap()),
                (&shape[..], values.clone()),
                "{name}: {entry}"
            );
            let held = match *expected_dtype {
                "F64" | "F32" | "BF16" => DType::F32,
                "F16" => DType::F16,
                "BOOL" => DType::Bool,
                _ => DType::I32,
            };
            assert_eq!(tensor.dtype(), held, "{name}: {entry}");
        }
        let error = reader.read("nothing", &device).unwrap_err().to_string();
        assert!(error.contains("nothing is missing"), "{error}");
    }
}

fn network(device: &Device) -> Sequential {
    Sequential::new(&Scope::new(device))
        .make(|s| Linear::new(s, 2, 3))
        .and_then(|net| net.make(|s| BatchNorm1d::new(s, 3, &BatchNormLayerOptions::default())))
        .unwrap()
}

fn values(model: &dyn Module) -> Vec<(String, Vec<f64>)> {
    model.named_parameters().into_iter().map(|(name, p)| (name, p.value().to_f64().unwrap())).collect()
}

/// Tensor `i` of the network that the script saved counts up from `i`; the average of its weights is 100 more.
fn saved(model: &dyn Module, more: f64) -> Vec<(String, Vec<f64>)> {
    let counted = |(i, (name, values)): (usize, (String, Vec<f64>))| {
        (name, (0..values.len()).map(|j| (i + j) as f64 + more).collect())
    };
    values(model).into_iter().enumerate().map(counted).collect()
}

#[test]
fn the_model_of_a_checkpoint_is_found_among_the_rest() {
    let device = Device::reference();
    for name in ["checkpoint.pth", "checkpoint_older.pth"] {
        let model = network(&device);
        let report = weights::load(file(name), &model, &LoadOptions::default()).unwrap();
        assert_eq!((report.prefix.as_str(), report.keys.is_empty()), ("state_dict.module.", true));
        assert_eq!(values(&model), saved(&model, 0.0));
        let report = weights::load(file(name), &model, &LoadOptions::default().dictionary("ema")).unwrap();
        assert_eq!(report.prefix, "ema.");
        assert_eq!(values(&model), saved(&model, 100.0));
        // The optimizer's state can be read too.
        let mut reader = Reader::open(file(name)).unwrap();
        let momentum = reader.read("optimizer.state.0.momentum_buffer", &device).unwrap();
        assert_eq!(momentum.shape()[..], [3, 2]);
        let error = weights::load(file(name), &model, &LoadOptions::default().dictionary("model")).unwrap_err();
        assert!(
            error.to_string().contains("it has no dictionary \"model\" of tensors, but [\"state_dict\", \"ema\","),
            "{error}"
        );
    }
}

#[test]
fn arrays_of_numpy_come_back() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.npz");
    let model = network(&device);
    weights::load(file("checkpoint.pth"), &model, &LoadOptions::default()).unwrap();
    for dtype in [DType::F32, DType::F16] {
        weights::save(&path, &model, &SaveOptions::default().dtype(dtype)).unwrap();
        let again = network(&device);
        assert!(weights::load(&path, &again, &LoadOptions::default()).unwrap().keys.is_empty());
        assert_eq!(values(&again), saved(&model, 0.0));
    }
    let mut file = Npz::open(&path).unwrap();
    assert!(matches!(file.read("0.weight").unwrap(), NpyArray::F16(array) if array.shape() == [3, 2]));
    assert!(matches!(file.read("1.num_batches_tracked").unwrap(), NpyArray::I64(array) if array.shape().is_empty()));
    let about = weights::Metadata::new("lenet5", ModelOptions::default());
    let error = weights::save(&path, &model, &SaveOptions::default().metadata(about)).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("holds no metadata"), "{error}");
}

/// The host's memory holds one tensor at a time besides the model's own values, which on the reference are there too.
#[test]
fn a_file_is_never_whole_in_memory() {
    const LAYERS: usize = 8;
    const SIDE: usize = 512;
    const LAYER: usize = SIDE * SIDE * size_of::<f32>();
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.safetensors");
    let net_on = |device: &Device| {
        let layers = Sequential::new(&Scope::new(device));
        (0..LAYERS).try_fold(layers, |net, _| net.make(|s| Linear::without_bias(s, SIDE, SIDE))).unwrap()
    };
    let net = net_on(&device);
    let names: Vec<String> = (0..LAYERS).map(|i| format!("{i}.weight")).collect();
    let values: Vec<Vec<u8>> = (0..LAYERS).map(|i| (i as f32).to_le_bytes().repeat(SIDE * SIDE)).collect();
    let views = names
        .iter()
        .zip(&values)
        .map(|(name, bytes)| (name, TensorView::new(Dtype::F32, vec![SIDE, SIDE], bytes).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let (loading, report) = peak(|| weights::load(&path, &net, &LoadOptions::default()));
    assert_eq!(report.unwrap().loaded.len(), LAYERS);
    assert!(loading < (LAYERS + 2) * LAYER, "{loading} bytes for {LAYERS} layers of {LAYER}");
    assert_eq!(net.parameters()[3].value().to_f64().unwrap(), [3.0; SIDE * SIDE]);

    // An adapter's memory is not the host's.
    let Some(device) = adapter() else { return };
    let net = net_on(&device);
    weights::load(&path, &net, &LoadOptions::default()).unwrap();
    assert_eq!(net.parameters()[3].value().to_f64().unwrap(), [3.0; SIDE * SIDE]);
    let (saving, result) = peak(|| weights::save(&path, &net, &SaveOptions::default()));
    result.unwrap();
    assert!(saving < 3 * LAYER, "{saving} bytes for layers of {LAYER}");
}
