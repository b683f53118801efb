//! One-stage detectors: names and shapes of all variants; and losses, gradients and detections of small ones, compared with
//! torchvision's, and YOLO with a program from its paper, in float64 (`tests/golden/detection.py`).

use crate::common::adapter;
use crate::common::from_names::{fill, gradients, names, numbers, worst};
use crate::common::network_runs::of_float32;
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::data::Batch;
use wgrad::models::ResNetOptions;
use wgrad::models::detection::*;
use wgrad::nn::blocks::NormLayer;
use wgrad::nn::{self, Conv2d, Module, Scope};
use wgrad::train::{Phase, Task};
use wgrad::{Conv2dOptions, Device, DeviceOptions, Noop, Result, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/detection.json")).unwrap()
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The pyramid's options with norms that train.
fn normed(backbone: ResNetFpnOptions) -> ResNetFpnOptions {
    backbone.resnet(ResNetOptions::resnet50()).trainable_layers(5)
}

fn variant(name: &str, scope: &Scope) -> Result<Box<dyn Detector>> {
    let retinanet = |options: RetinaNetOptions| Ok(Box::new(RetinaNet::new(scope, &options)?) as Box<dyn Detector>);
    let fcos = |options: FcosOptions| Ok(Box::new(Fcos::new(scope, &options)?) as Box<dyn Detector>);
    let (v1, fcos_v1) = (RetinaNetOptions::retinanet_resnet50_fpn(), FcosOptions::fcos_resnet50_fpn());
    match name {
        "retinanet_resnet50_fpn" => retinanet(v1),
        "retinanet_resnet50_fpn of batch norms" => retinanet(v1.clone().backbone(normed(v1.backbone))),
        "retinanet_resnet50_fpn_v2" => retinanet(RetinaNetOptions::retinanet_resnet50_fpn_v2()),
        "fcos_resnet50_fpn" => fcos(fcos_v1),
        "yolov3_tiny" => Ok(Box::new(Yolo::new(scope, &YoloOptions::yolov3_tiny())?)),
        "ssd300_vgg16" => Ok(Box::new(Ssd::new(scope, &SsdOptions::ssd300_vgg16())?)),
        "ssdlite320_mobilenet_v3_large" => Ok(Box::new(Ssd::new(scope, &SsdOptions::ssdlite320_mobilenet_v3_large())?)),
        "fcos_resnet50_fpn of batch norms" => fcos(fcos_v1.clone().backbone(normed(fcos_v1.backbone))),
        _ => unreachable!("{name}"),
    }
}

#[test]
fn names_and_shapes_are_torchvisions() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    for (name, expected) in golden()["variants"].as_object().unwrap() {
        let net = variant(name, &Scope::new(&device)).unwrap();
        assert_eq!(names(net.as_module()), *expected, "{name}");
    }
}

/// Maps of an eighth and a sixteenth of the size.
struct Tiny {
    stem: Conv2d,
    fine: Conv2d,
    coarse: Conv2d,
}

impl Tiny {
    fn boxed(scope: &Scope) -> Result<Box<dyn DetectionBackbone>> {
        let scope = scope.at("backbone");
        let layer = |name: &str, inputs, outputs, stride| {
            let options = Conv2dOptions::default().stride(stride).padding(1);
            Conv2d::new(&scope.at(name), inputs, outputs, 3, &options)
        };
        Ok(Box::new(Tiny {
            stem: layer("stem", 3, 8, 4)?,
            fine: layer("fine", 8, 32, 2)?,
            coarse: layer("coarse", 32, 32, 2)?,
        }))
    }
}

impl DetectionBackbone for Tiny {
    fn levels(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        let fine = self.fine.forward(&self.stem.forward(images)?.relu()?)?;
        let coarse = self.coarse.forward(&fine.relu()?)?;
        Ok(vec![fine, coarse])
    }
    fn out_channels(&self) -> usize {
        32
    }
    fn pooled_levels(&self) -> usize {
        2
    }
}

impl Module for Tiny {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.levels(input)?.remove(1))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; stem, fine, coarse]
    }
}

fn small(name: &str, scope: &Scope) -> Result<Box<dyn Detector>> {
    let exact = ImageTransformOptions::default().image_mean([0.5, 0.375, 0.25]).image_std([0.25, 0.5, 0.125]);
    let transform = exact.min_size(48).max_size(80);
    let retinanet = RetinaNetOptions::default()
        .classes(3)
        .anchor_sizes([vec![12.0, 16.0], vec![24.0, 32.0]])
        .detections_per_img(12usize)
        .transform(transform);
    let ssd = |options: SsdOptions, width_mult: f64| {
        let options = options.width_mult(width_mult).classes(4).detections_per_img(12usize).topk_candidates(30usize);
        Ok(Box::new(Ssd::new(scope, &options)?) as Box<dyn Detector>)
    };
    let yolo = |box_loss: YoloBoxLoss| {
        let priors = [[6.0, 10.0], [12.0, 8.0], [20.0, 24.0], [34.0, 26.0], [30.0, 60.0], [56.0, 50.0]];
        let options = YoloOptions::default().classes(3).base_width(2).size([64, 96]).priors(priors).box_loss(box_loss);
        Ok(Box::new(Yolo::new(scope, &options.detections_per_img(12usize))?) as Box<dyn Detector>)
    };
    Ok(match name {
        "yolo" => yolo(YoloBoxLoss::SquaredError)?,
        "yolo_ciou" => yolo(YoloBoxLoss::Ciou)?,
        "ssd300" => ssd(SsdOptions::ssd300_vgg16().trainable_layers(5usize), 1.0 / 32.0)?,
        "ssdlite" => ssd(SsdOptions::ssdlite320_mobilenet_v3_large().size(128), 0.25)?,
        "retinanet" => Box::new(RetinaNet::with_backbone(scope, Tiny::boxed(scope)?, &retinanet)?),
        "retinanet_v2" => {
            let options = retinanet.norm(NormLayer::GroupNorm { num_groups: 32 }).box_loss(BoxLoss::Giou);
            Box::new(RetinaNet::with_backbone(scope, Tiny::boxed(scope)?, &options)?)
        }
        "fcos" => {
            let options = FcosOptions::default().classes(3).anchor_sizes([8.0, 16.0]).detections_per_img(12usize);
            Box::new(Fcos::with_backbone(scope, Tiny::boxed(scope)?, &options.transform(transform))?)
        }
        _ => unreachable!("{name}"),
    })
}

/// The images of a case, and its objects with padding.
fn inputs(golden: &Value, device: &Device) -> Result<(Vec<Tensor>, DetectionTargets)> {
    let shapes: Vec<[usize; 2]> = parsed(&golden["shapes"]);
    let draw = &golden["draw"];
    let image = |(at, [height, width]): (usize, &[usize; 2])| {
        let values = numbers(&format!("image{at} of {draw}"), 3 * height * width).map(|unit| (0.5 + 0.5 * unit) as f32);
        Tensor::from_slice(device, &values.collect::<Vec<_>>(), &[3, *height, *width])
    };
    let images = shapes.iter().enumerate().map(image).collect::<Result<_>>()?;
    let objects: Vec<Vec<([f32; 4], i32)>> = parsed(&golden["objects"]);
    let objects: Vec<&[([f32; 4], i32)]> = objects.iter().map(Vec::as_slice).collect();
    Ok((images, DetectionTargets::from_objects(device, &objects)?))
}

/// The largest differences of losses, of gradients and of detections from the golden ones, and the name of that gradient.
fn apart(name: &str, golden: &Value, device: &Device) -> Result<([f64; 3], String)> {
    let net = small(name, &Scope::new(device))?;
    let (images, targets) = inputs(golden, device)?;
    fill(net.as_module(), device);
    net.train(true);
    let images: Vec<Tensor> = images.iter().map(Tensor::requires_grad).collect();
    let losses = net.losses_of_each(&images, &targets)?;
    losses.total()?.backward()?;
    let mut expected: BTreeMap<String, f64> = parsed(&golden["losses"]);
    let mut of_losses = 0.0f64;
    for (loss, value) in losses.iter() {
        let expected = expected.remove(loss).unwrap_or_else(|| panic!("{name} has no loss {loss}"));
        of_losses = of_losses.max((value.to_f64()?[0] - expected).abs() / expected.abs());
    }
    assert!(expected.is_empty(), "{name} lacks {expected:?}");
    let images_with = images.iter().enumerate().map(|(at, image)| (format!("image{at}"), image.grad().unwrap()));
    let all: BTreeMap<String, Tensor> = gradients(net.as_module()).chain(images_with).collect();
    let digests: Vec<[f64; 2]> = parsed(&golden["gradients"]);
    assert_eq!(all.len(), digests.len(), "{name}: {:?}", all.keys());
    let (of_gradients, whose) = worst(&all, &digests);

    fill(net.as_module(), device);
    net.eval();
    let images: Vec<Tensor> = images.iter().map(Tensor::detach).collect();
    let found = net.detect_each(&images)?.to_vec()?;
    let mut of_detections = 0.0f64;
    for (image, (found, golden)) in found.iter().zip(golden["detections"].as_array().unwrap()).enumerate() {
        let labels: Vec<i32> = found.iter().map(|object| object.label).collect();
        assert_eq!(labels, parsed::<Vec<i32>>(&golden["labels"]), "{name}, image {image}");
        let apart = |got: &mut dyn Iterator<Item = f64>, key: &str| {
            let expected: Vec<f64> = parsed(&golden[key]);
            let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
            got.zip(&expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f64::max)
        };
        of_detections = of_detections
            .max(apart(&mut found.iter().map(|object| object.score), "scores"))
            .max(apart(&mut found.iter().flat_map(|object| object.bounds), "boxes"));
    }
    Ok(([of_losses, of_gradients, of_detections], whose))
}

/// Detectors that represent the others; `make test-long` runs all.
const SAMPLE: [&str; 3] = ["fcos", "retinanet_v2", "yolo_ciou"];

fn compare(device: impl Fn() -> Option<Device>, bound: impl Fn(&str, &[f64; 2]) -> [f64; 3]) {
    let golden = golden();
    let only = std::env::var("WGRAD_TEST_OP").ok();
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    for (name, case) in golden["cases"].as_object().unwrap() {
        let is_asked = only.as_ref().map_or(all || SAMPLE.contains(&name.as_str()), |only| only == name);
        let (Some(device), true) = (device(), is_asked) else { continue };
        let (apart, whose) = apart(name, case, &device).unwrap();
        let of_float32: [f64; 2] = parsed(&case["f32"]);
        if std::env::var_os("WGRAD_TEST_PRINT").is_some() {
            println!("{name}: {apart:?} ({whose}); PyTorch's float32 {of_float32:?}");
        }
        let bound = bound(name, &of_float32);
        // A NaN is within no bound.
        let is_near = apart.iter().zip(bound).all(|(apart, bound)| *apart <= bound);
        assert!(is_near, "{name}: losses, gradients ({whose}), detections {apart:?}, beyond {bound:?}");
    }
}

#[test]
fn values_are_torchvisions_on_the_reference() {
    // PyTorch multiplies the gradient of SSDlite's hardsigmoid by a sixth that is rounded to float32.
    let bound = |name: &str| if name == "ssdlite" { 6e-8 } else { 1e-9 };
    compare(|| Some(Device::reference()), |name, _| [1e-9, bound(name), 1e-9]);
}

#[test]
fn values_are_torchvisions_on_the_adapter() {
    compare(adapter, |_, [_, of_gradients]| [1e-4, of_float32(*of_gradients), 1e-4]);
}

#[test]
fn detectors_are_known_by_name() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let golden = golden();
    for name in wgrad::models::detection::names().filter(|name| golden["variants"].get(name).is_some()) {
        let classes = if name == "yolov3_tiny" { 80 } else { 91 };
        let net = by_name(name, &Scope::new(&device), classes).unwrap();
        assert_eq!(names(net.as_module()), golden["variants"][name], "{name}");
    }
    let error = by_name("yolov9", &Scope::new(&device), 4).err().unwrap().to_string();
    assert!(error.contains("yolov9") && error.contains("ssd300_vgg16"), "{error}");
}

/// The task logs the detector's own losses, as means weighted by the numbers of images, and counts its detections.
#[test]
fn a_task_logs_losses_by_name_and_precision() -> Result<()> {
    let device = Device::reference();
    let net = small("yolo", &Scope::new(&device))?;
    fill(net.as_module(), &device);
    net.eval();
    let mut task = DetectionTask::new(&*net)?;
    let rows = [[[5.0f32, 6.0, 30.0, 40.0, 1.0]], [[0.0, 0.0, 0.0, 0.0, -1.0]], [[40.0, 8.0, 80.0, 50.0, 2.0]]];
    let mut expected = BTreeMap::<&str, f64>::new();
    for images in [0..2, 2..3] {
        let count = images.len();
        let pixels: Vec<f32> = numbers("pixels", count * 3 * 64 * 96).map(|unit| unit as f32).collect();
        let labels = Tensor::from_slice(&device, rows[images].as_flattened().as_flattened(), &[count, 1, 5])?;
        let batch = Batch { images: Tensor::from_slice(&device, &pixels, &[count, 3, 64, 96])?, labels };
        for (name, loss) in net.losses(&batch.images, &DetectionTargets::from_rows(&batch.labels)?)?.iter() {
            *expected.entry(name).or_default() += loss.to_f64()?[0] * count as f64 / 3.0;
        }
        let outcome = task.forward(net.as_module(), &batch)?;
        task.update(&outcome, &batch, Phase::Validation)?;
    }
    let scalars = task.compute(Phase::Validation)?;
    let names: Vec<&str> = scalars.iter().map(|(name, _)| name.as_str()).take(5).collect();
    assert_eq!(names, ["bbox_regression", "objectness", "classification", "map", "map_50"]);
    for (name, value) in &scalars[..3] {
        assert!((value / expected[name.as_str()] - 1.0).abs() < 1e-6, "{name}: {value}, {expected:?}");
    }
    task.reset(Phase::Validation)?;
    assert!(task.compute(Phase::Validation)?[0].1.is_nan());
    Ok(())
}
