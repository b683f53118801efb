//! Profiles: every kernel is timed and named, with timestamp queries and without, and nothing is left behind.

use crate::common::{Random, adapter, inputs, numbered, own_adapter, tensor};
use std::collections::BTreeSet;
use std::time::Duration;
use wgrad::nn::{Linear, Module, Relu, Scope, Sequential};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Disable, Error, Noop, Profile, Result, Tensor, ops};

fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (random.unit() - 0.5) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// The adapter under test, the same without timestamp queries, the noop adapter, and the reference.
fn devices() -> Vec<(&'static str, Device)> {
    let disable = Disable { timestamps: true, ..Disable::default() };
    let without = DeviceOptions::default().disable(disable);
    let noop = DeviceOptions::default().noop(Noop::default());
    let mut devices = vec![("noop", Device::with_options(&noop).unwrap()), ("reference", Device::reference())];
    if adapter().is_some() {
        devices.push(("adapter", own_adapter().unwrap()));
        devices.push(("no timestamps", Device::with_options(&without).unwrap()));
    }
    devices
}

#[test]
fn every_kernel_is_timed_and_named() {
    for (what, device) in devices() {
        let (a, b) = (random(&device, &[96, 96], 1), random(&device, &[96, 96], 2));
        device.peak_flops().unwrap();
        device.sync().unwrap();
        let before = device.stats().dispatches;
        let line = line!() + 2;
        let work = || -> Result<Vec<f32>> {
            let product = a.matmul(&b)?;
            product.softmax(1)?.to_vec::<f32>()
        };
        let plain = work().unwrap();
        let dispatches = device.stats().dispatches - before;
        let (values, profile) = device.profile(work).unwrap();
        assert_eq!(values, plain, "{what}: a profile changes no value");
        assert_eq!(profile.events().len() as u64, dispatches, "{what}");
        assert_eq!(device.stats().dispatches, before + 2 * dispatches, "{what}: nothing but the work is counted");

        let ops = profile.by_op();
        let named =
            |name: &str| ops.iter().find(|row| row.name.contains(name)).unwrap_or_else(|| panic!("{what}: {name}"));
        assert_eq!(named("matmul").count + named("softmax").count, profile.events().len(), "{what}");
        let lines = profile.by_line();
        for expected in [format!("tests/devices/profile.rs:{line}"), format!("tests/devices/profile.rs:{}", line + 1)] {
            assert!(lines.iter().any(|row| row.name == expected), "{what}: {expected} is not in {lines:?}");
        }
        consistent(what, &profile);
        if what == "adapter" {
            assert_eq!(profile.by_timestamps(), device.adapter().unwrap().has_timestamps);
        } else {
            assert!(!profile.by_timestamps(), "{what}");
        }
        if what == "adapter" || what == "no timestamps" {
            let peak = profile.peak_flops().unwrap();
            assert!(peak > 1e8, "{what}: {peak} operations a second");
            let share = named("matmul").share_of_peak.unwrap();
            assert!(share > 0.0 && share < 1.2, "{what}: {share} of the peak");
            assert!(named("matmul").total > Duration::ZERO, "{what}");
            // Measured once.
            assert_eq!(device.peak_flops().unwrap(), Some(peak), "{what}");
        } else {
            assert_eq!(profile.peak_flops(), None, "{what}");
        }
    }
}

/// Properties of every profile.
fn consistent(what: &str, profile: &Profile) {
    let events = profile.events();
    assert!(profile.device_time() <= profile.wall_time() + Duration::from_millis(1), "{what}");
    for pair in events.windows(2) {
        assert!(pair[0].start <= pair[1].start, "{what}: kernels run in order");
        assert!(pair[0].start + pair[0].time <= pair[1].start + Duration::from_micros(1), "{what}: one at a time");
    }
    for rows in [profile.by_kernel(), profile.by_op(), profile.by_line()] {
        assert_eq!(rows.iter().map(|row| row.count).sum::<usize>(), events.len(), "{what}");
        assert_eq!(rows.iter().map(|row| row.total).sum::<Duration>(), profile.device_time(), "{what}");
        assert!(rows.windows(2).all(|pair| pair[0].total >= pair[1].total), "{what}: the longest first");
        if !profile.device_time().is_zero() {
            let share: f64 = rows.iter().map(|row| row.share).sum();
            assert!((share - 1.0).abs() < 1e-9, "{what}: shares add up to {share}");
        }
    }
    let text = profile.to_string();
    for part in ["kernel", "operation", "line", "share", &events[0].op, events[0].kernel] {
        assert!(text.contains(part), "{what}: {part} is not in\n{text}");
    }
}

/// A longer matmul takes longer, and most of a profile's time.
#[test]
fn times_are_those_of_the_work() {
    for (what, device) in devices().into_iter().filter(|(what, _)| *what != "noop" && *what != "reference") {
        let large = random(&device, &[384, 384], 1);
        let small = random(&device, &[16, 16], 2);
        let work = || large.matmul(&large)?.to_vec::<f32>().and(small.exp()?.to_vec::<f32>());
        work().unwrap();
        let (_, profile) = device.profile(work).unwrap();
        let rows = profile.by_op();
        assert!(rows[0].name == "matmul" && rows[0].share > 0.5, "{what}:\n{profile}");
        assert!(rows[0].total * 20 > profile.wall_time() / 10, "{what}:\n{profile}");
    }
}

#[test]
fn a_training_step_is_ascribed_to_the_lines_that_record_it() {
    let device = Device::reference();
    let scope = Scope::new(&device);
    let net = Sequential::new(&scope)
        .make(|s| Linear::new(s, 8, 8))
        .unwrap()
        .push(Relu)
        .make(|s| Linear::new(s, 8, 4))
        .unwrap();
    let mut sgd = Sgd::new(net.parameters(), SgdOptions::default().momentum(0.9)).unwrap();
    let labels = Tensor::from_slice(&device, &[0, 1, 2], &[3]).unwrap();
    let line = line!() + 2;
    let step = || -> Result<()> {
        let x = random(&device, &[3, 8], 1).mul_scalar(2.0)?;
        let logits = net.forward(&x)?;
        let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        sgd.step()
    };
    let (_, profile) = device.profile(step).unwrap();
    let mut lines: Vec<String> = profile.by_line().into_iter().map(|row| row.name).collect();
    lines.sort();
    // The gradients are ascribed to the calls that they differentiate; `backward` itself records only the seed, which needs no
    // kernel on an adapter.
    let expected: Vec<String> = [0, 1, 2, 3, 4].map(|at| format!("tests/devices/profile.rs:{}", line + at)).into();
    assert_eq!(lines, expected);
    let forward = profile.by_line().into_iter().find(|row| row.name == expected[1]).unwrap();
    assert!(forward.count >= 8, "two layers, their gradients and relu's: {forward:?}");
}

#[test]
fn profiles_do_not_nest_and_end_with_their_body() {
    let device = Device::reference();
    let (inner, _) = device.profile(|| Ok(device.profile(|| Ok(()))).map(|inner| inner.map(drop))).unwrap();
    let error = inner.unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "profile", .. }), "{error}");
    // An error of the body ends it, and so does a panic.
    assert!(device.profile(|| -> Result<()> { Err(Error::NoGradient { op: "test" }) }).is_err());
    let panics = || device.profile(|| -> Result<()> { panic!("on purpose") }).map(drop);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
    assert!(panicked.is_err());
    let (value, profile) = device.profile(|| Tensor::ones(&device, &[3])?.exp()?.sum_all()?.item::<f32>()).unwrap();
    assert!(value > 8.0 && profile.events().len() >= 2);
    // Work of another device is not in it.
    let other = Device::reference();
    let (_, profile) = device.profile(|| Tensor::ones(&other, &[3])?.exp()?.to_vec::<f32>()).unwrap();
    assert!(profile.events().is_empty());
    assert!(profile.to_string().contains("0 kernels"));
}

#[test]
fn work_recorded_before_is_not_counted() {
    let device = Device::reference();
    let before = Tensor::ones(&device, &[3]).unwrap().exp().unwrap();
    let (_, profile) = device.profile(|| before.sin()?.to_vec::<f32>()).unwrap();
    assert_eq!(profile.events().iter().map(|event| &*event.op).collect::<Vec<_>>(), ["sin"]);
}

#[test]
fn the_trace_is_json_that_viewers_read() {
    let folder = tempfile::tempdir().unwrap();
    for (what, device) in devices() {
        let x = random(&device, &[8, 8], 3);
        let (_, profile) = device.profile(|| x.matmul(&x)?.softmax(1)?.to_vec::<f32>()).unwrap();
        let path = folder.path().join("trace.json");
        profile.write_chrome_trace(&path).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let events: Vec<&serde_json::Value> =
            trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").collect();
        assert_eq!(events.len(), profile.events().len(), "{what}");
        for (event, expected) in events.iter().zip(profile.events()) {
            assert_eq!(event["name"], *expected.op, "{what}");
            assert_eq!(event["args"]["kernel"], expected.kernel, "{what}");
            assert!((event["dur"].as_f64().unwrap() - expected.time.as_secs_f64() * 1e6).abs() < 1e-3, "{what}");
            assert!(event["ts"].as_f64().unwrap() >= 0.0 && event["pid"].is_u64() && event["tid"].is_u64(), "{what}");
            assert!(event["args"]["line"].as_str().unwrap().contains("tests/devices/profile.rs:"), "{what}");
        }
    }
    // Nothing temporary stays, and a path that cannot be written is a typed error.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let (_, profile) = Device::reference().profile(|| Ok(())).unwrap();
    let error = profile.write_chrome_trace(folder.path().join("no/such/folder.json")).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

/// The name of the function that contains a line of a source file, and the line.
fn function_at(file: &str, line: usize) -> (String, String) {
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let name = |line: &str| {
        let (before, rest) = line.split_once("fn ")?;
        let is_head = before.trim().is_empty() || before.trim().starts_with("pub");
        is_head.then(|| rest.split(['(', '<']).next().unwrap_or_default().to_string())
    };
    let at = text.lines().nth(line - 1).unwrap_or_default().trim().to_string();
    (text.lines().take(line).filter_map(name).last().unwrap_or_default(), at)
}

/// The calls that an operation is composed of are recorded for its caller: here the closures of the cases, and functions that
/// only cases call. A case that names a method instead of calling it is recorded for the method's head.
#[test]
fn compositions_are_ascribed_to_their_callers() {
    let device = Device::reference();
    let cases = ops::cases();
    let mut wrong = BTreeSet::new();
    for (number, case) in numbered(&cases) {
        let inputs: Vec<Tensor> = case
            .inputs
            .iter()
            .zip(inputs(case, number))
            .map(|(input, values)| tensor(&device, input, &values))
            .collect();
        let run = || -> Result<()> {
            let outputs = (case.run)(&inputs)?;
            outputs.iter().try_for_each(|output| output.to_f64().map(drop))
        };
        let (_, profile) = device.profile(run).unwrap();
        for event in profile.events() {
            let (file, line) = (event.source.file(), event.source.line() as usize);
            let (function, text) = function_at(file, line);
            let of_cases = ["case", "centred", "dimension"].iter().any(|part| function.contains(part));
            if !of_cases && !file.ends_with("cases.rs") && !text.contains("fn ") {
                wrong.insert(format!("{} of {} at {file}:{line} in {function}: {text}", event.op, case.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} calls are ascribed to lines of the library:\n{wrong:#?}", wrong.len());
}
