//! The command `wgrad`, as a shell runs it.

mod cluster;
mod data;
mod distill;
mod explain;
mod factorize;
mod prune;
mod quantize;
mod train;
mod usage;

use image::{Rgb, RgbImage};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The command with arguments, isolated from this machine's files.
fn wgrad<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).env_remove("WGPU_ADAPTER_NAME");
    command
}

/// The exit code, as a shell sees it, then standard output and error as texts.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Standard output of a command that should succeed.
fn answer(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

/// The same as JSON.
fn json(command: &mut Command) -> Value {
    serde_json::from_str(&answer(command.arg("--json"))).unwrap()
}

/// A folder of drawn pictures of 12 x 12: `bars` with a bright vertical bar, `lines` with a horizontal one, ten of each. No two
/// are equal.
fn pictures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, is_upright) in [("bars", true), ("lines", false)] {
        for number in 0..10u32 {
            let picture = RgbImage::from_fn(12, 12, |x, y| {
                let across = if is_upright { x } else { y };
                let noise = ((x * 31 + y * 17 + number * 57) % 40) as u8;
                let bright = u8::from(across.abs_diff(number + 1) <= 1) * 180;
                Rgb([bright + noise, bright / 2 + noise, noise])
            });
            save(&picture, &folder.path().join(class).join(format!("{number}.png")));
        }
    }
    folder
}

/// Trains a small network.
fn trained(data: &Path, out: &Path) {
    let mut command = wgrad(["train", text(data), "--out", text(out), "--reference", "--model", "simple_cnn"]);
    answer(command.args([
        "--batch-size",
        "8",
        "--lr",
        "0.01",
        "--label-smoothing",
        "0",
        "--epochs",
        "4",
        "--size",
        "8",
    ]));
}

/// The numbers of a key in rows.
fn column(rows: &Value, name: &str) -> Vec<f64> {
    rows.as_array().unwrap().iter().map(|row| row[name].as_f64().unwrap()).collect()
}

fn save(picture: &RgbImage, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(path).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
