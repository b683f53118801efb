//! The modules that the cases of all operations, the networks' training steps and the layers of shader-stats need.

#[path = "../shader-stats/cases.rs"]
#[expect(dead_code, reason = "only shader-stats looks at what it demands of the layers")]
mod cases;
#[path = "../../tests/common/mod.rs"]
mod common;

use crate::kinds::Kind;
use crate::translate;
use common::{numbered, results};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use wgrad::models::segmentation::{UNet, UNetOptions};
use wgrad::models::{CifarCnn, LeNet5, MobileNetV1, ResNet, ResNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{CrossEntropyOptions, Device, Disable, DynamicSizes, Result, Tensor, ops};

type Make = fn(&Scope) -> Result<Box<dyn Module>>;

const NETWORKS: [(&str, Make, [usize; 4]); 6] = [
    ("LeNet-5", |scope| Ok(Box::new(LeNet5::new(scope)?)), [64, 1, 28, 28]),
    ("CIFAR CNN", |scope| Ok(Box::new(CifarCnn::new(scope)?)), [64, 3, 32, 32]),
    (
        "ResNet-18",
        |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18_cifar().classes(10))?)),
        [128, 3, 32, 32],
    ),
    (
        "ResNet-18 ImageNet",
        |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18().classes(1000))?)),
        [8, 3, 224, 224],
    ),
    ("MobileNetV1", |scope| Ok(Box::new(MobileNetV1::new(scope, 10, 1.0)?)), [64, 3, 64, 64]),
    ("U-Net", |scope| Ok(Box::new(UNet::new(scope, &UNetOptions::default())?)), [16, 3, 64, 64]),
];

/// The file in a folder of modules that lists those that each network needs.
pub const NEEDS: &str = "needs.tsv";

/// Writes all modules of a kind of adapter, and their HLSL if there is any.
pub fn write(kind: &Kind, folder: &Path) -> std::result::Result<(), Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let mut modules = Modules { folder: folder.to_path_buf(), seen: BTreeSet::new(), needs: String::new() };
    for (name, make, images) in NETWORKS {
        let device = kind.open(Disable::default())?;
        train(&device, make, images).map_err(|e| format!("{name}: {e}"))?;
        modules.collect(&device, Some(name))?;
    }
    if !kind.networks_only {
        modules.collect_cases(kind)?;
    }
    fs::write(folder.join(NEEDS), &modules.needs)?;
    if let Some(model) = kind.model {
        translate::write(folder, model)?;
    }
    println!("{}: {} modules", kind.name, modules.seen.len());
    Ok(())
}

/// Two steps, the first of which has initial values to compute.
fn train(device: &Device, make: Make, images: [usize; 4]) -> Result<()> {
    let network = make(&Scope::new(device))?;
    let mut adam = Adam::new(network.parameters(), AdamOptions::default())?;
    let x = Tensor::ones(device, &images)?;
    // U-Net has a class for each pixel.
    let logits = network.forward(&x)?.shape().to_vec();
    let elements = [&logits[..1], &logits[2..]].concat();
    let labels = Tensor::from_slice(device, &vec![1i32; elements.iter().product()], &elements)?;
    for _ in 0..2 {
        let loss = network.forward(&x)?.cross_entropy(&labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        adam.step()?;
        adam.zero_grad();
        device.sync()?;
    }
    Ok(())
}

struct Modules {
    folder: PathBuf,
    seen: BTreeSet<String>,
    /// Lines of a network and a module that it needs.
    needs: String,
}

impl Modules {
    /// The modules of the layers of shader-stats, and of the cases of all operations.
    fn collect_cases(&mut self, kind: &Kind) -> std::result::Result<(), Box<dyn Error>> {
        for case in cases::CASES.iter().filter(|case| kind.has_f16() || !case.needs_f16) {
            let device = kind.open(case.disable())?;
            (case.run)(&device).and_then(|()| device.sync()).map_err(|e| format!("{}: {e}", case.name))?;
            self.collect(&device, None)?;
        }
        let device = kind.open(Disable::default())?;
        for (number, case) in numbered(&ops::cases()).into_iter().filter(|(_, case)| kind.has_f16() || !case.needs_f16)
        {
            device.dynamic_sizes(if number % 2 == 0 { DynamicSizes::Always } else { DynamicSizes::Never });
            results(case, number, &device).map_err(|e| format!("{}: {e}", case.name()))?;
            // A device drops modules that were not used for long.
            if number % 1000 % 16 == 1 {
                self.collect(&device, None)?;
            }
        }
        self.collect(&device, None)?;
        Ok(())
    }

    fn collect(&mut self, device: &Device, network: Option<&str>) -> std::io::Result<()> {
        for (name, source) in device.shader_sources() {
            let mut hash = DefaultHasher::new();
            source.hash(&mut hash);
            let stem = format!("{name}-{:016x}", hash.finish());
            if let Some(network) = network {
                self.needs.push_str(&format!("{network}\t{stem}\n"));
            }
            if self.seen.insert(stem.clone()) {
                fs::write(self.folder.join(format!("{stem}.wgsl")), &source)?;
            }
        }
        Ok(())
    }
}
