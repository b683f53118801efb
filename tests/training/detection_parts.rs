//! Parts of detectors against torchvision's in float64 (`tests/golden/detection_parts.py`), on the reference.

use crate::common::adapter;
use serde_json::Value;
use wgrad::models::detection::*;
use wgrad::{BackwardOptions, BoxFormat, Device, Result, RoiAlignOptions, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/detection_parts.json")).unwrap()
}

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn tensor(device: &Device, value: &Value, shape: &[usize]) -> Tensor {
    Tensor::from_f64(device, &numbers::<Vec<f64>>(value), shape).unwrap()
}

/// Fails if a value is further from the golden one than a few roundings of the largest.
#[track_caller]
fn assert_near(got: &Tensor, expected: &Value) {
    assert_within(1e-13, got, expected);
}

/// Fails if a value is further from the golden one than this fraction of the largest.
#[track_caller]
fn assert_within(tolerance: f64, got: &Tensor, expected: &Value) {
    let (got, expected) = (got.to_f64().unwrap(), numbers::<Vec<f64>>(expected));
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert!((got - expected).abs() <= tolerance * largest, "{at}: {got} is not {expected}");
    }
}

#[test]
fn anchors_are_torchvisions() -> Result<()> {
    let (golden, device) = (golden(), Device::reference());
    let ratios = vec![vec![0.5, 1.0, 2.0]; 3];
    let generator = AnchorGenerator::new(&[vec![8.0, 20.0], vec![32.0], vec![50.0]], &ratios)?;
    assert_eq!(generator.num_anchors_per_location(), [6, 3, 3]);
    assert_near(&generator.anchors(&device, [50, 70], &[[4, 6], [2, 3], [1, 1]])?, &golden["anchors"]);
    let stepped = DefaultBoxGenerator::new(&[vec![2.0], vec![2.0, 3.0]], &[0.07, 0.33, 1.05], Some(vec![16, 64]))?;
    assert_near(&stepped.anchors(&device, [64, 96], &[[4, 6], [1, 2]])?, &golden["default_boxes"][0]);
    let scales = DefaultBoxGenerator::even_scales(3, 0.2, 0.95);
    let even = DefaultBoxGenerator::new(&[vec![2.0, 3.0], vec![2.0], vec![3.0]], &scales, None)?;
    assert_eq!(even.num_anchors_per_location(), [6, 4, 4]);
    assert_near(&even.anchors(&device, [60, 90], &[[4, 6], [2, 3], [1, 1]])?, &golden["default_boxes"][1]);
    Ok(())
}

/// Levels of a pyramid share one operation, so their gradients do too.
#[test]
fn regions_of_levels_are_torchvisions() -> Result<()> {
    let golden = &golden()["pooled"];
    let sizes: Vec<[usize; 2]> = numbers(&golden["sizes"]);
    let boxes: Vec<Vec<f64>> = numbers(&golden["boxes"]);
    let pool = MultiScaleRoiAlign::default().output_size([2, 3]).canonical_scale(20.0).canonical_level(3);
    for (device, tolerance) in [(Some(Device::reference()), 1e-7), (adapter(), 1e-5)] {
        let Some(device) = device else { continue };
        let of_level = |(at, size): (usize, &[usize; 2])| {
            tensor(&device, &golden["levels"][at], &[2, 3, size[0], size[1]]).requires_grad()
        };
        let levels: Vec<Tensor> = sizes.iter().enumerate().map(of_level).collect();
        let boxes = Tensor::from_f64(&device, &boxes.concat(), &[2, boxes[0].len() / 4, 4])?;
        let regions = pool.pool(&levels, &boxes, &[[64, 48]; 2])?;
        assert_within(tolerance, &regions, &golden["regions"]);
        let cotangent = tensor(&device, &golden["cotangent"], regions.shape());
        regions.backward_with(BackwardOptions::default().gradient(cotangent))?;
        for (at, level) in levels.iter().enumerate() {
            assert_within(tolerance, &level.grad().unwrap(), &golden["grads"][at]);
        }
    }
    Ok(())
}

#[test]
fn coders_are_torchvisions() -> Result<()> {
    let (golden, device) = (&golden()["coder"], Device::reference());
    let [boxes, anchors, codes] = ["boxes", "anchors", "codes"].map(|name| tensor(&device, &golden[name], &[6, 4]));
    let coder = BoxCoder::new([10.0, 10.0, 5.0, 5.0]);
    assert_near(&coder.encode(&boxes, &anchors)?, &golden["encoded"]);
    assert_near(&coder.decode(&codes, &anchors)?, &golden["decoded"]);
    assert_near(&BoxLinearCoder.encode(&boxes, &anchors)?, &golden["linear_encoded"]);
    assert_near(&BoxLinearCoder.decode(&codes, &anchors)?, &golden["linear_decoded"]);
    Ok(())
}

#[test]
fn matches_are_torchvisions() -> Result<()> {
    let golden = &golden()["matches"];
    for device in [Some(Device::reference()), adapter()].into_iter().flatten() {
        let quality = tensor(&device, &golden["quality"], &[3, 5, 30]);
        let counts: Vec<usize> = numbers(&golden["counts"]);
        let is_object: Vec<bool> = counts.iter().flat_map(|&count| (0..5).map(move |row| row < count)).collect();
        let is_object = Tensor::from_slice(&device, &is_object, &[3, 5])?;
        let expected = |name: &str| numbers::<Vec<i32>>(&golden[name]);
        let matcher = |low| Matcher::new(0.3, 0.1, low);
        assert_eq!(matcher(false)?.matches(&quality, &is_object)?.to_vec::<i32>()?, expected("plain"));
        assert_eq!(matcher(true)?.matches(&quality, &is_object)?.to_vec::<i32>()?, expected("low"));
        assert_eq!(SsdMatcher::new(0.3).matches(&quality, &is_object)?.to_vec::<i32>()?, expected("ssd"));
    }
    Ok(())
}

#[test]
fn suppressed_boxes_are_torchvisions() -> Result<()> {
    let golden = &golden()["nms"];
    for device in [Some(Device::reference()), adapter()].into_iter().flatten() {
        let kept: Vec<i32> = numbers(&golden["kept"]);
        let labels = Tensor::from_slice(&device, &numbers::<Vec<i32>>(&golden["labels"]), &[1, 40])?;
        let (boxes, scores) =
            (tensor(&device, &golden["boxes"], &[1, 40, 4]), tensor(&device, &golden["scores"], &[1, 40]));
        assert_eq!(boxes.batched_nms(&scores, &labels, 0.3, 10)?.to_vec::<i32>()?, kept[..10]);
        let found = Detections::suppressed(&boxes, &scores, &labels, 0.3, 40)?;
        assert_eq!(found.to_vec()?[0].len(), kept.len());
        let labels = found.labels.to_vec::<i32>()?;
        assert!(labels[kept.len()..].iter().all(|&label| label == -1));
        assert!(found.scores.to_vec::<f32>()?[kept.len()..].iter().all(|&score| score == f32::NEG_INFINITY));
        let last = usize::try_from(kept[kept.len() - 1]).unwrap();
        assert_eq!(
            found.to_vec()?[0][kept.len() - 1].score as f32,
            numbers::<Vec<f64>>(&golden["scores"])[last] as f32
        );
    }
    Ok(())
}

#[test]
fn transforms_are_torchvisions() -> Result<()> {
    let golden = golden();
    let device = Device::reference();
    let default = ImageTransformOptions::default();
    let options = [
        default.min_size(12).max_size(20).size_divisible(8),
        default.image_mean([0.5; 3]).image_std([1.0 / 255.0; 3]).size_divisible(1).fixed_size([7, 10]),
    ];
    for (options, golden) in options.into_iter().zip(golden["transforms"].as_array().unwrap()) {
        let shapes: Vec<[usize; 2]> = numbers(&golden["shapes"]);
        let count = shapes.len();
        let each = |name: &str, shape: &[usize]| -> Result<Tensor> {
            let values: Vec<f64> = numbers::<Vec<Vec<f64>>>(&golden[name]).concat();
            Tensor::from_f64(&device, &values, shape)
        };
        let images = (0..count).map(|at| tensor(&device, &golden["images"][at], &[3, shapes[at][0], shapes[at][1]]));
        let images: Vec<Tensor> = images.collect();
        let transform = ImageTransform::new(options)?;
        let batch = transform.list(&images)?;
        assert_eq!(batch.tensors.shape()[..], numbers::<Vec<usize>>(&golden["size"]));
        assert_eq!(batch.image_sizes, numbers::<Vec<[usize; 2]>>(&golden["sizes"]));
        // Weights of interpolation are float32, in two dimensions.
        assert_within(2e-7, &batch.tensors, &golden["batch"]);

        // Masks of images of unequal sizes are in one tensor, padded with zeros.
        let [height, width] = [0, 1].map(|d| shapes.iter().map(|shape| shape[d]).max().unwrap());
        let mut masks = vec![0.0f32; count * 2 * height * width];
        for (image, shape) in shapes.iter().enumerate() {
            let mask: Vec<f32> = numbers(&golden["masks"][image]);
            for (row, pixels) in mask.chunks(shape[1]).enumerate() {
                let start = ((image * 2 + row / shape[0]) * height + row % shape[0]) * width;
                masks[start..start + shape[1]].copy_from_slice(pixels);
            }
        }
        let labels = Tensor::full(&device, &[count, 2], 1i32)?;
        let targets = DetectionTargets::new(&each("boxes", &[count, 2, 4])?, &labels)?
            .masks(&Tensor::from_slice(&device, &masks, &[count, 2, height, width])?)?
            .keypoints(&each("keypoints", &[count, 2, 3, 3])?)?;
        let moved = batch.targets(&targets)?;
        let all = |name: &str| Value::from(numbers::<Vec<Vec<f64>>>(&golden[name]).concat());
        assert_near(&moved.boxes, &all("moved_boxes"));
        assert_near(moved.keypoints.as_ref().unwrap(), &all("moved_keypoints"));
        let moved_masks = moved.masks.unwrap();
        assert_eq!(moved_masks.shape()[2..], batch.size());
        for (image, &[height, width]) in batch.image_sizes.iter().enumerate() {
            let mask = moved_masks.narrow(0, image, 1)?.narrow(2, 0, height)?.narrow(3, 0, width)?;
            assert_near(&mask, &golden["moved_masks"][image]);
            // A region of the whole image sees no padding.
            let [right, bottom] = [width, height].map(|side| side as f64);
            let whole = Tensor::from_f64(&device, &[0.0, 0.0, 0.0, right, bottom], &[1, 5])?;
            let of = |mask: &Tensor| mask.roi_align(&whole, 4, &RoiAlignOptions::default());
            assert_near(&of(&moved_masks.narrow(0, image, 1)?)?, &Value::from(of(&mask)?.to_f64()?));
        }
        let scores = Tensor::ones(&device, &[count, 2])?;
        let found =
            Detections { boxes: targets.boxes, scores, labels, masks: None, keypoints: None, keypoints_scores: None };
        assert_near(&batch.detections(&found)?.boxes, &all("back"));
        assert_eq!(found.rows()?.shape()[..], [count, 2, 6]);
    }
    Ok(())
}

#[test]
fn targets_are_rows_of_a_fixed_number() -> Result<()> {
    let device = Device::reference();
    let one: &[([f32; 4], i32)] = &[([1.0, 2.0, 3.0, 5.0], 2)];
    let targets = DetectionTargets::from_objects(&device, &[&[], one])?;
    assert_eq!(targets.is_object()?.to_vec::<bool>()?, [false, true]);
    let again = DetectionTargets::from_rows(&targets.rows()?)?;
    assert_eq!(again.labels.to_vec::<i32>()?, [-1, 2]);
    assert_eq!(again.boxes.box_area(BoxFormat::Xyxy)?.to_vec::<f32>()?, [0.0, 6.0]);
    let wrong = DetectionTargets::new(&targets.boxes, &targets.labels.narrow(0, 0, 1)?);
    assert!(wrong.unwrap_err().to_string().contains("[N, M, 4]"));
    Ok(())
}
