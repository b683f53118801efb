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
    let all = ["resnet18", "resnet50", "googlenet", "inception_v3", "efficientnet_b0"];
    // In single precision a maximum or a rectifier of a deep network may flip.
    let some = ["resnet18", "ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_fpn"];
    let reference = (Device::reference(), "double", &all[..]);
    for (device, precision, names) in std::iter::once(reference).chain(adapter().map(|it| (it, "single", &some[..]))) {
        let file = folder.path().join(precision);
        for name in names {
            let arguments = [file.as_os_str(), OsStr::new("7"), OsStr::new(precision), OsStr::new(name)];
            let Some(_) = ask("golden/network_cases.py", &arguments) else { return };
            for case in conformance::read(&file).unwrap() {
                match case.run(&device) {
                    Verdict::Passed => {}
                    Verdict::Failed(what) | Verdict::Unsupported(what) => {
                        panic!("{} on {}: {what}", case.name, device.name())
                    }
                }
            }
        }
    }
}
