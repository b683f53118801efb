//! SLIC, compared with scikit-image's, and LIME with captum's and scikit-learn's (`tests/golden/superpixels.py`).

use crate::common::adapter;
use crate::common::from_names::numbers;
use crate::explain::{CLASSES, Net, SHAPE, apart, baseline, images};
use serde_json::Value;
use std::sync::LazyLock;
use wgrad::explain::{Explainer, LimeDistance, LimeOptions, SlicOptions, Surrogate, Target, slic};
use wgrad::{Device, Tensor, nn};

const SIDE: usize = 60;
const FEATURES: usize = 6;
const SAMPLES: usize = 40;

static GOLDEN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../golden/superpixels.json")).unwrap());

/// Bytes `[1, C, H, W]` of the golden file's `[H, W, C]`.
fn picture(device: &Device, name: &str, channels: usize) -> Tensor {
    let hex = GOLDEN["slic"][name].as_str().unwrap().to_string();
    let bytes: Vec<i32> = (0..hex.len() / 2).map(|at| i32::from_str_radix(&hex[2 * at..][..2], 16).unwrap()).collect();
    Tensor::from_slice(device, &bytes, &[1, SIDE, SIDE, channels]).unwrap().permute([0, 3, 1, 2]).unwrap()
}

#[test]
fn superpixels_are_those_of_scikit_image() {
    let device = Device::reference();
    let (colour, grey) = (picture(&device, "picture", 3), picture(&device, "grey", 1));
    let strip = colour.narrow(2, 0, 4).unwrap();
    let flat = Tensor::full(&device, &[1, 3, 20, 30], 7).unwrap();
    let options =
        |segments: usize, compactness: f64| SlicOptions::default().segments(segments).compactness(compactness);
    for (name, image, options) in [
        ("colour", &colour, options(40, 10.0)),
        ("colour, loose", &colour, options(12, 1.0)),
        ("colour, one turn", &colour, options(40, 10.0).turns(1)),
        ("grey", &grey, options(25, 10.0)),
        ("strip", &strip, options(30, 5.0)),
        ("flat", &flat, options(6, 10.0)),
    ] {
        let expected: Vec<i32> = serde_json::from_value(GOLDEN["slic"]["labels"][name].clone()).unwrap();
        let got = slic(image, &options).unwrap();
        assert_eq!(got.count, *expected.iter().max().unwrap() as usize + 1, "{name}");
        let differ = got.features.to_vec::<i32>().unwrap().iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!((differ, got.features.numel()), (0, expected.len()), "{name}");
    }
}

fn features(device: &Device) -> Tensor {
    let [_, _, height, width] = SHAPE;
    let features: Vec<i32> = (0..height * width).map(|pixel| (pixel / 5 % FEATURES) as i32).collect();
    Tensor::from_slice(device, &features, &[1, 1, height, width]).unwrap()
}

fn options(device: &Device, surrogate: Surrogate, distance: LimeDistance) -> LimeOptions {
    let masks: Vec<f32> =
        numbers("masks", SAMPLES * FEATURES).map(|number| f32::from(u8::from(number > 0.0))).collect();
    let masks = Tensor::from_slice(device, &masks, &[SAMPLES, FEATURES]).unwrap();
    let width = if distance == LimeDistance::Cosine { 0.25 } else { 10.0 };
    LimeOptions::default().masks(masks).surrogate(surrogate).distance(distance).width(width).baseline(baseline(device))
}

#[test]
fn linear_models_near_an_image_are_captums_and_scikit_learns() {
    for (device, bound) in
        [Some((Device::reference(), 1e-6)), adapter().map(|device| (device, 1e-4))].into_iter().flatten()
    {
        let net = Net::new(&device);
        let explainer = Explainer::new(&net).target(Target::Classes(CLASSES.to_vec())).batch(14);
        let (x, features) = (images(&device), features(&device));
        for (surrogate, name) in [
            (Surrogate::Lasso(0.01), "lasso"),
            (Surrogate::Ridge(1.0), "ridge"),
            (Surrogate::LeastSquares, "least squares"),
        ] {
            for (distance, of) in [(LimeDistance::Cosine, "cosine"), (LimeDistance::Euclidean, "euclidean")] {
                let options = options(&device, surrogate, distance);
                let name = format!("{name} {of}");
                let golden = |kind: &str| -> Vec<f64> { serde_json::from_value(GOLDEN[kind][&name].clone()).unwrap() };
                let got = explainer.lime_coefficients(&x, &features, FEATURES, &options).unwrap().to_f64().unwrap();
                let off = apart(&got, &golden("exact"));
                assert!(off < bound, "{name}: {off:.1e}");
                // captum fits in single precision.
                let got = explainer.lime(&x, &features, FEATURES, &options).unwrap().to_f64().unwrap();
                let off = apart(&got, &golden("lime"));
                assert!(off < 1e-4, "{name}, captum's: {off:.1e}");
            }
        }
    }
}

/// A network that adds up two superpixels has these, and no others, as its coefficients.
#[test]
fn superpixels_that_matter_are_found() {
    let device = Device::reference();
    let picture = picture(&device, "picture", 3).to_dtype(wgrad::DType::F32).unwrap();
    let found = slic(&picture, &SlicOptions::default().segments(8)).unwrap();
    let weight = |label: usize| found.features.eq_scalar(label as f64).unwrap().to_dtype(wgrad::DType::F32).unwrap();
    let (first, second) = (weight(1), weight(5));
    let net = nn::Lambda::new(move |x: &Tensor| {
        let sum = |of: &Tensor| (x * of)?.mean([1, 2, 3]);
        Tensor::stack(&[&sum(&first)?, &sum(&second)?], 1)?.sum_keepdim(1)
    });
    device.manual_seed(1);
    let options = LimeOptions::default().samples(60).surrogate(Surrogate::LeastSquares);
    let explainer = Explainer::new(&net).target(Target::Class(0));
    let got = explainer.lime_coefficients(&picture, &found.features, found.count, &options).unwrap().to_f64().unwrap();
    let largest = got.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (label, value) in got.iter().enumerate() {
        assert_eq!(value.abs() > 1e-6 * largest, [1, 5].contains(&label), "{label}: {got:?}");
    }
    let ablation = explainer.feature_ablation(&picture, &found.features, found.count, None).unwrap().to_f64().unwrap();
    let map = explainer.lime(&picture, &found.features, found.count, &options).unwrap().to_f64().unwrap();
    assert!(apart(&map, &ablation) < 1e-6, "taking one away is what the linear model says of a linear network");
}

#[test]
fn wrong_questions_are_errors() {
    let device = Device::reference();
    let net = Net::new(&device);
    let explainer = Explainer::new(&net);
    let (x, features) = (images(&device), features(&device));
    let says = |options: LimeOptions, words: &str| {
        let text = explainer.lime(&x, &features, FEATURES, &options).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    says(LimeOptions::default().samples(0), "no samples");
    says(LimeOptions::default().width(0.0), "above 0");
    says(LimeOptions::default().masks(Tensor::ones(&device, &[4, 5]).unwrap()), "[4, 5] for 6 features");
    says(LimeOptions::default().samples(3).surrogate(Surrogate::LeastSquares), "do not determine 6 coefficients");
    let floats = features.to_dtype(wgrad::DType::F32).unwrap();
    assert!(explainer.lime(&x, &floats, FEATURES, &LimeOptions::default()).is_err());
    assert!(explainer.lime(&x, &features, 0, &LimeOptions::default()).is_err());
    assert!(slic(&x, &SlicOptions::default().segments(0)).is_err());
    assert!(slic(&x, &SlicOptions::default().compactness(0.0)).is_err());
    assert!(slic(&(x.clone() / 0.0).unwrap(), &SlicOptions::default()).is_err());
}
