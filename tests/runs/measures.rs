//! Metrics of numbers, images and boxes for which one batch of golden values does not suffice: long epochs, resets, refusals.

use crate::common::{self, Random};
use wgrad::metrics::{
    AggregationLevel, DataRange, Detection, ExplainedVariance, GroundTruth, MeanAbsoluteError, MeanAveragePrecision,
    MeanAveragePrecisionOptions, MeanSquaredError, MeanSquaredErrorOptions, Metric, MultiOutput, PeakSignalNoiseRatio,
    PeakSignalNoiseRatioOptions, PearsonCorrCoef, R2Score, R2ScoreOptions, SegmentationOptions, SegmentationScores,
    StructuralSimilarity, StructuralSimilarityOptions, VocAveragePrecision, VocAveragePrecisionOptions,
    structural_similarity, total_variation,
};
use wgrad::{BoxFormat, DType, Device, Error, Tensor, amp};

/// The adapter and the reference.
fn devices() -> Vec<Device> {
    common::adapter().into_iter().chain([Device::reference()]).collect()
}

fn numbers(device: &Device, values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(device, values, shape).unwrap()
}

fn value(metric: &dyn Metric) -> f64 {
    let values = metric.compute().unwrap();
    assert_eq!(values.len(), 1, "{values:?}");
    values[0].1
}

/// 10^8 numbers in 1,000 batches, or a tenth of them, a few batches a thousand times the rest: sums in f64 are the oracle.
#[test]
fn long_epochs_lose_nothing() {
    let Some(device) = common::adapter() else { return };
    let mut random = Random(7);
    let mut eighths = |reach: f64| ((random.unit() * 2.0 - 1.0) * reach).round() as f32 / 8.0;
    let count = 100_000;
    // Eighths, so that what a batch adds to them is exact.
    let target: Vec<f32> = (0..count).map(|_| eighths(64.0)).collect();
    let errors: Vec<f32> = (0..count).map(|_| eighths(8.0)).collect();
    let preds: Vec<f32> = target.iter().zip(&errors).map(|(t, e)| t - e).collect();
    let on_device = [&preds, &target].map(|values| numbers(&device, values, &[count]));
    let mut mse = MeanSquaredError::default();
    let mut mae = MeanAbsoluteError::default();
    let mut r2 = R2Score::default();
    let mut explained = ExplainedVariance::default();
    let mut pearson = PearsonCorrCoef::default();
    let mut expected = Sums::default();
    let batches = if std::env::var_os("WGRAD_TEST_ALL").is_some() { 1000 } else { 100 };
    for batch in 0..batches {
        // Far from 0, and wandering.
        let shift = 4096.0 + f32::from(batch as u8);
        let scale = if batch % 50 == 0 { 1000.0 } else { 1.0 };
        let target_now = on_device[1].add_scalar(shift).unwrap();
        let error = on_device[1].sub(&on_device[0]).unwrap().mul_scalar(scale).unwrap();
        let preds_now = target_now.sub(&error).unwrap();
        for metric in [&mut mse as &mut dyn Metric, &mut mae, &mut r2, &mut explained, &mut pearson] {
            metric.update(&preds_now, &target_now).unwrap();
        }
        device.flush().unwrap();
        expected.add(&target, &errors, shift.into(), scale);
    }
    let Sums { n, t, tt, e, ee, te, distance } = expected;
    let covariance = |xy: f64, x: f64, y: f64| xy / n - x / n * (y / n);
    let (variance, of_errors) = (covariance(tt, t, t), covariance(ee, e, e));
    let with_preds = variance - covariance(te, t, e);
    let of_preds = variance - 2.0 * covariance(te, t, e) + of_errors;
    for (name, metric, expected) in [
        ("mse", &mse as &dyn Metric, ee / n),
        ("mae", &mae, distance / n),
        ("r2", &r2, 1.0 - ee / n / variance),
        ("explained", &explained, 1.0 - of_errors / variance),
        ("pearson", &pearson, with_preds / (variance * of_preds).sqrt()),
    ] {
        let got = value(metric);
        assert!((got - expected).abs() <= 1e-5 * expected.abs(), "{name}: {got}, expected {expected}");
    }
}

/// Moments around the middle of the targets.
#[derive(Default)]
struct Sums {
    n: f64,
    t: f64,
    tt: f64,
    e: f64,
    ee: f64,
    te: f64,
    distance: f64,
}

impl Sums {
    fn add(&mut self, target: &[f32], errors: &[f32], shift: f64, scale: f64) {
        for (&t, &e) in target.iter().zip(errors) {
            let (t, e) = (f64::from(t) + shift - 4200.0, f64::from(e) * scale);
            self.n += 1.0;
            self.t += t;
            self.tt += t * t;
            self.e += e;
            self.ee += e * e;
            self.te += t * e;
            self.distance += e.abs();
        }
    }
}

/// Enough batches to carry sums through all three levels, of one number that f32 cannot add up.
#[test]
fn many_small_batches_lose_nothing() {
    let Some(device) = common::adapter() else { return };
    let steps = if std::env::var_os("WGRAD_TEST_ALL").is_some() { 200_000u32 } else { 3_000 };
    let (preds, target) = (numbers(&device, &[0.1], &[1]), numbers(&device, &[0.0], &[1]));
    let mut mae = MeanAbsoluteError::default();
    let mut plain = 0.0f32;
    for step in 0..steps {
        mae.update(&preds, &target).unwrap();
        plain += 0.1;
        if step % 100 == 99 {
            device.flush().unwrap();
        }
    }
    let off = |mean: f64| (mean / f64::from(0.1f32) - 1.0).abs();
    assert!(off(value(&mae)) < 2e-6, "{}", value(&mae));
    assert!(off(f64::from(plain) / f64::from(steps)) > 4e-6, "an easier case than it should be");
}

/// Each value is NaN before the first item and after a reset, and does not change through batches of nothing.
#[test]
fn nothing_is_not_a_number() {
    for device in devices() {
        let metrics: Vec<Box<dyn Metric>> = vec![
            Box::new(MeanSquaredError::default()),
            Box::new(MeanAbsoluteError::default()),
            Box::new(R2Score::default()),
            Box::new(ExplainedVariance::default()),
            Box::new(PearsonCorrCoef::default()),
            Box::new(PeakSignalNoiseRatio::new(PeakSignalNoiseRatioOptions::default()).unwrap()),
        ];
        for mut metric in metrics {
            let name = metric.compute().unwrap()[0].0.clone();
            assert!(value(&*metric).is_nan(), "{name}");
            let nothing = numbers(&device, &[], &[0]);
            metric.update(&nothing, &nothing).unwrap();
            assert!(value(&*metric).is_nan(), "{name} of an empty batch");
            let (preds, target) = (numbers(&device, &[1.0, 2.0, 4.0], &[3]), numbers(&device, &[1.5, 2.0, 3.0], &[3]));
            metric.update(&preds, &target).unwrap();
            let once = value(&*metric);
            assert!(once.is_finite(), "{name}");
            metric.update(&nothing, &nothing).unwrap();
            assert_eq!(value(&*metric), once, "{name}");
            metric.reset().unwrap();
            assert!(value(&*metric).is_nan(), "{name} after a reset");
            metric.update(&preds, &target).unwrap();
            assert_eq!(value(&*metric), once, "{name} after a reset");
        }
    }
}

/// Targets that don't vary, of any size, have a score of 0 or 1, and one item none.
#[test]
fn scores_of_constants_are_defined() {
    for device in devices() {
        for constant in [0.1, -3.3e7, 1e-20] {
            let target = Tensor::full(&device, &[1001], constant).unwrap();
            for (preds, expected) in [(target.clone(), 1.0), (target.mul_scalar(0.5).unwrap(), 0.0)] {
                let mut r2 = R2Score::default();
                r2.update(&preds, &target).unwrap();
                assert_eq!(value(&r2), expected, "{constant}");
            }
            // Errors that are all the same leave nothing to explain.
            let mut explained = ExplainedVariance::new(MultiOutput::VarianceWeighted);
            explained.update(&target.mul_scalar(0.5).unwrap(), &target).unwrap();
            assert_eq!(value(&explained), 1.0);
            let mut pearson = PearsonCorrCoef::default();
            pearson.update(&target, &Tensor::rand(&device, &[1001]).unwrap()).unwrap();
            assert!(value(&pearson).is_nan());
        }
        let mut r2 = R2Score::new(R2ScoreOptions::default().adjusted(1));
        r2.update(&numbers(&device, &[1.0], &[1]), &numbers(&device, &[2.0], &[1])).unwrap();
        assert!(value(&r2).is_nan());
    }
}

/// At either level images are counted once: for one image both levels agree, and for unequal ones each gives its own mean.
#[test]
fn segmentations_count_by_image_or_all_together() {
    for device in devices() {
        // 9 of 10 pixels of the first image are right, of the second 1 of 2, and the rest is ignored.
        let preds: Vec<i32> = vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let target: Vec<i32> = vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 9, 9, 9, 9, 9, 9, 9, 9];
        let image = |of: &[i32]| Tensor::from_slice(&device, of, &[2, 2, 5]).unwrap();
        let scores = |level| {
            let options = SegmentationOptions::default().ignore_index(9).aggregation_level(level).per_class(true);
            let names = ["road".to_string(), "car".to_string(), "sky".to_string()];
            let mut scores = SegmentationScores::new(&device, 3, options).unwrap().class_names(&names).unwrap();
            assert!(scores.compute().unwrap().iter().all(|(_, value)| value.is_nan()));
            scores.update(&image(&preds), &image(&target)).unwrap();
            scores.compute().unwrap()
        };
        let named = |values: [f64; 6]| {
            let names = ["pixel_accuracy", "mean_iou", "dice_score", "iou/road", "iou/car", "iou/sky"];
            names.map(String::from).into_iter().zip(values).collect::<Vec<_>>()
        };
        let close = |got: Vec<(String, f64)>, expected: Vec<(String, f64)>| {
            for ((name, got), (expected_name, expected)) in got.iter().zip(&expected) {
                let same = (got - expected).abs() < 1e-12 || got.is_nan() && expected.is_nan();
                assert!(name == expected_name && same, "{name}: {got}, expected {expected_name}: {expected}");
            }
            assert_eq!(got.len(), expected.len());
        };
        // By image: road 0/1, car 9/10; road 0/1, car 1/2. Together: road 0/2, car 10/12.
        let (first, second) = ((0.0 + 0.9) / 2.0, (0.0 + 0.5) / 2.0);
        let dice = (18.0 / 19.0 / 2.0 + 2.0 / 3.0 / 2.0) / 2.0;
        let expected = [10.0 / 12.0, (first + second) / 2.0, dice, 0.0, (0.9 + 0.5) / 2.0, f64::NAN];
        close(scores(AggregationLevel::Samplewise), named(expected));
        let iou = 10.0 / 12.0;
        let expected = [iou, iou / 2.0, 20.0 / 22.0 / 2.0, 0.0, iou, f64::NAN];
        close(scores(AggregationLevel::Global), named(expected));
    }
}

fn refused(result: Result<(), Error>, texts: &[&str]) {
    let message = result.unwrap_err().to_string();
    assert!(texts.iter().all(|text| message.contains(text)), "expected {texts:?} in {message:?}");
}

#[test]
fn refusals_say_the_shapes() {
    let device = Device::reference();
    let of = |shape: &[usize]| Tensor::zeros(&device, shape).unwrap();
    let mut mse = MeanSquaredError::new(MeanSquaredErrorOptions::default().num_outputs(3));
    refused(mse.update(&of(&[4, 2]), &of(&[4, 2])), &["mean_squared_error", "[4, 2]", "3 outputs"]);
    let mut r2 = R2Score::default();
    refused(r2.update(&of(&[4, 2, 1]), &of(&[4, 2, 1])), &["r2_score", "[4, 2, 1]"]);
    r2.update(&of(&[4, 2]), &of(&[4, 2])).unwrap();
    refused(r2.update(&of(&[4, 3]), &of(&[4, 3])), &["r2_score"]);
    let options = PeakSignalNoiseRatioOptions::default();
    refused(PeakSignalNoiseRatio::new(options.clone().data_range(DataRange::OfData)).map(drop), &["data_range"]);
    refused(PeakSignalNoiseRatio::new(options.base(1.0)).map(drop), &["base"]);
    refused(
        structural_similarity(&of(&[1, 1, 9, 5]), &of(&[1, 1, 9, 5]), &Default::default()).map(drop),
        &["structural_similarity", "9 x 5", "11 x 11"],
    );
    let mut boxes = MeanAveragePrecision::new(Default::default()).unwrap();
    refused(boxes.update(&of(&[2, 3, 6]), &of(&[1, 3, 5])), &["mean_average_precision", "[2, 3, 6]", "[1, 3, 5]"]);
    refused(boxes.update(&of(&[2, 3, 5]), &of(&[2, 3, 5])), &["[2, 3, 5]"]);
    for options in [
        MeanAveragePrecisionOptions::default().iou_thresholds(vec![]),
        MeanAveragePrecisionOptions::default().rec_thresholds(vec![0.5, 0.1]),
        MeanAveragePrecisionOptions::default().max_detection_thresholds([10, 1, 100]),
        MeanAveragePrecisionOptions::default().max_detection_thresholds([0, 1, 100]),
    ] {
        refused(MeanAveragePrecision::new(options).map(drop), &["thresholds"]);
    }
}

/// Metrics launch work of their own types: autocast around them changes nothing.
#[test]
fn autocast_does_not_reach_metrics() {
    for device in devices().into_iter().filter(common::has_f16) {
        let images = Tensor::rand(&device, &[1, 1, 16, 16]).unwrap();
        let noisy = images.add(&Tensor::rand(&device, &[1, 1, 16, 16]).unwrap().mul_scalar(0.1).unwrap()).unwrap();
        let score = |is_cast: bool| {
            let mut ssim = StructuralSimilarity::new(StructuralSimilarityOptions::default().data_range(1.0)).unwrap();
            let mut update = || ssim.update(&noisy, &images);
            if is_cast {
                amp::autocast(DType::F16, update).unwrap()
            } else {
                update().unwrap()
            }
            value(&ssim)
        };
        assert_eq!(score(true), score(false), "{}", device.name());
    }
}

/// Slopes of the similarity, and of the variation, by differences in f64.
#[test]
fn similarities_have_gradients() {
    let device = Device::reference();
    let (preds, target) =
        (Tensor::rand(&device, &[1, 2, 7, 6]).unwrap(), Tensor::rand(&device, &[1, 2, 7, 6]).unwrap());
    let options = StructuralSimilarityOptions::default().sigma([0.5, 0.8]).data_range(1.0);
    let score = |x: &Tensor| structural_similarity(x, &target, &options).unwrap().sum_all().unwrap();
    let variation = |x: &Tensor| total_variation(x).unwrap().sum_all().unwrap();
    for score in [&score as &dyn Fn(&Tensor) -> Tensor, &variation] {
        let x = preds.requires_grad();
        score(&x).backward().unwrap();
        let slopes = x.grad().unwrap().to_f64().unwrap();
        let values = preds.to_f64().unwrap();
        for at in [0, 13, 40, 83] {
            let moved = |by: f64| {
                let mut values = values.clone();
                values[at] += by;
                score(&Tensor::from_f64(&device, &values, preds.shape()).unwrap()).to_f64().unwrap()[0]
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - slopes[at]).abs() < 1e-7 + 1e-5 * slope.abs(), "{slope}, {}", slopes[at]);
        }
    }
}

/// Images come as tensors with padded rows, or one by one; boxes in any format.
#[test]
fn boxes_count_the_same_however_they_come() {
    let cat = [10.0, 20.0, 60.0, 90.0];
    let found = [
        Detection { label: 3, score: 0.5, bounds: [12.0, 20.0, 60.0, 88.0] },
        Detection { label: 0, score: 0.75, bounds: [0.0, 0.0, 10.0, 10.0] },
    ];
    let crowd = GroundTruth { is_ignored: true, ..GroundTruth::new(0, [0.0, 0.0, 10.0, 10.0]) };
    let truths = [GroundTruth::new(3, cat), crowd];
    let mut expected = MeanAveragePrecision::new(MeanAveragePrecisionOptions::default().class_metrics(true)).unwrap();
    expected.add(&found, &truths);
    expected.add(&[], &truths[..1]);
    let expected = expected.compute().unwrap();
    // One of two is found: precision is 1 at the recalls 0, 0.01, .., 0.5.
    assert!((expected[1].1 - 51.0 / 101.0).abs() < 1e-12, "{expected:?}");
    assert!(expected.contains(&("map/0".into(), -1.0)), "{expected:?}");
    for device in devices() {
        for format in [BoxFormat::Xyxy, BoxFormat::Xywh, BoxFormat::Cxcywh] {
            let options = MeanAveragePrecisionOptions::default().box_format(format).class_metrics(true);
            let convert = |of: Tensor| {
                let (bounds, rest) = (of.narrow(2, 0, 4).unwrap(), of.narrow(2, 4, of.shape()[2] - 4).unwrap());
                Tensor::cat(&[&bounds.box_convert(BoxFormat::Xyxy, format).unwrap(), &rest], 2).unwrap()
            };
            let fill = [9.0, 9.0, 9.0, 9.0];
            let row = |of: &Detection| {
                [of.bounds.map(|edge| edge as f32).to_vec(), vec![of.score as f32, of.label as f32]].concat()
            };
            let absent = [fill.to_vec(), vec![0.9, -1.0]].concat();
            let preds =
                [row(&found[0]), absent.clone(), row(&found[1]), absent.clone(), absent.clone(), absent].concat();
            let row = |of: &GroundTruth| {
                let flags = vec![of.label as f32, f32::from(u8::from(of.is_ignored))];
                [of.bounds.map(|edge| edge as f32).to_vec(), flags].concat()
            };
            let target =
                [row(&truths[0]), row(&truths[1]), row(&truths[0]), [fill.to_vec(), vec![-1.0, 0.0]].concat()].concat();
            let mut metric = MeanAveragePrecision::new(options).unwrap();
            let preds = convert(numbers(&device, &preds, &[2, 3, 6]));
            metric.update(&preds, &convert(numbers(&device, &target, &[2, 2, 6]))).unwrap();
            assert_eq!(metric.compute().unwrap(), expected, "{format:?}");
            metric.reset().unwrap();
            assert_eq!(metric.summary().unwrap().map, -1.0);
        }
    }
}

/// Annotations of files serve as objects of the metrics: detections equal to them are right.
#[cfg(feature = "images")]
#[test]
fn annotations_find_themselves() {
    let annotated =
        wgrad::data::BoundingBox { class: 2, corners: [1.0, 2.0, 41.0, 40.0], area: 900.0, is_ignored: false };
    let truth = GroundTruth::from(&annotated);
    let found = Detection { label: 2, score: 1.0, bounds: truth.bounds };
    let mut coco = MeanAveragePrecision::new(Default::default()).unwrap();
    coco.add(&[found], &[truth]);
    let summary = coco.summary().unwrap();
    // The object is small by its area, and its box is not.
    assert_eq!((summary.map_small, summary.map_medium), (summary.map, -1.0));
    assert!((summary.map - 1.0).abs() < 1e-12);
    let mut voc = VocAveragePrecision::new(VocAveragePrecisionOptions::default());
    voc.add(&[found], &[truth, GroundTruth { is_ignored: true, ..truth }]);
    assert_eq!(voc.compute().unwrap(), [("voc_map".to_string(), 1.0)]);
}
