//! `wgrad train`, and the files that it leaves behind.

use super::{answer, json, pictures, run, text, wgrad};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use wgrad::weights::Metadata;

/// A small network on the CPU.
fn train(data: &Path, out: &Path) -> Command {
    let mut command = wgrad(["train", text(data), "--out", text(out), "--reference", "--model", "lenet5"]);
    command.args(["--batch-size", "8", "--lr", "0.01", "--label-smoothing", "0"]);
    command
}

fn config(out: &Path) -> Value {
    let config: Value = serde_json::from_str(&fs::read_to_string(out.join("config.json")).unwrap()).unwrap();
    config["settings"].clone()
}

#[test]
fn a_folder_becomes_a_network_that_tells_its_classes() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    let fit = json(train(data, &out).args(["--epochs", "8"]));
    assert_eq!((&fit["epochs"], &fit["steps"], &fit["stopped"]), (&8.into(), &16.into(), &Value::Null));
    assert!(fit["best"]["accuracy"].as_f64().unwrap() > 0.9, "{fit}");

    // The weights' metadata is enough to use them.
    let about = Metadata::read(out.join("best.safetensors")).unwrap();
    assert_eq!(
        (about.architecture.as_str(), &about.classes),
        ("lenet5", &vec!["bars".to_string(), "lines".to_string()])
    );
    assert_eq!((about.options.channels, about.options.size), (3, [12, 12]));
    assert_eq!(fs::read_to_string(out.join("classes.txt")).unwrap(), "bars\nlines\n");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("lenet5 on ") && page.contains("Confusion matrix"));
    assert_eq!(fs::read_to_string(out.join("metrics.csv")).unwrap().lines().count(), 9);
    assert!(fs::read_dir(&out).unwrap().any(|entry| text(&entry.unwrap().path()).contains("events.out.tfevents")));
    assert_eq!(config(&out)["size"], 12);
    for network in [text(&out), text(&out.join("best.safetensors"))] {
        for class in ["bars", "lines"] {
            let told = json(&mut wgrad(["predict", network, text(&data.join(class)), "--reference", "--top", "1"]));
            let told = told.as_array().unwrap();
            let right = told.iter().filter(|told| told["classes"][0]["class"] == class).count();
            assert!(told.len() == 10 && right >= 9, "{class}: {told:?}");
        }
    }
    let first = data.join("bars/0.png");
    let lines = answer(&mut wgrad(["predict", text(&out), text(&first), "--reference", "--csv"]));
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "file,rank,class,probability");
    assert!(lines.len() == 3 && lines[1].starts_with(&format!("{},1,bars,0.", text(&first))), "{lines:?}");
    let report = json(&mut wgrad(["evaluate", text(&out), text(data), "--reference"]));
    assert_eq!(report[0]["pictures"], 4);
    assert_eq!(report[0]["accuracy"], fit["best"]["accuracy"]);
    let report = json(&mut wgrad(["evaluate", text(&out), text(data), "--reference", "--part", "train"]));
    let matrix: Vec<u64> = (0..4).map(|at| report[0]["confusion_matrix"][at / 2][at % 2].as_u64().unwrap()).collect();
    assert_eq!((matrix[0] + matrix[1], matrix[2] + matrix[3]), (10, 10));
    assert_eq!(report[0]["accuracy"].as_f64().unwrap(), (matrix[0] + matrix[3]) as f64 / 20.0);
    assert_eq!(report[0]["classes"][1]["recall"].as_f64().unwrap(), matrix[3] as f64 / 10.0);
    let table = answer(&mut wgrad(["evaluate", text(&out), text(data), "--reference", "--part", "train"]));
    assert!(table.contains(&format!("accuracy           {:.4}", report[0]["accuracy"].as_f64().unwrap())), "{table}");
    let page = out.join("scores.html");
    answer(&mut wgrad(["evaluate", text(&out), text(data), "--reference", "--part", "train", "--page", text(&page)]));
    let page = std::fs::read_to_string(page).unwrap();
    let mistakes = matrix[1] + matrix[2];
    let accuracy = format!("<td>accuracy</td><td>{:.4}</td>", report[0]["accuracy"].as_f64().unwrap());
    assert!(page.contains(&accuracy) && page.contains("Right and wrong answers"), "{page}");
    assert_eq!(page.matches("<img").count() as u64, mistakes);
    let layers = json(&mut wgrad(["summary", text(&out)]));
    assert_eq!(layers["layers"][0]["input"], serde_json::json!([1, 3, 12, 12]));

    // An existing run is not overwritten, and goes on with its settings.
    let (code, _, stderr) = run(&mut train(data, &out));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("holds a run already") && stderr.contains("hint: --resume"), "{stderr}");
    let fit = json(&mut wgrad(["train", text(data), "--out", text(&out), "--resume", "--epochs", "9", "--reference"]));
    assert_eq!((&fit["epochs"], &fit["steps"]), (&9.into(), &18.into()));
    assert_eq!((&config(&out)["model"], &config(&out)["epochs"]), (&"lenet5".into(), &9.into()));
}

#[test]
fn weights_of_other_classes_are_a_beginning() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (first, second) = (runs.path().join("1"), runs.path().join("2"));
    answer(train(folder.path(), &first).args(["--epochs", "1"]));
    fs::create_dir(folder.path().join("blank")).unwrap();
    for name in ["a.png", "b.png", "c.png", "d.png", "e.png"] {
        image::GrayImage::new(12, 12).save(folder.path().join("blank").join(name)).unwrap();
    }
    // The run's folder means its best weights.
    let weights = first.join("best.safetensors");
    let given = ["--weights", text(&first), "--freeze", "backbone", "--epochs", "1", "--channels", "rgb"];
    let (code, _, stderr) = run(train(folder.path(), &second).args(given));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("8 of 10 tensors") && stderr.contains("mismatched: fc3.weight"), "{stderr}");
    // The last layer alone was trained.
    let values = |path: &Path, name: &str| {
        let device = wgrad::Device::reference();
        let mut reader = wgrad::weights::Reader::open(path).unwrap();
        reader.read(name, &device).unwrap().to_f64().unwrap()
    };
    let after = second.join("best.safetensors");
    assert_eq!(values(&weights, "conv1.weight"), values(&after, "conv1.weight"));
    assert_eq!(values(&after, "fc3.bias").len(), 3);

    // Thawed in the last epoch, at a tenth of the head's rate.
    let third = runs.path().join("3");
    let given = ["--weights", text(&first), "--freeze", "backbone", "--unfreeze-at", "1", "--epochs", "2"];
    answer(train(folder.path(), &third).args(given));
    assert_ne!(values(&weights, "conv1.weight"), values(&third.join("last.safetensors"), "conv1.weight"));
    let rows = fs::read_to_string(third.join("metrics.csv")).unwrap();
    let column = |name: &str| rows.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
    let cells: Vec<f64> = rows.lines().nth(1).unwrap().split(',').map(|cell| cell.parse().unwrap_or(0.0)).collect();
    let (slow, fast) = (cells[column("lr")], cells[column("lr/3")]);
    assert!((slow - 0.1 * fast).abs() <= 1e-9 * fast && fast > 0.0, "{slow} {fast}");
    let (code, _, stderr) = run(train(folder.path(), &runs.path().join("4")).args(["--unfreeze-at", "1"]));
    assert!(code == Some(2) && stderr.contains("--unfreeze-at needs --freeze"), "{stderr}");
}

#[test]
fn what_else_can_be_asked_of_a_run() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let fit = |number: &str, given: &[&str]| {
        let out = runs.path().join(number);
        let run = ["train", text(folder.path()), "--out", text(&out), "--reference", "--model", "lenet5"];
        json(wgrad(run).args(given))
    };
    let options = ["--epochs", "2", "--ema", "0.5", "--lr", "auto", "--batch-size", "auto", "--early-stop", "1"];
    assert_eq!(fit("1", &options)["epochs"], 2);
    let lr = config(&runs.path().join("1"))["lr"].as_f64().unwrap();
    assert!((1e-6..1.0).contains(&lr), "{lr}");
    let stopped = fit("2", &["--epochs", "100000", "--max-time", "1s"]);
    assert!(stopped["stopped"].as_str().unwrap().contains("time"), "{stopped}");
    let learned = fit("3", &["--epochs", "40", "--overfit-one-batch", "--lr", "0.01", "--label-smoothing", "0"]);
    assert!(learned["last"]["train/loss"].as_f64().unwrap() < 0.1, "{learned}");
    assert_eq!(fit("4", &["--epochs", "1", "--amp", "--sam", "0.05", "--lr", "auto"])["epochs"], 1);
    let mut unet = wgrad(["train", text(folder.path()), "--model", "unet", "--reference", "--size", "16"]);
    let (code, _, stderr) = run(unet.args(["--out", text(&runs.path().join("6"))]));
    assert!(code == Some(1) && stderr.contains("unet gives no class for a picture as a whole"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_saves_and_goes_on() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    let mut child = train(data, &out).args(["--epochs", "100000"]).stderr(Stdio::null()).spawn().unwrap();
    let written = out.join("last.safetensors");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !written.exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let fit = json(&mut wgrad(["train", text(data), "--out", text(&out), "--resume", "--epochs", "1", "--reference"]));
    assert!(fit["epochs"].as_u64().unwrap() >= 1, "{fit}");
}

#[test]
fn each_augmentation_trains_otherwise_and_always_the_same() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let loss = |number: u32, augment: &str| {
        let out = runs.path().join(number.to_string());
        let fit = json(train(folder.path(), &out).args(["--epochs", "1", "--augment", augment]));
        fit["last"]["train/loss"].as_f64().unwrap()
    };
    let losses: Vec<f64> =
        (0..).zip(["none", "light", "trivial", "rand", "auto"]).map(|(n, name)| loss(n, name)).collect();
    for (at, one) in losses.iter().enumerate() {
        assert!(one.is_finite() && losses[..at].iter().all(|other| other != one), "{losses:?}");
    }
    assert_eq!(loss(9, "light"), losses[1]);
}

#[test]
fn misuse_is_told_before_anything_is_read() {
    let runs = tempfile::tempdir().unwrap();
    let out = runs.path().join("1");
    for (given, message) in [
        (&["--epochs", "0"][..], "--epochs must be at least 1"),
        (&["--batch-size", "many"], "invalid digit found in string, and it is not auto"),
        (&["--max-time", "soon"], "such as 30m"),
        (&["--val-split", "1"], "--val-split must be above 0 and below 1"),
        (&["--lr", "0"], "--lr must be above 0"),
        (&["--sam", "0"], "--sam must be above 0"),
    ] {
        let (code, _, stderr) = run(wgrad(["train", "/nowhere", "--out", text(&out)]).args(given));
        assert_eq!(code, Some(2), "{given:?}: {stderr}");
        assert!(stderr.contains(message), "{given:?}: {stderr}");
    }
    assert!(!out.exists());
    let (code, _, stderr) = run(&mut wgrad(["train", "/nowhere", "--out", "/nowhere/1", "--resume"]));
    assert!(code == Some(1) && stderr.contains("a run's folder where `wgrad train` began"), "{stderr}");
}

#[test]
fn a_file_that_cannot_be_read_is_left_out_of_training_and_an_error_of_prediction() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    let damaged = data.join("bars/7.png");
    fs::write(&damaged, "no picture").unwrap();
    let (code, _, stderr) = run(train(data, &out).args(["--epochs", "1"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(&format!("left out: {}", text(&damaged))), "{stderr}");
    let (code, stdout, stderr) = run(&mut wgrad(["predict", text(&out), text(&data.join("bars")), "--reference"]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("1 of 10 files can't be read") && stdout.lines().count() == 10, "{stderr}{stdout}");
}
