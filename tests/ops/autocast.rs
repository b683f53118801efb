//! Types under autocast, against PyTorch's.

use crate::conformance;
use serde_json::Value;
use std::path::Path;
use wgrad::{DType, Device};

fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "f16",
        DType::F32 => "f32",
        DType::Bool => "bool",
        _ => "i32",
    }
}

#[test]
fn types_are_pytorchs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let listed = std::fs::read_to_string(folder.join("autocast_types.json")).unwrap();
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let device = Device::reference();
    let mut failures = Vec::new();
    let mut count = 0;
    for cases in listed.chunk_by(|a, b| a["file"] == b["file"]) {
        let file = cases[0]["file"].as_str().unwrap();
        let golden = conformance::read(&folder.join(format!("{file}.safetensors"))).unwrap();
        for case in cases {
            let golden = golden.iter().find(|golden| case["case"] == golden.name.as_str()).unwrap();
            for (how, is_half) in
                [("half", (|_| true) as fn(usize) -> bool), ("single", |_| false), ("mixed", |at| at == 0)]
            {
                if case[how].is_null() {
                    continue;
                }
                count += 1;
                let got = match golden.types_under_autocast(&device, is_half) {
                    Ok(types) => Value::from(types.into_iter().map(name).collect::<Vec<_>>()),
                    Err(refusal) if case[how] == "refused" && refusal.to_string().contains("autocast") => continue,
                    Err(refusal) => Value::from(refusal.to_string()),
                };
                if got != case[how] {
                    failures.push(format!("{} {how}: {got}, not {}", golden.name, case[how]));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} calls:\n{}", failures.len(), failures.join("\n"));
}
