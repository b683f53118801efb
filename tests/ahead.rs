//! Pipelines compiled ahead, where the driver compiles late, are those that run afterwards.

mod common;

use common::{Random, adapter};
use std::path::Path;
use std::process::Command;
use wgrad::{Conv2dOptions, Device, Graph, MaxPool2dOptions, Tensor};

/// A step of few kernels, whose loops are as long as parameters say, run or only planned. In a process of its own: the
/// environment says which, and where Mesa keeps what it compiled.
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

#[test]
fn all_is_compiled_ahead_and_nothing_twice() {
    if !adapter().is_some_and(|device| device.name().starts_with("llvmpipe")) {
        return;
    }
    let kept = |work: &str, disable: &str| {
        let folder = tempfile::tempdir().unwrap();
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_step", "--nocapture"])
            .env("WGRAD_TEST_AHEAD", work)
            .env("WGRAD_DISABLE", disable)
            .env("MESA_SHADER_CACHE_DIR", folder.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        files(folder.path())
    };
    let run = kept("run", "");
    assert_eq!(run, kept("run", "ahead"), "what runs is not what was compiled ahead");
    // The driver itself compiles what is dispatched, and nothing has been.
    assert_eq!(run, kept("plan", ""), "not all was compiled ahead");
    let late = kept("plan", "ahead");
    assert!(late + 4 <= run, "{late} of {run} without compiling ahead");
}
