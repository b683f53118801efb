//! The example job, run as a program. `cargo test` and `cargo nextest run` build examples before they test.

use crate::common::adapter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Runs `examples/mnist.rs`.
fn job(arguments: &[&str]) -> Output {
    example("mnist", arguments)
}

/// An example's program is next to the folder of this test's.
fn example(name: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let program: PathBuf = target.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    Command::new(&program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; cargo build --example {name} makes it", program.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn last_line(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().last().unwrap().to_string()
}

#[test]
fn an_operation_of_ones_own_is_what_its_reference_is() {
    let Some(expected) = adapter() else { return };
    let line = last_line(&example("custom_op", &[]));
    assert!(line.starts_with(&format!("{} and the reference differ by at most ", expected.name())), "{line}");
}

#[test]
fn the_last_line_is_the_result() {
    let Some(expected) = adapter() else { return };
    let line = last_line(&job(&["--limit", "20"]));
    let (accuracy, rest) = line.strip_prefix("test accuracy ").unwrap().split_once(" after 1 epochs, ").unwrap();
    assert_eq!(accuracy.len(), 6);
    assert!((0.0..=1.0).contains(&accuracy.parse::<f64>().unwrap()));
    let (speed, device) = rest.split_once(" images/s on ").unwrap();
    assert!(speed.parse::<u64>().is_ok() && device == expected.name(), "{line}");
}

#[test]
fn a_resumed_job_writes_the_same_checkpoint() {
    if adapter().is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (whole, half, metrics) = (file("whole"), file("half"), file("metrics"));
    let common = ["--limit", "200", "--seed", "7"];
    let run = |more: &[&str]| last_line(&job(&[&common[..], more].concat()));
    let expected = run(&["--epochs", "2", "--checkpoint", &whole]);
    run(&["--epochs", "1", "--checkpoint", &half, "--metrics", &metrics]);
    let got = run(&["--epochs", "2", "--checkpoint", &half, "--resume", &half, "--metrics", &metrics]);
    assert!(std::fs::read(&whole).unwrap() == std::fs::read(&half).unwrap());
    let accuracy = |line: &str| line.split(", ").next().unwrap().to_string();
    assert_eq!(accuracy(&expected), accuracy(&got));
    assert_eq!(accuracy(&last_line(&job(&["--eval", &half]))), accuracy(&got));

    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(metrics).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for key in
        ["train_loss", "test_accuracy", "images_per_second", "first_step_ms", "step_ms_median", "peak_device_bytes"]
    {
        assert!(lines.iter().all(|line| line[key].as_f64().is_some_and(|value| value > 0.0)), "{key}: {lines:?}");
    }
}

#[test]
fn bad_usage_is_one_line_and_exit_code_1() {
    let folder = TempDir::new().unwrap();
    let cut = folder.path().join("cut");
    std::fs::write(&cut, b"12345").unwrap();
    let cut = cut.display().to_string();
    for (arguments, expected) in [
        (&["--batch-size", "0"][..], "batch size is 0"),
        (&["--limit", "0"], "at least one image"),
        (&["--epochs", "0"], "--epochs is 0"),
        (&["--lr", "-1"], "lr is -1"),
        (&["--lr", "nan"], "lr is NaN"),
        (&["--optimizer", "other"], "other"),
        (&["--data", "/nowhere"], "/nowhere/train-images-idx3-ubyte"),
        (&["--resume", &cut], "not a whole safetensors file"),
        (&["--eval", "/nowhere"], "/nowhere"),
        (&["--checkpoint", "/nowhere/file"], "there is no folder /nowhere"),
        (&["--metrics", "/nowhere/file"], "/nowhere/file"),
        (&["--unknown"], "--unknown"),
    ] {
        let output = job(&[&["--reference"], arguments].concat());
        let (lines, code) = (text(&output.stderr), output.status.code());
        assert_eq!((code, lines.lines().count()), (Some(1), 1), "{arguments:?}: {lines}");
        assert!(lines.contains(expected), "{expected:?} in {lines:?}");
        assert!(output.stdout.is_empty());
    }
    let output = job(&["--adapter", "no such adapter"]);
    let lines = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.lines().last().unwrap().contains("no such adapter") && lines.contains("available"), "{lines}");
}
