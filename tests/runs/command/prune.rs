//! `wgrad prune`: masks, channels, and the files that it writes.

use super::{answer, column, json, pictures, run, text, trained, wgrad};
use std::path::Path;
use std::process::Command;
use wgrad::Device;
use wgrad::compress::pruning::{mask_zeros, prunable, sparsity};
use wgrad::nn::Module;
use wgrad::weights;

fn prune(data: &Path, out: &Path, given: &[&str]) -> Command {
    let mut command = wgrad(["prune", text(out), text(data), "--reference", "--batch-size", "8"]);
    command.args(given);
    command
}

#[test]
fn networks_are_pruned_by_weights_and_by_channels() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    trained(data, &out);
    let before = json(&mut wgrad(["evaluate", text(&out), text(data), "--reference"]));

    let rows = json(&mut prune(data, &out, &["--amount", "0.6", "--epochs", "1", "--lr", "0.01"]));
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["network"].as_str().unwrap()).collect();
    assert_eq!(names, ["before", "pruned", "trained further"]);
    assert_eq!(rows[0]["accuracy"], before[0]["accuracy"]);
    let (parameters, shares) = (column(&rows, "parameters"), column(&rows, "sparsity"));
    assert!(shares[0] == 0.0 && (0.5..0.6).contains(&shares[1]) && shares[2] == shares[1], "{shares:?}");
    assert!(parameters[1] < 0.5 * parameters[0] && parameters[2] == parameters[1]);
    assert_eq!(column(&rows, "bytes"), [column(&rows, "bytes")[0]; 3]);
    assert!(column(&rows, "images_per_second").iter().all(|&speed| speed > 0.0));
    let device = Device::reference();
    let file = out.join("pruned.safetensors");
    let (model, about) = weights::open(&file, &device).unwrap();
    mask_zeros(&prunable(&model)).unwrap();
    assert!((sparsity(&prunable(&model)).unwrap() - 0.6).abs() < 0.01);
    assert_eq!(about.classes, ["bars", "lines"]);

    // Smaller in every respect, and opened as any other network.
    let small = runs.path().join("small.safetensors");
    let given = ["--structured", "--amount", "0.5", "--epochs", "1", "--lr", "0.01", "--out", text(&small)];
    let rows = json(&mut prune(data, &out, &given));
    for name in ["parameters", "bytes", "multiply_adds"] {
        let numbers = column(&rows, name);
        assert!(numbers[1] < 0.5 * numbers[0] && numbers[2] == numbers[1], "{name}: {numbers:?}");
    }
    let after = json(&mut wgrad(["evaluate", text(&small), text(data), "--reference", "--part", "all"]));
    assert_eq!(after[0]["pictures"], 20);
    let (model, _) = weights::open(&small, &device).unwrap();
    let trained: usize = model.parameters().iter().filter(|p| !p.is_buffer()).map(|p| p.value().numel()).sum();
    assert_eq!(trained as f64, column(&rows, "parameters")[2]);

    // Bit by bit; a table for people.
    let movement = ["--method", "movement", "--amount", "0.5", "--epochs", "2"];
    let table = answer(&mut prune(data, &small, &[&movement[..], &["--out", text(&file)]].concat()));
    assert!(table.starts_with("network") && table.contains("trained further") && table.lines().count() == 3, "{table}");
    let (model, _) = weights::open(&file, &device).unwrap();
    mask_zeros(&prunable(&model)).unwrap();
    assert!((sparsity(&prunable(&model)).unwrap() - 0.5).abs() < 0.01);
}

#[test]
fn what_cannot_be_pruned_is_told() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    trained(data, &out);
    let refused = |given: &[&str], code: i32, words: &str| {
        let (got, _, stderr) = run(&mut prune(data, &out, given));
        assert!(got == Some(code) && stderr.contains(words), "{given:?}: {got:?} {stderr}");
    };
    refused(&["--amount", "1"], 2, "--amount must be");
    refused(&["--method", "scale"], 2, "needs --structured");
    refused(&["--structured", "--method", "movement"], 2, "magnitude, uniform or scale");
    refused(&["--gradual", "--epochs", "0"], 2, "--epochs");
    refused(&["--lr", "0"], 2, "--lr must be above 0");
    std::fs::create_dir(data.join("dots")).unwrap();
    std::fs::copy(data.join("bars/0.png"), data.join("dots/0.png")).unwrap();
    std::fs::copy(data.join("bars/1.png"), data.join("dots/1.png")).unwrap();
    refused(&[], 1, "the network knows bars, lines, and not bars, dots, lines");
}
