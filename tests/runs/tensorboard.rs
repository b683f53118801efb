//! Event files: the bytes that PyTorch writes, and the values that TensorBoard reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wgrad::logs::Histogram;
use wgrad::logs::tensorboard::{self, ChartGroup, HyperParameter, SummaryWriter, SummaryWriterOptions, Value};
use wgrad::{Device, Tensor};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events.tfevents");

/// The values of the golden file, in its order.
fn write_golden(folder: &Path) -> PathBuf {
    let device = Device::reference();
    let tensor = |values: &[f32]| Tensor::from_slice(&device, values, &[values.len()]).unwrap();
    let mut writer = SummaryWriter::new(folder, SummaryWriterOptions::default().purge_step(3)).unwrap();
    for (value, step) in [0.5, f64::NAN, f64::INFINITY, -0.0, 1e-40, 3.4e38].into_iter().zip(0..) {
        writer.add_scalar("train/loss", value, step * 1000).unwrap();
    }
    let weights = tensor(&[-1.5, -1.0, 0.0, 0.25, 0.25, 2.5, 4.0, 6.0]);
    for (tag, values, bins) in [("weights", weights, 5), ("one", tensor(&[2.5, 2.5]), 3), ("none", tensor(&[]), 3)] {
        writer.add_histogram(tag, &Histogram::of(&values, bins).unwrap(), 7).unwrap();
    }
    let bytes: Vec<f32> = (0..24).map(|number| number as f32 * 10.0 / 255.0).collect();
    writer.add_image("picture", &Tensor::from_slice(&device, &bytes, &[3, 2, 4]).unwrap(), 9).unwrap();
    writer.add_text("notes", "**bold** & <plain>, ünïcode", 10).unwrap();
    let given = [("depth", HyperParameter::Number(18.0)), ("name", HyperParameter::Text("resnet".into()))];
    writer.add_hparams(&given, &[("val/accuracy", 0.75), ("val/loss", 1.5)], 11).unwrap();
    let both = ("both".to_string(), vec!["train/loss".to_string(), "val/loss".to_string()]);
    writer.add_custom_scalars(&[ChartGroup { title: "Loss".into(), charts: vec![both] }]).unwrap();
    writer.path().to_path_buf()
}

/// The events of a file without their checksums and times, and without those that name the format and the program.
fn events(path: &Path) -> Vec<Vec<u8>> {
    let (mut file, mut events) = (&fs::read(path).unwrap()[..], Vec::new());
    while !file.is_empty() {
        let size = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        // The time is the first field: its number, and eight bytes.
        assert_eq!(file[12], 9);
        events.push(file[12 + 9..12 + size].to_vec());
        file = &file[12 + size + 4..];
    }
    events.retain(|event| !event.windows(13).any(|bytes| bytes == b"brain.Event:2"));
    events
}

fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.sort_unstable();
    bytes
}

#[test]
fn events_are_those_of_pytorch_in_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (events(&write_golden(folder.path())), events(Path::new(GOLDEN)));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // Other programs compress a picture to other bytes; its size and pixels are compared elsewhere.
        let is_picture = |event: &[u8]| event.windows(7).any(|bytes| bytes == b"picture");
        if !(is_picture(ours) && is_picture(theirs)) {
            // The entries of a map, such as the hyperparameters, have no order.
            let has_map = ours.windows(18).any(|bytes| bytes == b"session_start_info");
            let in_order = |event: &[u8]| if has_map { sorted(event) } else { event.to_vec() };
            assert_eq!(in_order(ours), in_order(theirs), "{}", String::from_utf8_lossy(theirs));
        }
    }
}

#[test]
fn files_of_pytorch_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (write_golden(folder.path()), tensorboard::read(Path::new(GOLDEN)).unwrap());
    for (ours, theirs) in tensorboard::read(&ours).unwrap().iter().zip(&theirs) {
        assert_eq!((&ours.tag, ours.step), (&theirs.tag, theirs.step));
        match (&ours.value, &theirs.value) {
            (Value::Scalar(ours), Value::Scalar(theirs)) => assert_eq!(ours.to_bits(), theirs.to_bits()),
            (Value::Image { file, .. }, Value::Image { width: 4, height: 2, .. }) => {
                assert_eq!(file[..8], *b"\x89PNG\r\n\x1a\n");
            }
            (ours, theirs) => assert_eq!(ours, theirs),
        }
    }
    assert!(theirs.iter().any(|entry| entry.value == Value::Text(vec!["**bold** & <plain>, ünïcode".into()])));
}

#[test]
fn files_are_named_and_ordered_as_tensorboard_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    // The file of a run on a machine whose clock is ahead, which this one resumes.
    fs::create_dir(&folder).unwrap();
    let mut names: Vec<String> = vec!["events.out.tfevents.4000000000.other.1.0".to_string()];
    fs::write(folder.join(&names[0]), "").unwrap();
    for _ in 0..2 {
        let writer = SummaryWriter::new(&folder, SummaryWriterOptions::default()).unwrap();
        names.push(writer.path().file_name().unwrap().to_str().unwrap().to_string());
    }
    assert!(names.is_sorted() && names[0] != names[1] && names[1] != names[2], "{names:?}");
    let parts: Vec<&str> = names[2].split('.').collect();
    assert_eq!(parts[..3], ["events", "out", "tfevents"]);
    assert!(parts[3].len() == 10 && parts[3].parse::<u64>().is_ok(), "{names:?}");
}

#[test]
fn events_wait_for_as_many_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SummaryWriter::new(folder.path(), SummaryWriterOptions::default().max_queue(3usize)).unwrap();
    let path = writer.path().to_path_buf();
    let written = || tensorboard::read(&path).unwrap().len();
    let counts: Vec<usize> = (1..=4)
        .map(|step| {
            writer.add_scalar("x", 1.0, step).unwrap();
            written()
        })
        .collect();
    assert_eq!(counts, [0, 0, 3, 3]);
    drop(writer);
    assert_eq!(written(), 4);
}

#[test]
fn a_file_that_is_cut_is_read_up_to_there_and_a_damaged_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let golden = fs::read(GOLDEN).unwrap();
    let all = tensorboard::read(Path::new(GOLDEN)).unwrap().len();
    fs::write(&path, &golden[..golden.len() - 1]).unwrap();
    assert_eq!(tensorboard::read(&path).unwrap().len(), all - 1);
    let mut damaged = golden.clone();
    damaged[golden.len() / 2] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let error = tensorboard::read(&path).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}

/// A resumed run, read by TensorBoard itself. The check takes long to start, and needs Python with TensorBoard.
#[test]
fn tensorboard_reads_what_was_written() {
    if std::env::var_os("WGRAD_TEST_ALL").is_none() {
        return;
    }
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_string());
    let has = |module| {
        let import = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !["tensorboard", "PIL"].into_iter().all(has) {
        eprintln!(
            "{python} has no TensorBoard or no Pillow, so what it reads is not compared; PYTHON names another Python"
        );
        return;
    }
    let read = |folder: &Path| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events.py");
        let output = Command::new(&python).arg(script).arg("--read").arg(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_golden(ours.path());
    fs::copy(GOLDEN, theirs.path().join("events.out.tfevents.1.a")).unwrap();
    assert_eq!(read(ours.path()), read(theirs.path()));

    // A run that was ended after step 5 and goes on from step 3.
    let resumed = tempfile::tempdir().unwrap();
    let write = |purge_step: Option<u64>, steps: std::ops::RangeInclusive<u64>, value: f64| {
        let options = SummaryWriterOptions { purge_step, ..SummaryWriterOptions::default() };
        let mut writer = SummaryWriter::new(resumed.path(), options).unwrap();
        steps.for_each(|step| writer.add_scalar("loss", value, step).unwrap());
    };
    write(None, 1..=5, 1.0);
    write(Some(4), 4..=6, 2.0);
    let scalars = &read(resumed.path())["scalars"]["loss"];
    assert_eq!(scalars, &serde_json::json!([[1, "1.0"], [2, "1.0"], [3, "1.0"], [4, "2.0"], [5, "2.0"], [6, "2.0"]]));
}
