//! Networks over clips: torchvision's names and shapes, and outputs, losses and gradients, compared with PyTorch's in float64
//! (`tests/golden/video.py`).

use crate::common::from_names::names;
use crate::common::network_runs::{Networks, Run, classes_of};
use serde_json::Value;
use wgrad::models::video::{CnnLstm, CnnLstmOptions, VideoConvolution, VideoResNet, VideoResNetOptions};
use wgrad::models::{self, ModelOptions, ShuffleNetV2, ShuffleNetV2Options};
use wgrad::nn::{Module, RnnOptions, Scope};
use wgrad::{Device, DeviceOptions, Error, Noop, Result, Tensor};

const CLASSES: usize = 7;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/video.json")).unwrap()
}

#[test]
fn names_and_shapes_are_torchvisions() {
    let golden = golden();
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let variants = golden["variants"].as_object().unwrap();
    assert_eq!(variants.len(), 3);
    for (name, expected) in variants {
        let options = ModelOptions::default().classes(400);
        let net = models::by_name(name, &Scope::new(&device), &options).unwrap();
        assert_eq!(names(&*net), *expected, "{name}");
        let clip = Tensor::zeros(&device, &[2, 3, 8, 112, 112]).unwrap();
        assert_eq!(net.forward(&clip).unwrap().shape()[..], [2, 400], "{name}");
    }
}

fn build(name: &str, scope: &Scope) -> Result<Box<dyn Module>> {
    let narrow = |options: VideoResNetOptions| {
        let options = options.base_width(8).layers([2, 1, 1, 1]).classes(CLASSES);
        Ok(Box::new(VideoResNet::new(scope, &options)?) as Box<dyn Module>)
    };
    match name {
        "r3d" => narrow(VideoResNetOptions::r3d_18()),
        "mc3" => narrow(VideoResNetOptions::mc3_18()),
        "r2plus1d" => narrow(VideoResNetOptions::r2plus1d_18()),
        _ => {
            let lstm = RnnOptions::default().num_layers(2).bidirectional(true);
            let options = CnnLstmOptions::default().features(1024).grid([1, 2]).hidden(6).lstm(lstm).classes(CLASSES);
            let backbone = |s: &Scope| ShuffleNetV2::new(s, &ShuffleNetV2Options::shufflenet_v2_x0_5());
            Ok(Box::new(CnnLstm::new(scope, backbone, &options)?))
        }
    }
}

/// Networks that represent the others.
const SAMPLE: [&str; 2] = ["mc3", "r2plus1d"];

fn difference(name: &str, case: &Value, mode: &str, device: &Device, bound: &dyn Fn(f64) -> f64) -> Option<String> {
    let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
    let net = build(name, &Scope::new(device)).unwrap();
    let outputs = |clip: &Tensor| Ok(vec![net.forward(clip)?]);
    let run = Run { name, mode, shape: &shape, golden: &case[mode] };
    run.difference(&*net, device, outputs, |outputs| classes_of(outputs, shape[0], CLASSES), bound)
}

fn networks(golden: &Value) -> Networks<'_> {
    Networks { golden, sample: &SAMPLE, rounded: &[], difference }
}

#[test]
fn values_are_pytorchs_on_the_reference() {
    networks(&golden()).compare_on_the_reference();
}

#[test]
fn values_are_pytorchs_on_the_adapter() {
    networks(&golden()).compare_on_the_adapter();
}

#[test]
fn windows_may_differ_from_layer_to_layer() {
    use VideoConvolution::{Factorized, Spatial, Spatiotemporal};
    let device = Device::reference();
    let options = VideoResNetOptions::default().base_width(2).classes(3).channels(1).layers([1; 4]);
    let options = options.stem(Spatial).convolutions([Factorized, Spatial, Spatiotemporal, Spatial]);
    let net = VideoResNet::new(&Scope::new(&device), &options).unwrap();
    let summary = net.summary(&[1, 1, 4, 16, 16]).unwrap();
    let layers = summary.rows.iter().filter(|row| row.name.starts_with("layer") && !row.name.contains('.'));
    let outputs: Vec<Vec<usize>> = layers.map(|row| row.output[1..].to_vec()).collect();
    assert_eq!(outputs, [[2, 4, 8, 8], [4, 4, 4, 4], [8, 2, 2, 2], [16, 2, 1, 1]]);
}

#[test]
fn errors_name_the_numbers() {
    let device = Device::reference();
    let net = build("cnn_lstm", &Scope::new(&device)).unwrap();
    let images = Tensor::zeros(&device, &[2, 3, 44, 64]).unwrap();
    let error = net.forward(&images).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("[2, 3, 44, 64]"), "{error}");
    let none = VideoResNetOptions::default().base_width(0);
    assert!(matches!(VideoResNet::new(&Scope::new(&device), &none), Err(Error::Invalid { .. })));
}
