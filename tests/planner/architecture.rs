//! `docs/ARCHITECTURE.md` says what is so: the plan that it reads line by line is the one that comes out, and the files that it and
//! `CONTRIBUTING.md` name exist. `WGRAD_WRITE_DOCS=1` writes the plan into the page.

use crate::common::steps::gpu;
use std::path::Path;
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, Graph, Tensor};

/// The plan of a small network's loss and gradients: dispatches, slots, and the notes about the convolution's gradient.
fn plan() -> wgrad::Result<String> {
    let device = Device::with_options(&DeviceOptions::default().noop(gpu()))?;
    let leaf = |shape: &[usize]| Ok::<_, wgrad::Error>(Tensor::ones(&device, shape)?.requires_grad());
    let images = Tensor::from_slice(&device, &[1f32; 8 * 3 * 32 * 32], &[8, 3, 32, 32])?;
    let labels = Tensor::from_slice(&device, &[1i32; 8], &[8])?;
    let (filters, bias, weight) = (leaf(&[16, 3, 3, 3])?, leaf(&[16])?, leaf(&[10, 16])?);
    device.sync()?;

    let features = images.conv2d(&filters, Some(&bias), &Conv2dOptions::default().padding(1))?.relu()?;
    let logits = features.mean([2, 3])?.linear(&weight, None)?;
    let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default())?;
    loss.backward()?;
    let gradients: Vec<Tensor> = [&filters, &bias, &weight].into_iter().filter_map(Tensor::grad).collect();
    drop((features, logits));
    let (plan, _) = Graph::of(&[&loss, &gradients[0], &gradients[1], &gradients[2]])?.plan()?;
    let is_shown = |line: &&str| !line.starts_with("note: ") || line.contains("loaded too often");
    Ok(plan.lines().filter(is_shown).map(|line| format!("{line}\n")).collect())
}

#[test]
fn the_plan_that_is_explained_comes_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let start = page.find("## A plan, line by line").unwrap();
    let start = start + page[start..].find("```text\n").unwrap() + "```text\n".len();
    let end = start + page[start..].find("```").unwrap();
    let plan = plan().unwrap();
    if std::env::var_os("WGRAD_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{plan}{}", &page[..start], &page[end..])).unwrap();
        return;
    }
    assert_eq!(page[start..end], plan, "WGRAD_WRITE_DOCS=1 writes the new plan; its explanation is yours");
}

#[test]
fn files_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["docs/ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|word| {
            let is_path =
                word.ends_with(".rs") || word.ends_with(".wgsl") || word.ends_with(".sh") || word.ends_with('/');
            is_path && !word.contains([' ', '*', '<', '(']) && !word.contains("NAME") && !word.contains("ROOM")
        });
        let missing: Vec<&str> =
            paths.filter(|path| !root.join("src").join(path).exists() && !root.join(path).exists()).collect();
        assert!(missing.is_empty(), "{page} names {missing:?}, which are neither in src/ nor in the repository");
    }
}
