//! Files of weights: into models and out of them, by themselves, with other names and other sizes.

use crate::common::{adapter, has_f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;
use wgrad::data::Normalization;
use wgrad::models::{self, LeNet5, ModelOptions};
use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Linear, Module, Scope, Sequential};
use wgrad::weights::{self, LoadOptions, Metadata, Reader, SaveOptions};
use wgrad::{DType, Device, Error, Tensor};

fn devices() -> Vec<Device> {
    std::iter::once(Device::reference()).chain(adapter()).collect()
}

fn values(model: &dyn Module) -> BTreeMap<String, Vec<f64>> {
    model.named_parameters().into_iter().map(|(name, p)| (name, p.value().to_f64().unwrap())).collect()
}

/// A file of f32 tensors of one dimension.
fn write(path: &Path, tensors: &[(&str, &[f32])]) {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, values), bytes)| (*name, TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn options(classes: usize, channels: usize, size: usize) -> ModelOptions {
    ModelOptions::default().classes(classes).channels(channels).size(size)
}

/// Every network by its name: logits of the right shape, and the number of parameters by its formula.
#[test]
fn networks_are_built_by_name() {
    let device = Device::reference();
    let fc1 = |outputs: usize| 16 * 2 * 2 * 120 + 120 + 120 * 84 + 84 + 84 * outputs + outputs;
    for (name, options, output, parameters) in [
        ("lenet5", options(3, 2, 16), vec![2, 3], 6 * 2 * 25 + 6 + 16 * 6 * 25 + 16 + fc1(3)),
        ("cifar_cnn", options(3, 1, 8), vec![2, 3], 288 + 32 + 9248 + 18496 + 36928 + 64 * 4 * 512 + 512 + 512 * 3 + 3),
        // 11,173,962 and 11,689,512 for three channels and 10 and 1,000 classes.
        ("resnet18", options(10, 1, 32), vec![2, 10], 11_173_962 - 2 * 64 * 9),
        ("resnet18", options(1000, 3, 65), vec![2, 1000], 11_689_512),
        ("resnet18", options(10, 3, 65).set("large_stem", 0.0), vec![2, 10], 11_173_962),
        ("resnet18", options(1000, 4, 32).set("large_stem", 1.0), vec![2, 1000], 11_689_512 + 64 * 49),
        ("simple_cnn", options(3, 1, 8).set("depth", 1.0), vec![2, 3], 32 * 9 + 64 + 99),
        ("vit_b_16", options(1000, 3, 224), vec![2, 1000], 86_567_656),
        ("mobilenet_v1", options(1000, 3, 32).set("width", 0.25), vec![2, 1000], 470_072),
        ("unet", options(2, 3, 8), vec![2, 2, 8, 8], 482_050),
        ("unet", options(2, 1, 16).set("depth", 4.0).set("base_width", 64.0), vec![2, 2, 16, 16], 31_030_658),
    ] {
        let model = models::by_name(name, &Scope::new(&device), &options).unwrap();
        let trained = model.parameters().into_iter().filter(|p| !p.is_buffer());
        assert_eq!(trained.map(|p| p.value().numel()).sum::<usize>(), parameters, "{name}");
        let [height, width] = options.size;
        let summary = model.summary(&[2, options.channels, height, width]).unwrap();
        assert_eq!(summary.rows[0].output[..], output, "{name}");
    }
    let names: Vec<&str> = models::names().collect();
    assert!(names.is_sorted() && names.contains(&"resnet18"));
    for (name, options, text) in [
        (
            "resnet19",
            options(2, 3, 32),
            "no network is called \"resnet19\"; there are resnet101, resnet110, resnet152, resnet18, and ",
        ),
        ("resnet18", options(0, 3, 32), "resnet18: 0 classes, 3 channels, images of 32 x 32: none may be 0"),
        ("lenet5", options(2, 3, 11), "images of 11 x 11 are too small"),
        ("cifar_cnn", options(2, 3, 3), "images of 3 x 3 are too small"),
        ("vit_b_16", ModelOptions::default().size([32, 48]), "it takes square images, not 32 x 48"),
        ("lenet5", options(2, 3, 32).set("width", 2.0), "lenet5: width is none of its options"),
        (
            "unet",
            options(2, 3, 32).set("width", 2.0),
            "classes, channels, size, depth, base_width, resized, batch_norm",
        ),
        ("unet", options(2, 3, 32).set("depth", 2.5), "depth is a count, not 2.5"),
        ("unet", options(2, 3, 32).set("depth", 17.0), "the depth is at most 16, not 17"),
    ] {
        let error = models::by_name(name, &Scope::new(&device), &options).err().unwrap();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_file_alone_rebuilds_its_network() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("net.safetensors");
        let options = options(2, 3, 8).set("width", 0.25);
        let model = models::by_name("mobilenet_v1", &Scope::new(&device), &options).unwrap();
        let normalization = Normalization::new(&[0.485, 0.456, 0.1], &[0.229, 0.2, 1.0 / 3.0]).unwrap();
        let about = Metadata::new("mobilenet_v1", options).with_classes(["cät", "\"dog\""]);
        let about = about.with_normalization(normalization);
        // The average of some batches must be saved too.
        model.forward(&Tensor::randn(&device, &[2, 3, 8, 8]).unwrap()).unwrap();
        weights::save(&path, &model, &SaveOptions::default().metadata(about.clone())).unwrap();
        assert_eq!(Metadata::read(&path).unwrap(), about);
        let (again, read) = weights::open(&path, &device).unwrap();
        assert_eq!(read, about);
        let rounded = |values: BTreeMap<String, Vec<f64>>| -> BTreeMap<String, Vec<f32>> {
            values.into_iter().map(|(name, v)| (name, v.into_iter().map(|v| v as f32).collect())).collect()
        };
        assert_eq!(rounded(values(&again)), rounded(values(&model)));
        // Nothing temporary is left behind, and the same weights give the same bytes.
        let bytes = std::fs::read(&path).unwrap();
        weights::save(&path, &again, &SaveOptions::default().metadata(about.clone())).unwrap();
        assert_eq!(bytes, std::fs::read(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn metadata_that_contradicts_itself_is_refused() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.safetensors");
    let model = LeNet5::new(&Scope::new(&device)).unwrap();
    let about = Metadata::new("lenet5", options(10, 1, 28));
    let grey = Normalization::new(&[0.1, 0.2], &[0.3, 0.3]).unwrap();
    for (about, text) in [
        (about.clone().with_classes(["a", "b"]), "2 names for 10 classes"),
        (about.clone().with_normalization(grey), "2 means for images of 1 channels"),
    ] {
        let error = weights::save(&path, &model, &SaveOptions::default().metadata(about)).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(text), "{error}");
    }
    assert!(!path.exists());
    let data = 1f32.to_le_bytes();
    let tensor = |name| (name, TensorView::new(Dtype::F32, vec![1], &data).unwrap());
    for (json, text) in [
        ("{", "wgrad.model: "),
        (r#"{"architecture": "lenet5"}"#, "missing field `options`"),
        (r#"{"architecture": "lenet5", "options": {"classes": 2}, "classes": ["a"]}"#, "1 names for 2 classes"),
        (
            r#"{"architecture": "lenet5", "options": {}, "normalization": {"mean": [0.5], "std": [0.0]}}"#,
            "the deviation 0 is not a positive number",
        ),
        (r#"{"architecture": "lenet5", "options": {"classes": -1}}"#, "wgrad.model: invalid value"),
    ] {
        let about = std::collections::HashMap::from([("wgrad.model".to_string(), json.to_string())]);
        std::fs::write(&path, safetensors::serialize([tensor("w")], Some(about)).unwrap()).unwrap();
        let error = weights::open(&path, &device).err().unwrap();
        assert!(matches!(error, Error::File { .. }) && error.to_string().contains(text), "{error}");
    }
    write(&path, &[("w", &[1.0])]);
    let error = Metadata::read(&path).unwrap_err().to_string();
    assert!(error.contains("build that, and call weights::load"), "{error}");
}

#[test]
fn half_the_size_is_f16() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("net.safetensors");
        let scope = Scope::new(&device);
        let model = Sequential::new(&scope)
            .make(|s| Linear::new(s, 3, 2))
            .unwrap()
            .make(|s| BatchNorm2d::new(s, 2, &BatchNormLayerOptions::default()))
            .unwrap();
        weights::save(&path, &model, &SaveOptions::default().dtype(DType::F16)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("0.weight").unwrap().dtype(), Dtype::F16);
        assert_eq!(file.tensor("1.num_batches_tracked").unwrap().dtype(), Dtype::I64);
        let expected: Vec<f64> = values(&model)["0.weight"].iter().map(|&v| half::f16::from_f64(v).to_f64()).collect();
        weights::load(&path, &model, &LoadOptions::default()).unwrap();
        assert_eq!(values(&model)["0.weight"], expected);
        if has_f16(&device) {
            assert_eq!(Reader::open(&path).unwrap().read("0.weight", &device).unwrap().dtype(), DType::F16);
        }
        let error = weights::save(&path, &model, &SaveOptions::default().dtype(DType::I32)).unwrap_err();
        assert!(error.to_string().contains("floats are written as f32 or f16, not as i32"), "{error}");
    }
}

#[test]
fn names_with_a_prefix_and_of_others_find_their_parameters() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.safetensors");
    let model = || Sequential::new(&Scope::new(&device).at("layer1")).make(|s| Linear::new(s, 1, 1)).unwrap();
    let load = |options: &LoadOptions| {
        let model = model();
        weights::load(&path, &model, options).map(|report| (report, values(&model).into_values().collect::<Vec<_>>()))
    };
    let plain = LoadOptions::default();
    let reshape = |from: &str, to: &str| plain.clone().rename(from, to);
    for (prefix, names, options) in [
        ("", ["layer1.0.weight", "layer1.0.bias"], plain.clone()),
        ("module.", ["module.layer1.0.weight", "module.layer1.0.bias"], plain.clone()),
        ("a.b.", ["a.b.layer1.0.weight", "a.b.layer1.0.bias"], plain.clone()),
        ("", ["blocks.1.first.weight", "blocks.1.first.bias"], reshape("blocks.?.first.*", "layer*.0.*")),
        ("m.", ["m.layer1.0.gamma", "m.layer1.0.bias"], reshape("*.gamma", "*.weight")),
    ] {
        let values = [[0.5f32].as_slice(), &[0.25]];
        let bytes: Vec<Vec<u8>> = values.iter().map(|v| v[0].to_le_bytes().to_vec()).collect();
        let tensors = [
            (names[0], TensorView::new(Dtype::F32, vec![1, 1], &bytes[0]).unwrap()),
            (names[1], TensorView::new(Dtype::F32, vec![1], &bytes[1]).unwrap()),
        ];
        std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        let (report, loaded) = load(&options).unwrap();
        assert_eq!((report.prefix.as_str(), report.loaded.len(), report.keys.is_empty()), (prefix, 2, true));
        assert_eq!(loaded, [[0.25], [0.5]]);
    }
    write(&path, &[("a.bias", &[1.0]), ("b.bias", &[1.0])]);
    let error = load(&plain.clone().rename("?.bias", "layer1.0.bias")).unwrap_err();
    assert!(error.to_string().contains("a.bias and b.bias would both be layer1.0.bias"), "{error}");
    let error = load(&plain.clone().rename("a.bias", "*.bias")).unwrap_err();
    assert!(error.to_string().contains("more stars"), "{error}");
}

#[test]
fn another_head_is_left_out_on_request() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("net.safetensors");
        let build = |classes| LeNet5::with_options(&Scope::new(&device), &options(classes, 1, 28)).unwrap();
        let (old, new) = (build(10), build(5));
        weights::save(&path, &old, &SaveOptions::default()).unwrap();
        let before = values(&new);
        let error = weights::load(&path, &new, &LoadOptions::default()).unwrap_err();
        let Error::UnfitWeights { keys, .. } = &error else { panic!("{error}") };
        let mismatched: Vec<&str> = keys.mismatched.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(mismatched, ["fc3.weight", "fc3.bias"]);
        assert!(error.to_string().contains("fc3.weight is [10, 84] f32 in the state and [5, 84] f32 here"), "{error}");
        assert_eq!(values(&new), before);

        let report = weights::load(&path, &new, &LoadOptions::default().partial(true)).unwrap();
        assert_eq!((report.loaded.len(), report.keys.mismatched.len()), (8, 2));
        let (after, file) = (values(&new), values(&old));
        for (name, values) in after {
            let expected = if name.starts_with("fc3") { &before[&name] } else { &file[&name] };
            let rounded = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
            assert_eq!(rounded(&values), rounded(expected), "{name}");
        }
        // A file with no matching name is another network's.
        write(&path, &[("encoder.weight", &[1.0])]);
        let error = weights::load(&path, &new, &LoadOptions::default().partial(true)).unwrap_err();
        assert!(matches!(error, Error::UnfitWeights { .. }), "{error}");
    }
}

/// Files from before PyTorch 0.4.1 have no counts of batches, which PyTorch takes as they are.
#[test]
fn a_missing_count_of_batches_is_no_fault() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.safetensors");
    let norm = BatchNorm2d::new(&Scope::new(&device), 1, &BatchNormLayerOptions::default()).unwrap();
    write(&path, &[("weight", &[1.0]), ("bias", &[2.0]), ("running_mean", &[3.0]), ("running_var", &[4.0])]);
    assert_eq!(weights::load(&path, &norm, &LoadOptions::default()).unwrap().loaded.len(), 4);
    write(&path, &[("weight", &[1.0]), ("bias", &[2.0]), ("running_mean", &[3.0])]);
    let error = weights::load(&path, &norm, &LoadOptions::default()).unwrap_err();
    let Error::UnfitWeights { keys, .. } = &error else { panic!("{error}") };
    assert_eq!(keys.missing, ["running_var"]);
}

/// Directories with wrong contents, and truncated files.
#[test]
fn a_damaged_file_is_refused() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.safetensors");
    let with = |directory: &str, values: usize| {
        let mut bytes = (directory.len() as u64).to_le_bytes().to_vec();
        bytes.extend(directory.as_bytes());
        bytes.resize(bytes.len() + values, 0);
        bytes
    };
    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"w": {{"dtype": "F32", "shape": {shape}, "data_offsets": {offsets}}}}}"#)
    };
    let two = |second: &str| {
        format!(
            r#"{{"v": {{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "w": {{"dtype": "F32", "shape": [2], "data_offsets": {second}}}}}"#
        )
    };
    let whole = with(&entry("[2]", "[0, 8]"), 8);
    for (bytes, text) in [
        (Vec::new(), "it has no directory"),
        (whole[..7].to_vec(), "it has no directory"),
        (whole[..40].to_vec(), "its directory would have"),
        (whole[..whole.len() - 1].to_vec(), "7 bytes of values, 8 in its directory"),
        ([&whole[..], &[0]].concat(), "9 bytes of values, 8 in its directory"),
        (u64::MAX.to_le_bytes().to_vec(), "its directory would have 18446744073709551615 bytes, the file has 8"),
        (with("[]", 0), "not a whole safetensors file"),
        (with(&"[".repeat(100_000), 0), "not a whole safetensors file"),
        (with(&entry("[2]", "[0, 4]"), 4), "not a whole safetensors file"),
        (with(&entry("[1000000000000]", "[0, 4000000000000]"), 8), "8 bytes of values, 4000000000000"),
        (with(&entry("[4294967296, 4294967296]", "[0, 0]"), 0), "not a whole safetensors file"),
        (with(&two("[4, 12]"), 12), "not a whole safetensors file"),
        (with(&two("[0, 8]"), 8), "not a whole safetensors file"),
        (with(&two("[12, 20]"), 20), "not a whole safetensors file"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let error = Reader::open(&path).unwrap_err();
        assert!(matches!(error, Error::File { .. }) && error.to_string().contains(text), "{error}, not {text}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(Reader::open(&path).unwrap().read("w", &device).unwrap().shape()[..], [2]);
    assert!(Reader::open(folder.path().join("../nothing")).is_err());
}
