//! Pipelines compiled ahead, if the driver compiles late, are those that run afterwards.

mod common;

use common::{Random, adapter, alone};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use wgrad::nn::Scope;
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{Conv2dOptions, Device, Graph, MaxPool2dOptions, Tensor};

/// A step of few kernels, whose loops are as long as parameters set, run or only planned. In a process of its own, whose
/// environment selects one of the two and Mesa's cache folder.
#[test]
fn a_step() {
    let Some(runs) = std::env::var_os("WGRAD_TEST_AHEAD").map(|value| value == "run") else { return };
    let device = Device::open().unwrap();
    let mut random = Random(1);
    let mut normal = |shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit() as f32 - 0.5).collect();
        Tensor::from_slice(&device, &values, shape).unwrap()
    };
    let (images, filters, weight) = (normal(&[4, 3, 10, 10]), normal(&[8, 3, 3, 3]), normal(&[128, 40]));
    let maxima = images
        .conv2d(&filters, None, &Conv2dOptions::default())
        .and_then(|features| features.max_pool2d([2, 2], &MaxPool2dOptions::default()))
        .and_then(|maxima| maxima.reshape(&[4, 128]))
        .unwrap();
    let scores = maxima.matmul(&weight).unwrap();
    let (first, second) = (scores.cumsum(1).unwrap(), scores.softmax(1).unwrap());
    let sum = first.add(&second).unwrap();
    if runs {
        assert!(sum.to_vec::<f32>().unwrap().iter().all(|value| value.is_finite()));
    } else {
        Graph::of(&[&sum]).unwrap().plan().unwrap();
    }
    assert!(device.stats().pipelines >= 4, "{:?}", device.stats());
    // Mesa writes to the disk in the background.
    std::thread::sleep(std::time::Duration::from_millis(500));
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// The number of pipelines that Mesa keeps after a test of this file in a process of its own.
fn kept(test: &str, work: &str, disable: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let run = alone(module_path!(), test)
        .env("WGRAD_TEST_AHEAD", work)
        .env("WGRAD_DISABLE", disable)
        .env("MESA_SHADER_CACHE_DIR", folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    files(folder.path())
}

fn is_llvmpipe() -> bool {
    adapter().is_some_and(|device| device.name().starts_with("llvmpipe"))
}

#[test]
fn all_is_compiled_ahead_and_nothing_twice() {
    if !is_llvmpipe() {
        return;
    }
    let run = kept("a_step", "run", "");
    assert_eq!(run, kept("a_step", "run", "precompile"), "what runs is not what was compiled ahead");
    // The driver itself compiles a kernel when it is dispatched, and nothing has been.
    assert_eq!(run, kept("a_step", "plan", ""), "not all was compiled ahead");
    let late = kept("a_step", "plan", "precompile");
    assert!(late + 4 <= run, "{late} of {run} without precompiling");
}

/// The gradients of a convolution and a product for some batch sizes. In a process of its own, as above.
#[test]
fn batches() {
    let Some(count) = std::env::var("WGRAD_TEST_AHEAD").ok().and_then(|value| value.parse::<usize>().ok()) else {
        return;
    };
    let device = Device::open().unwrap();
    for batch in 4..4 + count {
        let filters = Tensor::ones(&device, &[8, 3, 3, 3]).unwrap().requires_grad();
        let weight = Tensor::ones(&device, &[512, 40]).unwrap().requires_grad();
        let images = Tensor::rand(&device, &[batch, 3, 10, 10]).unwrap();
        let features = images.conv2d(&filters, None, &Conv2dOptions::default()).unwrap().flatten(1, 3).unwrap();
        features.matmul(&weight).unwrap().square().unwrap().sum_all().unwrap().backward().unwrap();
        for gradient in [filters.grad().unwrap(), weight.grad().unwrap()] {
            assert!(gradient.to_vec::<f32>().unwrap().iter().all(|value| value.is_finite()));
        }
    }
    // Mesa writes to the disk in the background.
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// Three steps of training, and the bits of their results. In a process of its own, as above.
#[test]
fn a_training() {
    if std::env::var_os("WGRAD_TEST_AHEAD").is_none_or(|value| value != "train") {
        return;
    }
    let device = Device::open().unwrap();
    device.manual_seed(1);
    let scope = Scope::new(&device);
    let filters = scope.uniform("filters", &[8, 3, 3, 3], 27).unwrap();
    let weight = scope.uniform("weight", &[128, 40], 128).unwrap();
    let images = Tensor::rand(&device, &[4, 3, 10, 10]).unwrap();
    let mut sgd = Sgd::new(vec![filters.clone(), weight.clone()], SgdOptions::default()).unwrap();
    for _ in 0..3 {
        let features = images.conv2d(&filters.value(), None, &Conv2dOptions::default()).unwrap().relu().unwrap();
        let maxima = features.max_pool2d([2, 2], &MaxPool2dOptions::default()).unwrap().flatten(1, 3).unwrap();
        let loss = maxima.matmul(&weight.value()).unwrap().softmax(1).unwrap().square().unwrap().sum_all().unwrap();
        loss.backward().unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
    }
    let values = [filters.value(), weight.value()].map(|value| value.to_vec::<f32>().unwrap()).concat();
    let mut hasher = DefaultHasher::new();
    values.iter().for_each(|value| value.to_bits().hash(&mut hasher));
    println!("bits {:x} of {}", hasher.finish(), values.len());
    // Mesa writes to the disk in the background.
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// Mesa inlines the values of parameters that limit loops into a kernel and compiles it once for each.
#[test]
fn another_batch_size_compiles_nothing_in_the_driver() {
    if is_llvmpipe() {
        assert_eq!(kept("batches", "1", ""), kept("batches", "4", ""));
    }
}

/// On any driver: with nothing compiled yet, with everything on disk, and compiled at the dispatch.
#[test]
fn bits_are_the_same_whatever_was_compiled_when() {
    if adapter().is_none() {
        return;
    }
    let bits = |folder: &Path, disable: &str| {
        let run = alone(module_path!(), "a_training")
            .env("WGRAD_TEST_AHEAD", "train")
            .env("WGRAD_DISABLE", disable)
            .env("MESA_SHADER_CACHE_DIR", folder)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{text}");
        let (_, bits) = text.split_once("bits ").unwrap_or_else(|| panic!("no bits in {text}"));
        bits.lines().next().unwrap_or_default().to_string()
    };
    let [folder, other] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let cold = bits(folder.path(), "");
    assert_eq!(cold, bits(folder.path(), ""), "with everything on disk");
    assert_eq!(cold, bits(other.path(), "precompile"), "without precompiling");
}
