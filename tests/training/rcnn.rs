//! torchvision's two-stage detectors: names and shapes of all variants, and losses, gradients and detections of small ones,
//! compared with PyTorch's in float64 (`tests/golden/rcnn.py`).

use crate::common::adapter;
use crate::common::from_names::{digest, fill, gradients, names, numbers, worst};
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::MobileNetV3Options;
use wgrad::models::detection::*;
use wgrad::nn::blocks::NormLayer;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{Device, DeviceOptions, Noop, Tensor};

const SIZE: [usize; 2] = [32, 40];

/// PyTorch's gradient of hardsigmoid multiplies by 1 / 6 in float32, in any precision.
const OF_HARDSIGMOID: f64 = 4e-8;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/rcnn.json")).unwrap()
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Constructors by torchvision's names.
macro_rules! variants {
    ($($name:ident)*) => { [$((stringify!($name), RcnnOptions::$name as fn() -> RcnnOptions)),*] };
}

#[test]
fn names_and_shapes_are_torchvisions() {
    let golden = golden();
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let variants = variants!(
        fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 fasterrcnn_mobilenet_v3_large_fpn
        fasterrcnn_mobilenet_v3_large_320_fpn maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 keypointrcnn_resnet50_fpn
    );
    for (name, options) in variants {
        let net = Rcnn::new(&Scope::new(&device), &options()).unwrap();
        assert_eq!(names(&net), golden["variants"][name], "{name}");
    }
    assert_eq!(golden["variants"].as_object().unwrap().len(), variants.len());
}

fn small(kind: &str, scope: &Scope) -> Rcnn {
    let pool = MultiScaleRoiAlign::default().canonical_scale(40.0);
    let mobilenet = MobileNetV3Options::mobilenet_v3_small().width_mult(0.25).norm(NormLayer::FROZEN);
    let fpn = FeaturePyramidOptions::default().out_channels(8).extra_blocks(ExtraBlocks::LastLevelMaxPool);
    let backbone = MobileNetBackboneOptions::default().mobilenet(mobilenet).fpn(fpn).trainable_layers(6);
    let rpn = RpnOptions::default()
        .anchor_sizes([8.0, 14.0, 24.0, 40.0, 64.0].map(|size| vec![size]))
        .pre_nms_top_n_train(50)
        .pre_nms_top_n_test(40)
        .post_nms_top_n_train(40)
        .post_nms_top_n_test(30)
        .fg_iou_thresh(0.5)
        .batch_size_per_image(100_000);
    let head = BoxHeadOptions::default().fc_layers([16, 16]);
    let roi = RoiHeadsOptions::default()
        .roi_pool(pool.output_size(5))
        .head(head.clone())
        .batch_size_per_image(100_000)
        .detections_per_img(12)
        .fg_iou_thresh(0.4)
        .bg_iou_thresh(0.3);
    let mask = MaskHeadOptions::default().roi_pool(pool.output_size(4)).layers([6, 6]).dim_reduced(5);
    let keypoint = KeypointHeadOptions::default().roi_pool(pool.output_size(4)).layers([6, 6]).num_keypoints(3);
    let (rpn, roi) = match kind {
        "faster" => (rpn, roi),
        "mask" => (rpn, roi.mask(mask)),
        "mask_normed" => {
            let norm = NormLayer::default();
            let head = head.conv_layers([6, 6]).fc_layers([16]).norm(norm);
            (rpn.conv_depth(2), roi.head(head).mask(mask.norm(norm)))
        }
        "keypoint" => (rpn, roi.keypoint(keypoint)),
        _ => unreachable!("{kind}"),
    };
    let options = RcnnOptions::default()
        .backbone(RcnnBackbone::MobileNet(backbone.returned_layers([1, 2, 3, 5])))
        .classes(4)
        .transform(ImageTransformOptions::default().min_size(64).max_size(90));
    Rcnn::new(scope, &options.rpn(rpn).roi(roi)).unwrap()
}

/// Two images, the second of which has no objects.
fn scene(device: &Device) -> (Tensor, DetectionTargets) {
    let values: Vec<f32> = numbers("images", 6 * SIZE[0] * SIZE[1]).map(|value| value as f32 * 0.5 + 0.5).collect();
    let images = Tensor::from_slice(device, &values, &[2, 3, SIZE[0], SIZE[1]]).unwrap().requires_grad();
    let boxes = [[2.0f32, 4.0, 16.0, 20.0], [13.0, 7.0, 39.0, 30.0], [20.0, 1.0, 27.0, 9.0]];
    let objects: Vec<([f32; 4], i32)> = boxes.into_iter().zip([1, 3, 2]).collect();
    let targets = DetectionTargets::from_objects(device, &[&objects, &[]]).unwrap();

    let mut masks = vec![0.0f32; 2 * 3 * SIZE[0] * SIZE[1]];
    let places = (0..3).flat_map(|object| (0..SIZE[0]).flat_map(move |y| (0..SIZE[1]).map(move |x| (object, y, x))));
    for (at, (object, y, x)) in places.enumerate() {
        let [x1, y1, x2, y2] = boxes[object];
        let apart = |place: usize, low: f32, high: f32| (2.0 * (place as f32 + 0.5) - low - high) / (high - low);
        masks[at] = f32::from(apart(x, x1, x2).powi(2) + apart(y, y1, y2).powi(2) <= 1.0);
    }
    let mut points = vec![0.0f32; 2 * 3 * 3 * 3];
    for (object, [x1, y1, x2, y2]) in boxes.into_iter().enumerate() {
        let last = if object > 0 { [x1 - 1.0, y1, 1.0] } else { [x1, y1, 0.0] };
        let of_object = [[(x1 + x2) / 2.0, (y1 + y2) / 2.0, 1.0], [x2, y2, 1.0], last];
        points[9 * object..9 * object + 9].copy_from_slice(of_object.as_flattened());
    }
    let masks = Tensor::from_slice(device, &masks, &[2, 3, SIZE[0], SIZE[1]]).unwrap();
    let points = Tensor::from_slice(device, &points, &[2, 3, 3, 3]).unwrap();
    (images, targets.masks(&masks).unwrap().keypoints(&points).unwrap())
}

/// The largest difference of numbers, relative to the largest of them.
fn apart(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    got.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f64::max)
}

/// Compares a network of the golden file, with a bound of losses and gradients, and one of detections.
fn compare(kind: &str, device: &Device, bound: f64, of_points: f64) {
    let golden = &golden()["cases"][kind];
    let net = small(kind, &Scope::new(device));
    fill(&net, device);
    let (images, targets) = scene(device);
    let losses = net.losses(&images, &targets).unwrap();
    losses.total().unwrap().backward().unwrap();
    let expected = golden["losses"].as_object().unwrap();
    assert_eq!(losses.iter().map(|(name, _)| name).collect::<std::collections::BTreeSet<_>>().len(), expected.len());
    for (name, loss) in losses.iter() {
        let expected = expected[name].as_f64().unwrap();
        let apart = (loss.to_f64().unwrap()[0] - expected).abs() / expected;
        assert!(apart < bound, "{kind}, {name}: {apart:.1e}");
    }
    let mut all: BTreeMap<String, Tensor> = gradients(&net).collect();
    all.insert("input".to_string(), images.grad().unwrap());
    let digests: Vec<[f64; 2]> = list(&golden["gradients"]);
    assert_eq!(all.len(), digests.len(), "{kind}");
    let (worst, whose) = worst(&all, &digests);
    assert!(worst < f64::max(bound, OF_HARDSIGMOID), "{kind}, {whose}: {worst:.1e}");

    fill(&net, device);
    net.eval();
    let found = net.detect(&images.detach()).unwrap();
    for (image, expected) in golden["detections"].as_array().unwrap().iter().enumerate() {
        let labels: Vec<i32> = list(&expected["labels"]);
        let of_image = |tensor: &Tensor| tensor.narrow(0, image, 1).unwrap().narrow(1, 0, labels.len()).unwrap();
        let numbers = |tensor: &Tensor| of_image(tensor).to_f64().unwrap();
        assert_eq!(of_image(&found.labels).to_vec::<i32>().unwrap(), labels, "{kind}");
        let check = |what: &str, apart: f64, bound: f64| assert!(apart < bound, "{kind}, {what}: {apart:.1e}");
        check("boxes", apart(&numbers(&found.boxes), &list(&expected["boxes"])), bound);
        check("scores", apart(&numbers(&found.scores), &list(&expected["scores"])), bound);
        if let Some(masks) = &found.masks {
            let masks = of_image(masks);
            assert_eq!(masks.shape()[2..], SIZE);
            for (at, [norm, product]) in list::<[f64; 2]>(&expected["masks"]).into_iter().enumerate() {
                let [got_norm, got] = digest(&format!("mask{at}"), &masks.narrow(1, at, 1).unwrap());
                check("masks", (got - product).abs().max((got_norm - norm).abs()) / norm, bound);
            }
        }
        if let (Some(points), Some(scores)) = (&found.keypoints, &found.keypoints_scores) {
            check("keypoints", apart(&numbers(points), &list(&expected["keypoints"])), of_points);
            check("keypoints_scores", apart(&numbers(scores), &list(&expected["keypoints_scores"])), of_points);
        }
    }
}

/// All networks of the golden file with `make test-long`, otherwise a sample.
fn kinds<const K: usize>(sample: [&'static str; K]) -> Vec<&'static str> {
    match std::env::var_os("WGRAD_TEST_ALL") {
        Some(_) => vec!["faster", "mask", "mask_normed", "keypoint"],
        None => sample.to_vec(),
    }
}

/// torchvision keeps keypoints in float32.
#[test]
fn values_are_torchvisions_on_the_reference() {
    for kind in kinds(["mask_normed", "keypoint"]) {
        compare(kind, &Device::reference(), 1e-9, 1e-7);
    }
}

#[test]
fn values_are_torchvisions_on_the_adapter() {
    let Some(device) = adapter() else { return };
    for kind in kinds(["mask"]) {
        compare(kind, &device, 1e-4, 1e-4);
    }
}

/// Nothing is read between the images and the optimizer's step, so that a step runs at once, by the plan of the last one.
#[test]
fn a_step_is_one_graph() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let nets = ["mask_normed", "keypoint"].map(|kind| small(kind, &Scope::new(&device)));
    for net in nets {
        let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.01)).unwrap();
        let mut step = || {
            let (images, targets) = scene(&device);
            let before = device.stats();
            net.losses(&images.detach(), &targets).unwrap().total().unwrap().backward().unwrap();
            sgd.step().unwrap();
            sgd.zero_grad();
            let after = device.stats();
            (after.runs - before.runs, after.plans - before.plans)
        };
        step();
        step();
        assert_eq!([step(), step()], [(1, 0); 2]);
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::reference();
    let fails = |result: wgrad::Result<()>, part: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    fails(Rcnn::new(&Scope::new(&device), &RcnnOptions::default().classes(1)).map(drop), "classes is 1; it must be 2");
    let (images, targets) = scene(&device);
    let plain = DetectionTargets::new(&targets.boxes, &targets.labels).unwrap();
    for (kind, part) in [("mask", "have no masks"), ("keypoint", "have no keypoints")] {
        fails(small(kind, &Scope::new(&device)).losses(&images, &plain).map(drop), part);
    }
    let level = Tensor::zeros(&device, &[2, 1, 8, 8]).unwrap();
    let pool = |levels: &[Tensor], sizes: &[[usize; 2]]| {
        MultiScaleRoiAlign::default().pool(levels, &targets.boxes, sizes).map(drop)
    };
    fails(pool(std::slice::from_ref(&level), &[SIZE]), "for 1 images");
    fails(pool(&[], &[SIZE; 2]), "no level to pool from");
    fails(paste_masks_in_image(&level, &targets.boxes, SIZE).map(drop), "must be [N, D, M, M] and [N, D, 4]");
    fails(level.heatmaps_to_keypoints(&targets.boxes, SIZE).map(drop), "must be [R, K, H, W] and [R, 4]");
}
