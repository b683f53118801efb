//! Networks with torchvision's names, compared with torchvision's in double precision (`network_cases.py`).

use crate::common::adapter;
use crate::common::python::{ask, is_long};
use crate::conformance::{self, Verdict};
use std::ffi::OsStr;
use tempfile::TempDir;
use wgrad::Device;

#[test]
fn networks_are_torchvisions() {
    if !is_long() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("networks.safetensors");
    let Some(_) = ask("golden/network_cases.py", &[file.as_os_str(), OsStr::new("resnet18")]) else { return };
    for device in std::iter::once(Device::reference()).chain(adapter()) {
        for mut case in conformance::read(&file).unwrap() {
            // 1e-9 of the largest value in double precision.
            (0..5).for_each(|_| {
                if device.name() == "reference" {
                    case.tighten()
                }
            });
            match case.run(&device) {
                Verdict::Passed => {}
                Verdict::Failed(what) | Verdict::Unsupported(what) => {
                    panic!("{} on {}: {what}", case.name, device.name())
                }
            }
        }
    }
}
