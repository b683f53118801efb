//! Values computed by PyTorch: the project's own golden files, and the shared sample where it is, on the adapter
//! and on the reference.

mod common;
#[path = "common/conformance/mod.rs"]
mod conformance;

use conformance::Verdict;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wgrad::{Device, DeviceOptions, Disable};

/// The files of golden values, or those whose name `WGRAD_TEST_FILE` is in.
fn golden() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    let only = std::env::var("WGRAD_TEST_FILE").unwrap_or_default();
    files.retain(|path| path.to_string_lossy().contains(&only));
    files.sort();
    files
}

/// Cases in which wgrad is not what PyTorch is, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("loss_specials/soft_margin_loss.1", "PyTorch divides infinity by infinity where the slope is that of a line"),
    ("loss_specials/soft_margin_loss.2", "the same"),
    ("loss_specials/soft_margin_loss.5", "the same"),
    ("pointwise_specials/softsign.0", "PyTorch divides infinity by infinity where the slope is 0"),
    (
        "reduction_specials/logsumexp.12",
        "of two largest floats each has half of the gradient; PyTorch's have all of it",
    ),
    ("reduction_specials/norm.2", "a maximum that is NaN has NaN for a gradient, as in amax; PyTorch's norm has 0"),
    ("reduction_specials/var.2", "deviations from an infinite mean have no gradient but NaN; PyTorch's are infinite"),
    ("reduction_specials/var.3", "the same"),
    ("reduction_specials/var.4", "the same"),
    ("reduction_specials/var.5", "the same"),
    ("reduction_specials/var.10", "the same"),
    ("reduction_specials/var.11", "the same"),
];

fn failures(device: &Device, files: &[PathBuf]) -> (usize, Vec<String>) {
    let mut count = 0;
    let mut failures = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        for case in conformance::read(file).unwrap() {
            count += 1;
            let name = format!("{stem}/{}", case.name);
            let is_different = DIFFERENT.iter().any(|(different, _)| *different == name);
            match case.run(device) {
                Verdict::Passed if is_different => failures.push(format!("{name}: is what PyTorch is, after all")),
                Verdict::Passed => {}
                // Only a value that was computed may differ.
                Verdict::Failed(what) if is_different && what.contains("expected") => {}
                Verdict::Failed(what) | Verdict::Unsupported(what) => failures.push(format!("{}: {what}", case.name)),
            }
        }
    }
    (count, failures)
}

/// `open` is asked for a device for each file: the kernels that a software driver has compiled take megabytes each, and it
/// compiles them on one core for each device.
fn all_pass(open: impl Fn() -> Device + Sync) {
    let mut files = golden();
    // Next to the checkout, where it is there at all.
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/sample.safetensors");
    files.extend(sample.exists().then_some(sample));
    let (counts, failures): (Vec<usize>, Vec<Vec<String>>) =
        files.into_par_iter().map(|file| self::failures(&open(), &[file])).unzip();
    let (count, failures) = (counts.iter().sum::<usize>(), failures.concat());
    assert!(count > 1000 || std::env::var_os("WGRAD_TEST_FILE").is_some(), "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn golden_values_on_the_adapter() {
    if common::adapter().is_some() {
        all_pass(|| common::own_adapter().unwrap());
    }
}

/// Products and convolutions have kernels of their own for GPUs and for want of subgroups.
#[test]
fn special_values_by_the_other_kernels() {
    if common::adapter().is_none() {
        return;
    }
    let mut files = golden();
    files.retain(|path| {
        ["product_specials", "convolution_specials"].iter().any(|stem| path.ends_with(format!("{stem}.safetensors")))
    });
    let software = Disable { software: true, ..Disable::default() };
    for disable in [software, Disable { subgroup: true, int64: true, ..Disable::default() }] {
        let options = DeviceOptions { disable, ..DeviceOptions::default() };
        let open = || Device::with_options(&options).unwrap();
        let failures: Vec<String> =
            files.par_iter().flat_map(|file| failures(&open(), std::slice::from_ref(file)).1).collect();
        assert!(failures.is_empty(), "{disable:?}:\n{}", failures.join("\n"));
    }
}

#[test]
fn golden_values_on_the_reference() {
    all_pass(Device::reference);
}

#[test]
fn a_wrong_value_a_wrong_shape_and_a_missing_error_are_seen() {
    let file = golden().into_iter().find(|f| f.ends_with("matmul.safetensors")).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let device = Device::reference();
    let folder = tempfile::tempdir().unwrap();
    let fails = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        failures(&device, &[path]).1
    };
    assert!(fails("right", &bytes).is_empty());
    // A wrong value: a large number in the place of the last element of the file.
    let mut wrong = bytes.clone();
    let end = wrong.len();
    wrong[end - 4..].copy_from_slice(&1e9f32.to_le_bytes());
    assert_eq!(fails("value", &wrong).len(), 1);
    // An error that must come and does not; the same length keeps the header's length true.
    let find = |text: &[u8], from: usize| from + bytes[from..].windows(text.len()).position(|w| w == text).unwrap();
    let value = find(b"false", find(b"raises", 0));
    let mut wrong = bytes.clone();
    wrong[value..value + 5].copy_from_slice(b"true ");
    assert_eq!(fails("raises", &wrong), ["matmul.0: must be an error, and was none"]);
    // An operation that does not exist.
    let at = find(b"matmul", find(b"op\\", 0));
    let mut wrong = bytes.clone();
    wrong[at..at + 6].copy_from_slice(b"matmux");
    assert_eq!(fails("op", &wrong), ["matmul.0: operation matmux"]);
}
