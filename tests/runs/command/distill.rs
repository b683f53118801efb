//! `wgrad distill`: a student, its teacher's answers, and the table of both.

use super::{answer, json, pictures, run, text, wgrad};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn distill(data: &Path, teacher: &Path, out: &Path) -> Command {
    let mut command = wgrad(["distill", text(data), "--teacher", text(teacher), "--out", text(out), "--reference"]);
    command.args(["--model", "lenet5", "--batch-size", "8", "--lr", "0.01"]);
    command
}

#[test]
fn a_student_learns_from_a_run() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, [first, second, third]) = (folder.path(), ["1", "2", "3"].map(|name| runs.path().join(name)));
    let mut teacher = wgrad(["train", text(data), "--out", text(&first), "--reference", "--model", "lenet5"]);
    answer(teacher.args(["--batch-size", "8", "--lr", "0.01", "--size", "16", "--epochs", "3"]));

    // The size is the teacher's, though the pictures have another, and there are pairs of layers.
    let layers = ["--attention", "conv2=conv1", "--attention-weight", "0"];
    let (code, _, stderr) = run(distill(data, &first, &second).args(layers));
    assert!(code == Some(1) && stderr.contains("differ in C alone"), "{stderr}");
    let mut taught = distill(data, &first, &third);
    taught.args(["--soft", "1", "--temperature", "3", "--attention", "conv2=conv2", "--hint", "fc1=fc2"]);
    let fit = json(taught.args(["--epochs", "3"]));
    let config: Value = serde_json::from_str(&std::fs::read_to_string(third.join("config.json")).unwrap()).unwrap();
    let settings = &config["settings"];
    assert_eq!((&settings["size"], &settings["teaching"]["temperature"]), (&16.into(), &3.0.into()));
    assert_eq!(settings["teaching"]["hint"][0]["teacher"], "fc2");
    let networks = &fit["networks"];
    assert_eq!((&networks[0]["network"], &networks[1]["network"]), (&"teacher".into(), &"student".into()));
    assert_eq!(networks[1]["accuracy"], fit["best"]["accuracy"]);
    // 61,706 for digits; two classes and three channels of 16 x 16 here.
    let parameters = |at: usize| networks[at]["parameters"].as_u64().unwrap();
    assert_eq!((parameters(0), parameters(1)), (21_006, 21_006));
    assert_eq!(networks[0]["bytes"].as_u64().unwrap(), 4 * 21_006);
    assert!(networks[0]["images_per_second"].as_f64().unwrap() > 0.0);

    // The run goes on with its teacher, whichever command resumes it.
    for (at, epochs) in ["distill", "train"].into_iter().zip(["4", "5"]) {
        let mut again = wgrad([at, text(data), "--out", text(&third), "--resume", "--epochs", epochs, "--reference"]);
        let table = answer(&mut again);
        let rows: Vec<&str> = table.lines().rev().take(3).collect();
        assert!(rows[0].starts_with("student  lenet5") && rows[1].starts_with("teacher  lenet5"), "{table}");
        assert!(rows[2].contains("multiply-adds  accuracy  images/s"), "{table}");
    }
}

#[test]
fn wrong_lessons_are_refused() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, [first, second]) = (folder.path(), ["1", "2"].map(|name| runs.path().join(name)));
    let mut teacher = wgrad(["train", text(data), "--out", text(&first), "--reference", "--model", "lenet5"]);
    answer(teacher.args(["--batch-size", "20", "--lr", "0.01", "--epochs", "1"]));
    for (given, expected, words) in [
        (&["--soft", "1.5"][..], 2, "--soft must be between 0 and 1"),
        (&["--temperature", "0"], 2, "--temperature must be above 0"),
        (&["--hint", "conv1"], 2, "two layers with ="),
        (&["--hint", "conv1=conv9"], 1, "the teacher runs no layer \"conv9\""),
        (&["--attention", "conv9=conv1"], 1, "the student runs no layer \"conv9\""),
    ] {
        let (code, _, stderr) = run(distill(data, &first, &second).args(given));
        assert!(code == Some(expected) && stderr.contains(words), "{given:?}: {stderr}");
    }
    let (code, _, stderr) = run(&mut wgrad(["distill", text(data), "--reference"]));
    assert!(code == Some(2) && stderr.contains("--teacher"), "{stderr}");
    let mut resumed = wgrad(["distill", text(data), "--out", text(&first), "--resume", "--reference"]);
    let (code, _, stderr) = run(&mut resumed);
    assert!(code == Some(1) && stderr.contains("the run has no teacher"), "{stderr}");
    std::fs::rename(data.join("lines"), data.join("waves")).unwrap();
    let (code, _, stderr) = run(&mut distill(data, &first, &second));
    assert!(code == Some(1) && stderr.contains("the teacher tells bars, lines"), "{stderr}");
    let help = answer(&mut wgrad(["distill", "--help"]));
    assert!(help.starts_with("Train a small network to answer as a large one does"), "{help}");
    assert!(help.contains("born again") && help.contains("--label-smoothing"), "{help}");
}
