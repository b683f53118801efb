//! The benchmark suites: every operation has a workload that can run, operations are counted right, and the output is well
//! formed. Tests can't check how fast anything is.

#[path = "../benches/common/mod.rs"]
mod common;
#[path = "../benches/common/kernels/mod.rs"]
mod kernels;
#[path = "common/mod.rs"]
mod suites;
#[path = "../benches/common/training/mod.rs"]
mod training;

use common::options::Options;
use common::plot::{Point, Ratio, ratios, roofline};
use common::timing::median;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use wgrad::{DType, Device, Result, Tensor, no_grad, ops};

/// Records a workload on the reference without computing anything: its shapes fit, if it can be recorded.
fn record(workload: &kernels::Workload, device: &Device) -> Result<Vec<Tensor>> {
    let leaf = |input: &ops::case::Input| match input.dtype {
        DType::F32 | DType::F16 => Tensor::full(device, &input.shape, 0.5f32),
        DType::Bool => Tensor::full(device, &input.shape, true),
        _ => Tensor::full(device, &input.shape, 0i32),
    };
    let leaves = workload.inputs.iter().map(leaf).collect::<Result<Vec<_>>>()?;
    no_grad(|| (workload.run)(&leaves))
}

#[test]
fn every_operation_has_a_workload_that_can_be_recorded() {
    let device = Device::reference();
    for is_quick in [false, true] {
        let workloads = kernels::workloads(is_quick, true);
        let names: HashSet<&str> = workloads.iter().map(|workload| &workload.name[..]).collect();
        assert_eq!(names.len(), workloads.len(), "two workloads of one name");
        let covered: HashSet<&str> = workloads.iter().map(|workload| workload.op).collect();
        let missing: HashSet<&str> =
            ops::cases().iter().map(|case| case.op).filter(|op| !covered.contains(op)).collect();
        assert!(missing.is_empty(), "no workload for {missing:?}");
        for workload in &workloads {
            if let Err(error) = record(workload, &device) {
                panic!("{}, quick {is_quick}: {error}", workload.name);
            }
        }
        let elements = |workload: &&kernels::Workload| {
            workload.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum::<usize>() >= 1 << 16
        };
        let large = workloads.iter().filter(elements).count();
        assert!(is_quick == (large == 0), "{large} of {} are large, quick {is_quick}", workloads.len());
        assert!(is_quick || large > 200, "only {large} of {} workloads are large", workloads.len());
    }
}

/// By hand: two operations a multiply-add, multiply-adds a result, results.
#[test]
fn operations_are_counted_right() {
    let device = Device::reference();
    let workloads = kernels::workloads(false, true);
    for (name, flops) in [
        ("matmul_512", 2 * 512 * 512 * 512),
        ("bmm 64x128x128x128", 64 * 2 * 128 * 128 * 128),
        ("linear 64x4096->512", 2 * 4096 * 64 * 512),
        ("conv3x3_stride1", 2 * (64 * 9) * (16 * 64 * 32 * 32)),
        ("conv3x3_stride2", 2 * (64 * 9) * (16 * 128 * 16 * 16)),
        ("conv1x1", 2 * 64 * (16 * 256 * 32 * 32)),
        ("conv3x3_depthwise", 2 * 9 * (16 * 64 * 32 * 32)),
        ("conv3x3_dilation2", 2 * (32 * 9) * (16 * 32 * 32 * 32)),
        ("lenet_conv1", 2 * 25 * (64 * 6 * 28 * 28)),
        ("lenet_conv2", 2 * (6 * 25) * (64 * 16 * 10 * 10)),
        // Each input goes into 2 x 2 positions of each of 32 outputs.
        ("conv_transpose2x2", 2 * 32 * 4 * (16 * 64 * 32 * 32)),
        ("conv1d 3, 64->64", 2 * (64 * 3) * (16 * 64 * 1024)),
        ("conv3d 3x3x3, 16->16", 2 * (16 * 27) * (4 * 16 * 16 * 32 * 32)),
        ("mv 2048x2048", 2 * 2048 * 2048),
        ("matmul_4096_f16", 2 * 4096 * 4096 * 4096),
        ("resnet50_conv3x3_7", 2 * (512 * 9) * (32 * 512 * 7 * 7)),
        ("relu_mul_add", 3 * 2048 * 2048),
    ] {
        let workload = workloads.iter().find(|workload| workload.name == name).unwrap_or_else(|| panic!("no {name}"));
        let results = record(workload, &device).unwrap()[0].numel();
        assert_eq!(workload.flops.map(|a_result| a_result * results), Some(flops), "{name}");
    }
}

fn quick(filter: &str, folder: &Path) -> Options {
    Options {
        filter: Some(filter.to_string()),
        json: Some(folder.join("results.jsonl")),
        plot: Some(folder.to_path_buf()),
        quick: true,
        ..Options::default()
    }
}

/// The lines of a run's file, each of which identifies its machine.
fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("results.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for key in ["suite", "machine", "adapter", "backend", "driver", "wgrad", "name"] {
            assert!(line[key].is_string(), "{key} is missing in {line}");
        }
        assert_eq!(line["quick"], true);
    }
    lines
}

fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.is_finite() && number > 0.0)
}

#[test]
fn the_kernels_suite_writes_what_it_measured() {
    if suites::adapter().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = quick("matmul_512", folder.path());
    kernels::run(&kernels::Arguments { options, skip_reference: false }).unwrap();
    let lines = lines(folder.path());
    let passes: Vec<&Value> = lines.iter().map(|line| &line["pass"]).collect();
    assert_eq!(passes, [&Value::Null, &Value::Null, &"forward".into(), &"backward".into()]);
    assert!(is_number(&lines[0]["gflops"]) && is_number(&lines[1]["gbps"]), "the peaks: {lines:?}");
    for line in &lines[2..] {
        for key in ["ms", "gflops", "gbps", "share", "intensity", "dispatches", "reference_ratio"] {
            assert!(is_number(&line[key]), "{key} of {line}");
        }
    }
    assert!(is_number(&lines[2]["gemm_ratio"]) && lines[3]["gemm_ratio"].is_null());
    let plot = std::fs::read_to_string(folder.path().join("roofline.svg")).unwrap();
    assert!(plot.contains("matmul_512, backward"), "{plot}");
}

#[test]
fn the_training_suite_writes_what_it_measured() {
    if suites::adapter().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let peers = folder.path().join("peers.jsonl");
    std::fs::write(&peers, "{\"peer\": \"somebody\", \"name\": \"lenet5_step_batch3\", \"median_ms\": 1.5}\n").unwrap();
    let options = quick("lenet5_", folder.path());
    training::run(&training::Arguments { options, batch: Some(3), peers: Some(peers) }).unwrap();
    let lines = lines(folder.path());
    let names: Vec<&Value> = lines.iter().map(|line| &line["name"]).collect();
    assert_eq!(names, [&Value::from("lenet5_step_batch3"), &"lenet5_inference_batch3".into()]);
    for line in &lines {
        for key in ["ms", "images_per_second", "first_ms", "dispatches", "submits", "peak_megabytes"] {
            assert!(is_number(&line[key]), "{key} of {line}");
        }
        assert_eq!(line["batch"], 3);
        assert_eq!(line["plans_after_warm_up"], 0);
    }
    let plot = std::fs::read_to_string(folder.path().join("training.svg")).unwrap();
    assert!(plot.contains("lenet5_step_batch3, somebody"), "{plot}");
}

#[test]
fn plots_place_what_they_show() {
    // The roof of 100 GFLOP/s and 10 GB/s bends at 10 operations a byte, which is the kernel's intensity.
    let at_the_ridge = Point { name: "a < b".to_string(), intensity: 10.0, gflops: 100.0 };
    let plot = roofline("title", &[at_the_ridge], 100.0, 10.0);
    assert!(plot.starts_with("<svg") && plot.ends_with("</svg>\n") && plot.contains("1 a &lt; b"));
    let dot = plot.lines().find_map(|line| line.strip_prefix("<circle cx=\"")).unwrap();
    let (x, rest) = dot.split_once("\" cy=\"").unwrap();
    let (y, _) = rest.split_once('"').unwrap();
    assert!(plot.contains(&format!("x2=\"{x}\" y2=\"{y}\"")), "the roof does not bend at {x}, {y}: {plot}");

    let ratio = |ratio| Ratio { name: "work".to_string(), peer: "peer".to_string(), ratio };
    let plot = ratios("title", &[ratio(1.0), ratio(10.0), ratio(0.1)]);
    let widths: Vec<f64> = plot
        .lines()
        .filter(|line| line.contains("#1f77b4"))
        .filter_map(|line| line.split_once("width=\"")?.1.split('"').next()?.parse().ok())
        .collect();
    assert_eq!(widths.len(), 3);
    assert!(widths[0] == 1.0 && (widths[1] - widths[2]).abs() < 0.2 && widths[1] > 100.0, "{widths:?}");
}

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
}
