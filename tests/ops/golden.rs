//! Values computed by PyTorch: the project's own golden files, and the shared sample if it is there, on the adapter and on the
//! reference.

use crate::conformance::Verdict;
use crate::{common, conformance, different};
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};
use wgrad::{Device, DeviceOptions, Disable};

/// The golden files, or those with `WGRAD_TEST_FILE` in their names.
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

/// One in this many cases of a file is run: `WGRAD_TEST_SAMPLE`; on the reference, with `WGRAD_TEST_ALL` or one `WGRAD_TEST_FILE`,
/// all of them. An adapter compiles kernels for each case, which the reference has judged: it runs a third, and all special
/// values, where arithmetic differs most.
fn one_in(device: &Device, stem: &str) -> usize {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let all = is_set("WGRAD_TEST_ALL") || is_set("WGRAD_TEST_FILE") || stem.contains("special");
    let unasked = if all || device.adapter().is_none() { 1 } else { 3 };
    std::env::var("WGRAD_TEST_SAMPLE").map_or(unasked, |text| text.parse().expect("WGRAD_TEST_SAMPLE is a number"))
}

/// True for one in `one_in` numbers, at varying distances: cases run through their options at fixed ones.
fn is_drawn(at: usize, one_in: usize) -> bool {
    (at + at / one_in + at / one_in.pow(2)).is_multiple_of(one_in)
}

fn failures(device: &Device, files: &[PathBuf]) -> (usize, Vec<String>) {
    let mut count = 0;
    let mut failures = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let one_in = one_in(device, &stem);
        let cases = conformance::read(file).unwrap().into_iter().enumerate();
        for (_, mut case) in cases.filter(|&(at, _)| is_drawn(at, one_in)) {
            count += 1;
            let name = format!("{stem}/{}", case.name);
            // A step rounds its numbers, and on the reference nothing else.
            if case.is_trajectory() && device.name() == "reference" {
                case.tighten();
            }
            case.signed_zeros &= !different::has_other_zeros(&name);
            let is_different = different::has_other_values(&name);
            let flushes = device.name().contains("SwiftShader") && different::has_subnormals(&name);
            match case.run(device) {
                Verdict::Passed if is_different => failures.push(format!("{name}: is what PyTorch is, after all")),
                Verdict::Passed => {}
                // Only a computed value may differ.
                Verdict::Failed(what) if (is_different || flushes) && what.contains("expected") => {}
                Verdict::Failed(what) | Verdict::Unsupported(what) => failures.push(format!("{name}: {what}")),
            }
        }
    }
    (count, failures)
}

/// Skips the files of 16-bit floats if the adapter has none; the reference has them.
fn of_types(files: &mut Vec<PathBuf>, device: &Device) {
    let has_f16 = device.adapter().is_none_or(|adapter| adapter.has_f16);
    let of_halves =
        |path: &Path| path.file_stem().is_some_and(|s| s == "types" || s.to_string_lossy().starts_with("half_"));
    files.retain(|path| has_f16 || !of_halves(path));
}

/// `open` opens a device for each file: the kernels that a software driver has compiled take megabytes each, and it compiles them
/// on one core for each device.
fn all_pass(open: impl Fn() -> Device + Sync) {
    let mut files = golden();
    of_types(&mut files, &open());
    // Next to the checkout, if it is there at all.
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

/// Products and convolutions have separate kernels for GPUs and for adapters without subgroups.
#[test]
fn special_values_by_the_other_kernels() {
    let Some(adapter) = common::adapter() else { return };
    let stems = ["product_specials", "convolution_specials", "half_product_specials"];
    let mut files = golden();
    files.retain(|path| stems.iter().any(|stem| path.ends_with(format!("{stem}.safetensors"))));
    of_types(&mut files, &adapter);
    let software = Disable { software: true, ..Disable::default() };
    for disable in [software, Disable { subgroup: true, int64: true, ..Disable::default() }] {
        let options = DeviceOptions::default().disable(disable);
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

/// The cases of a file, changed: `find` in its header replaced by text of the same length, so that the header's length stays
/// valid.
fn changed(bytes: &[u8], after: &str, find: &str, replace: &str) -> Vec<u8> {
    let position = |text: &str, from: usize| {
        from + bytes[from..].windows(text.len()).position(|w| w == text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    };
    let at = position(find, position(after, 0));
    let mut changed = bytes.to_vec();
    assert_eq!(find.len(), replace.len());
    changed[at..at + find.len()].copy_from_slice(replace.as_bytes());
    changed
}

/// The failures of a golden file with other bytes, on the reference.
fn failures_of(name: &str, bytes: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    failures(&Device::reference(), &[path]).1
}

fn golden_bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

#[test]
fn a_wrong_value_a_wrong_shape_and_a_missing_error_are_seen() {
    let name = "matmul.safetensors";
    let bytes = golden_bytes(name);
    assert!(failures_of(name, &bytes).is_empty());
    // A wrong value: a large number replaces the last element of the file.
    let mut wrong = bytes.clone();
    let end = wrong.len();
    wrong[end - 4..].copy_from_slice(&1e9f32.to_le_bytes());
    assert_eq!(failures_of(name, &wrong).len(), 1);
    // An error that must come and does not.
    let wrong = changed(&bytes, "raises", "false", "true ");
    assert_eq!(failures_of(name, &wrong), ["matmul/matmul.0: must be an error, and was none"]);
    // An operation that does not exist.
    let wrong = changed(&bytes, "op\\", "matmul", "matmux");
    assert_eq!(failures_of(name, &wrong), ["matmul/matmul.0: operation matmux"]);
}

#[test]
fn another_error_is_seen() {
    let (name, bytes) = ("matmul.safetensors", golden_bytes("matmul.safetensors"));
    let wrong = changed(&bytes, "error\\", "Invalid", "Timeout");
    let failed = failures_of(name, &wrong);
    assert!(failed.len() == 1 && failed[0].contains("must be Timeout, and was Invalid: "), "{failed:?}");
    // A file that names no variant takes any.
    assert!(failures_of(name, &changed(&bytes, "raises", "error", "other")).is_empty());
}

/// The failures of one case, of two equal arguments and one result.
fn failures_of_case(json: &str, argument: (Dtype, &[u8]), result: (Dtype, &[u8])) -> Vec<String> {
    let shape = vec![1];
    let view = |(dtype, data)| TensorView::new(dtype, shape.clone(), data).unwrap();
    let tensors = [("x.arg.input", view(argument)), ("x.arg.other", view(argument)), ("x.out.0", view(result))];
    let case = format!(r#"[{{"name": "x", "args": ["input", "other"], "outputs": 1, {json}}}]"#);
    let metadata = std::collections::HashMap::from([("cases".to_string(), case)]);
    failures_of("x.safetensors", &safetensors::serialize(tensors, Some(metadata)).unwrap())
}

#[test]
fn another_type_of_a_result_is_seen() {
    let (half, single) = (half::f16::from_f32(1.0).to_le_bytes(), 1f32.to_le_bytes());
    let of_halves = |op: &str, result| failures_of_case(&format!(r#""op": "{op}""#), (Dtype::F16, &half), result);
    assert!(of_halves("mul", (Dtype::F16, &half)).is_empty());
    assert_eq!(of_halves("mul", (Dtype::F32, &single)), ["x/x: out.0: expected [1] f32, got [1] f16"]);
    assert!(of_halves("eq", (Dtype::BOOL, &[1])).is_empty());
    assert_eq!(of_halves("eq", (Dtype::I32, &1i32.to_le_bytes())), ["x/x: out.0: expected [1] i32, got [1] bool"]);
}

#[test]
fn a_small_result_that_is_wrong_and_the_sign_of_a_zero_are_seen() {
    let squared = |x: f32, result: f32, json: &str| {
        let json = format!(r#""op": "mul", "rtol": 1e-5, "atol": 1e-5{json}"#);
        failures_of_case(&json, (Dtype::F32, &x.to_le_bytes()), (Dtype::F32, &result.to_le_bytes())).len()
    };
    assert_eq!(squared(1e-4, 2e-8, ""), 0);
    assert_eq!(squared(1e-4, 2e-8, r#", "scales": {"out.0": 1e-8}"#), 1);
    assert_eq!(squared(1e-4, 1e-8, r#", "scales": {"out.0": 1e-8}"#), 0);
    assert_eq!(squared(-0.0, -0.0, ""), 0);
    assert_eq!(squared(-0.0, -0.0, r#", "signed_zeros": true"#), 1);
    assert_eq!(squared(-0.0, 0.0, r#", "signed_zeros": true"#), 0);
}
