//! `wgrad factorize`: layers as two smaller ones, and the file that they are read from.

use super::{column, json, pictures, run, text, trained, wgrad};
use wgrad::Device;
use wgrad::nn::Module;
use wgrad::weights;

#[test]
fn layers_become_two_of_a_low_rank() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    trained(data, &out);
    let factorize = |given: &[&str]| {
        let mut command = wgrad(["factorize", text(&out), text(data), "--reference", "--batch-size", "8"]);
        command.args(given);
        command
    };
    let rows = json(&mut factorize(&["--share", "0.25", "--epochs", "1", "--lr", "0.01"]));
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["network"].as_str().unwrap()).collect();
    assert_eq!(names, ["before", "factorized", "trained further"]);
    for name in ["parameters", "bytes", "multiply_adds"] {
        let numbers = column(&rows, name);
        assert!(numbers[1] < 0.6 * numbers[0] && numbers[2] == numbers[1], "{name}: {numbers:?}");
    }
    let file = out.join("factorized.safetensors");
    let (model, about) = weights::open(&file, &Device::reference()).unwrap();
    let held: usize = model.parameters().iter().filter(|p| !p.is_buffer()).map(|p| p.value().numel()).sum();
    assert_eq!(held as f64, column(&rows, "parameters")[2]);
    assert_eq!(about.classes, ["bars", "lines"]);
    let scores = json(&mut wgrad(["evaluate", text(&file), text(data), "--reference", "--part", "all"]));
    assert_eq!(scores[0]["pictures"], 20);

    // One layer, told by its name, by the other scheme.
    let (code, table, notes) =
        run(&mut factorize(&["--rank", "1", "--only", "classifier*", "--scheme", "channel", "--epochs", "0"]));
    assert!(code == Some(0) && table.starts_with("network") && table.lines().count() == 3, "{table}");
    assert!(notes.contains("classifier: rank 1 of") && notes.matches("energy").count() == 1, "{notes}");

    let refused = |given: &[&str], code: i32, words: &str| {
        let (got, _, stderr) = run(&mut factorize(given));
        assert!(got == Some(code) && stderr.contains(words), "{given:?}: {got:?} {stderr}");
    };
    refused(&["--energy", "1.5"], 2, "--energy must be");
    refused(&["--rank", "0"], 2, "--rank must be");
    refused(&["--rank", "4", "--share", "0.5"], 2, "cannot be used with");
    refused(&["--rank", "100000"], 1, "save nothing");
}
