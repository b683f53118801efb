//! `wgrad cluster`: values that weights share, after pruning too.

use super::{answer, column, json, pictures, run, text, trained, wgrad};
use wgrad::Device;
use wgrad::compress::pruning::prunable;
use wgrad::weights;

#[test]
fn weights_share_values_and_pruned_ones_stay_zero() {
    let (folder, runs) = (pictures(), tempfile::tempdir().unwrap());
    let (data, out) = (folder.path(), runs.path().join("1"));
    trained(data, &out);
    let command = |name: &str, network: &str, given: &[&str]| {
        let mut command = wgrad([name, network, text(data), "--reference", "--batch-size", "8"]);
        command.args(given);
        command
    };
    // The most different values of a layer, and the share of its zeros.
    let contents = |file: &std::path::Path| {
        let (model, _) = weights::open(file, &Device::reference()).unwrap();
        let of = |values: Vec<f64>| {
            let zeros = values.iter().filter(|&&value| value == 0.0).count();
            let distinct: std::collections::BTreeSet<u64> = values.iter().map(|value| value.to_bits()).collect();
            (distinct.len(), zeros, values.len())
        };
        let layers: Vec<_> = prunable(&model).iter().map(|weight| of(weight.value().to_f64().unwrap())).collect();
        let sum = |count: fn(&(usize, usize, usize)) -> usize| layers.iter().map(count).sum::<usize>() as f64;
        (layers.iter().map(|layer| layer.0).max().unwrap(), sum(|layer| layer.1) / sum(|layer| layer.2))
    };
    let rows = json(&mut command("cluster", text(&out), &["--values", "4", "--epochs", "1", "--lr", "0.01"]));
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["network"].as_str().unwrap()).collect();
    assert_eq!(names, ["before", "clustered", "trained further"]);
    let bytes = column(&rows, "bytes");
    // Two bits of 32 at most, and the values, biases and norms.
    assert!(bytes[1] < 0.2 * bytes[0] && bytes[2] == bytes[1], "{bytes:?}");
    assert_eq!(contents(&out.join("clustered.safetensors")), (4, 0.0));

    answer(&mut command("prune", text(&out), &["--amount", "0.8", "--epochs", "0"]));
    let pruned = out.join("pruned.safetensors");
    let small = runs.path().join("small.safetensors");
    let given = ["--values", "4", "--epochs", "1", "--lr", "0.01", "--out", text(&small)];
    let rows = json(&mut command("cluster", text(&pruned), &given));
    assert!(column(&rows, "bytes")[1] < bytes[1]);
    assert!(column(&rows, "sparsity").iter().all(|share| (0.7..0.8).contains(share)), "{rows}");
    let (values, zeros) = contents(&small);
    assert!(values == 5 && (zeros - 0.8).abs() < 0.01, "{values} {zeros}");

    let (code, _, stderr) = run(&mut command("cluster", text(&out), &["--values", "0"]));
    assert!(code == Some(2) && stderr.contains("--values must be"), "{stderr}");
}
