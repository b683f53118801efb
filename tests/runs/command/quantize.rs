//! `wgrad quantize`.

use super::{answer, json, pictures, run, text, wgrad};

#[test]
fn a_network_is_quantized_in_each_way_and_evaluated_from_its_file() {
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures());
    let out = folder.path().join("run");
    let arguments = ["train", text(data.path()), "--out", text(&out), "--model", "lenet5", "--size", "12"];
    answer(wgrad(arguments).args(["--epochs", "2", "--reference", "--quiet"]));
    let quantize = |more: &[&str]| {
        let mut command = wgrad(["quantize", text(&out), text(data.path()), "--reference", "--batch-size", "5"]);
        command.args(more);
        command
    };
    let small = out.join("best.int8.safetensors");
    let report = json(&mut quantize(&["--calibrate", "8", "--observer", "percentile"]));
    assert_eq!(report["file"], text(&small));
    assert_eq!(report["layers"], 5);
    assert_eq!(report["int8"]["multiply_adds"], report["f32"]["multiply_adds"]);
    let number = |report: &serde_json::Value, of: &str, key: &str| report[of][key].as_f64().unwrap();
    assert!(number(&report, "int8", "bytes") < 0.45 * number(&report, "f32", "bytes"), "{report}");
    assert!(number(&report, "int8", "images_per_second") > 0.0);
    let scores = json(&mut wgrad(["evaluate", text(&small), text(data.path()), "--reference", "--part", "all"]));
    assert_eq!(scores[0]["pictures"], 20);
    let table = answer(&mut quantize(&["--dynamic"]));
    assert!(table.contains("size in KB") && table.contains("3 layers multiply int8"), "{table}");
    let named = folder.path().join("aware.safetensors");
    let report = json(&mut quantize(&["--qat", "1", "--lr", "0.001", "--out", text(&named)]));
    assert!(named.is_file() && report["layers"] == 5);

    let (code, _, stderr) = run(&mut wgrad(["quantize", text(&small), text(data.path()), "--reference"]));
    assert!(code == Some(1) && stderr.contains("is quantized already"), "{stderr}");
    let (code, ..) = run(&mut quantize(&["--dynamic", "--qat", "1"]));
    assert_eq!(code, Some(2));
}
