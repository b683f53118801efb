//! Corruptions, compared with NumPy, SciPy, scikit-image, OpenCV and Pillow by shared draws (`tests/golden/corruptions.py`), and
//! the statistics of their own draws; a network's errors under them.

use crate::common::adapter;
use crate::common::from_names::numbers;
use std::collections::BTreeMap;
use wgrad::nn::{Flatten, Linear, Module, Scope, Sequential};
use wgrad::robust::*;
use wgrad::{Device, Error, Result, Tensor};

const SHAPE: [usize; 4] = [2, 3, 24, 20];

fn images(device: &Device) -> Tensor {
    let noise: Vec<f64> = numbers("corrupted", SHAPE.iter().product()).collect();
    let value = |at: usize| {
        let [n, c, y, x] = [at / 1440, at / 480 % 3, at / 20 % 24, at % 20].map(|place| place as f64);
        let smooth = 0.5 + 0.3 * (0.3 * x + 0.7 * c + n).sin() * (0.2 * y - c).cos();
        (smooth + 0.15 * noise[at]).clamp(0.0, 1.0) as f32
    };
    Tensor::from_slice(device, &(0..noise.len()).map(value).collect::<Vec<_>>(), &SHAPE).unwrap()
}

/// Draws that follow from their names; normal ones need not be normal here.
fn draws(corruption: Corruption, images: &Tensor, severity: Severity) -> Vec<Tensor> {
    let own = corruption.draw(images, severity).unwrap();
    let is_normal = |at: usize| match corruption {
        Corruption::GaussianNoise | Corruption::ShotNoise => true,
        Corruption::Snow => at == 0,
        _ => false,
    };
    let named = |(at, own): (usize, &Tensor)| {
        let unit = numbers(&format!("{corruption}.{at}"), own.numel());
        let values: Vec<f64> = unit.map(|unit| if is_normal(at) { 2.0 * unit } else { (unit + 1.0) / 2.0 }).collect();
        Tensor::from_f64(images.device(), &values, own.shape()).unwrap()
    };
    own.iter().enumerate().map(named).collect()
}

fn golden() -> BTreeMap<String, Vec<f64>> {
    serde_json::from_str(include_str!("../golden/corruptions.json")).unwrap()
}

/// The differences of a corruption from its golden numbers.
fn apart(device: &Device, corruption: Corruption, scale: &str, level: usize, expected: &[f64]) -> Vec<f64> {
    let severity = if scale == "cifar" { Severity::cifar(level) } else { Severity::imagenet(level) }.unwrap();
    let images = images(device);
    let draws = draws(corruption, &images, severity);
    let got = corruption.apply_with(&images, severity, &draws).unwrap().to_f64().unwrap();
    assert_eq!(got.len().div_ceil(61), expected.len());
    got.iter().step_by(61).zip(expected).map(|(got, expected)| (got - expected).abs()).collect()
}

#[test]
fn corruptions_are_those_of_imagenet_c_and_cifar_c() {
    let device = Device::reference();
    let golden = golden();
    assert_eq!(golden.len(), 150);
    for corruption in Corruption::ALL {
        for scale in ["imagenet", "cifar"] {
            for level in 1..=5 {
                let name = format!("{corruption} {scale} {level}");
                let apart = apart(&device, corruption, scale, level, &golden[&name]);
                let largest = apart.iter().fold(0.0, |largest: f64, apart| largest.max(*apart));
                let bound = match corruption {
                    // Interpolation weights are f32 on all devices, and Pillow's pixels are.
                    Corruption::ZoomBlur | Corruption::Snow | Corruption::Pixelate => 1e-6,
                    // libjpeg's DCT is in integers, and another rounding moves a block by a part of a quantization step.
                    Corruption::JpegCompression => 10.0 / 255.0,
                    _ => 1e-9,
                };
                assert!(largest < bound, "{name}: {largest:.1e}");
                if corruption == Corruption::JpegCompression {
                    let mean = apart.iter().sum::<f64>() / apart.len() as f64;
                    assert!(
                        mean < 2.0 / 255.0,
                        "{name}: {mean:.1e} in the mean, where the codec loses 17 / 255 and more"
                    );
                }
            }
        }
    }
}

/// On the adapter, within f32: a draw at a bound may fall on its other side.
#[test]
fn the_adapter_corrupts_as_the_reference() {
    let Some(device) = adapter() else { return };
    let golden = golden();
    for (corruption, scale) in [
        (Corruption::ShotNoise, "imagenet"),
        (Corruption::GlassBlur, "imagenet"),
        (Corruption::Fog, "cifar"),
        (Corruption::ElasticTransform, "cifar"),
    ] {
        let name = format!("{corruption} {scale} 3");
        let apart = apart(&device, corruption, scale, 3, &golden[&name]);
        let off = apart.iter().filter(|apart| **apart > 1e-4).count();
        assert!(off <= 1, "{name}: {off} of {} numbers are others", apart.len());
    }
}

/// The fraction of numbers that change, and by how much, in a grey image under the device's own draws.
#[test]
fn own_draws_have_the_law_that_they_should() {
    let device = Device::reference();
    device.manual_seed(11);
    let grey = Tensor::full(&device, &[4, 1, 40, 40], 0.4f32).unwrap();
    let under =
        |corruption: Corruption| corruption.apply(&grey, Severity::imagenet(2).unwrap()).unwrap().to_f64().unwrap();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let deviation = |values: &[f64]| {
        let middle = mean(values);
        mean(&values.iter().map(|value| (value - middle).powi(2)).collect::<Vec<_>>()).sqrt()
    };
    // The mean of 6400 numbers lies within 4 / 80 of a deviation, and a deviation within 4 / 113 of itself.
    let gaussian = under(Corruption::GaussianNoise);
    assert!((mean(&gaussian) - 0.4).abs() < 0.12 / 20.0 && (deviation(&gaussian) / 0.12 - 1.0).abs() < 0.04);
    // 25 photons for white: counts of mean 10, and so of variance 10.
    let shot = under(Corruption::ShotNoise);
    let expected = 10.0f64.sqrt() / 25.0;
    assert!((mean(&shot) - 0.4).abs() < expected / 20.0 && (deviation(&shot) / expected - 1.0).abs() < 0.04);
    assert!(shot.iter().all(|value| (value * 25.0 - (value * 25.0).round()).abs() < 1e-9));
    let impulse = under(Corruption::ImpulseNoise);
    for value in [0.0, 1.0] {
        let share = impulse.iter().filter(|other| **other == value).count() as f64 / 6400.0;
        assert!((share - 0.03).abs() < 4.0 * (0.03f64 / 6400.0).sqrt(), "{share} of {value}");
    }
    // Each image has a different fog, and a seed reproduces it.
    let fogs: Vec<Vec<f64>> = (0..2)
        .map(|_| {
            device.manual_seed(3);
            under(Corruption::Fog)
        })
        .collect();
    assert_eq!(fogs[0], fogs[1]);
    assert!(fogs[0][..1600] != fogs[0][1600..3200]);
}

#[test]
fn wrong_corruptions_are_errors() {
    let device = Device::reference();
    let severity = Severity::cifar(3).unwrap();
    let images = |shape: &[usize]| Tensor::zeros(&device, shape).unwrap();
    for (error, words) in [
        (Severity::imagenet(6).unwrap_err(), "severity 6"),
        (Severity::cifar(0).unwrap_err(), "severity 0"),
        (Corruption::Fog.apply(&images(&[1, 2, 8, 8]), severity).unwrap_err(), "1 or 3 channels"),
        (Corruption::Snow.apply(&images(&[8, 8]), severity).unwrap_err(), "[8, 8]"),
        (Corruption::ElasticTransform.apply(&images(&[1, 1, 2, 8]), severity).unwrap_err(), "3 x 3 at least"),
        (Corruption::MotionBlur.apply_with(&images(&[2, 1, 8, 8]), severity, &[]).unwrap_err(), "expected [[2]]"),
        (jpeg_compression(&images(&[1, 3, 8, 8]), 0).unwrap_err(), "quality 0"),
    ] {
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(words), "{error}");
    }
    let bytes = Tensor::full(&device, &[1, 1, 8, 8], 3).unwrap();
    assert!(matches!(Corruption::Contrast.apply(&bytes, severity), Err(Error::WrongDType { .. })));
}

/// A network that classifies images as bright or dark by their mean, whose errors are known.
#[test]
fn errors_are_counted_by_corruption_and_severity() {
    let device = Device::reference();
    let net = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 64, 2)).unwrap();
    let parameters = net.parameters();
    let mut weights = vec![0.0f32; 64];
    weights.extend([1.0 / 64.0; 64]);
    parameters[0].assign(&Tensor::from_slice(&device, &weights, &[2, 64]).unwrap()).unwrap();
    parameters[1].assign(&Tensor::from_slice(&device, &[0.5f32, 0.0], &[2]).unwrap()).unwrap();
    let brightness: Vec<f32> = [0.05f32, 0.25, 0.33, 0.46, 0.9, 0.1].iter().flat_map(|value| [*value; 64]).collect();
    let images = Tensor::from_slice(&device, &brightness, &[6, 1, 8, 8]).unwrap();
    let labels = Tensor::from_slice(&device, &[0, 0, 0, 0, 1, 1], &[6]).unwrap();
    let batches = |parts: &[(usize, usize)]| -> Vec<Result<(Tensor, Tensor)>> {
        let part = |&(start, length): &(usize, usize)| {
            Ok((images.narrow(0, start, length)?, labels.narrow(0, start, length)?))
        };
        parts.iter().map(part).collect()
    };
    let net = Classifier::new(&net);
    let errors = corruption_errors(&net, batches(&[(0, 4), (4, 2)]), Severity::cifar).unwrap();
    assert_eq!((errors.images, errors.clean), (6, 1.0 / 6.0));
    let row = |of: Corruption| errors.rows.iter().find(|(corruption, _)| *corruption == of).unwrap().1;
    // Brighter by 0.05, 0.1, 0.15, 0.2 and 0.3: images of 0.46, 0.33 and 0.25 pass one half, and that of 0.1 does not.
    assert_eq!(row(Corruption::Brightness).map(|share| (share * 6.0).round()), [2.0, 2.0, 2.0, 3.0, 4.0]);
    // The mean stays.
    assert_eq!(row(Corruption::Contrast), [1.0 / 6.0; 5]);
    let mean = errors.rows.iter().flat_map(|(_, row)| row).sum::<f64>() / 75.0;
    assert!((errors.mean() - mean).abs() < 1e-12);

    let by = |clean: f64, factor: f64| CorruptionErrors {
        clean,
        rows: Corruption::ALL.iter().zip(1..).map(|(&c, at)| (c, [factor * f64::from(at) / 100.0 + 0.1; 5])).collect(),
        images: 100,
    };
    let (ours, baseline) = (by(0.1, 1.0), by(0.1, 2.0));
    assert!((ours.relative_mean_corruption_error(&baseline).unwrap() - 50.0).abs() < 1e-9);
    let expected = (1..=15).map(|at| (f64::from(at) + 10.0) / f64::from(2 * at + 10)).sum::<f64>() * 100.0 / 15.0;
    assert!((ours.mean_corruption_error(&baseline).unwrap() - expected).abs() < 1e-9);
    assert_eq!(ours.to_string().lines().count(), 18);
    assert!(ours.to_string().contains("brightness             21.0   21.0   21.0   21.0   21.0    21.0"), "{ours}");
    let wrong = [
        corruption_errors(&net, Vec::new(), Severity::cifar).unwrap_err(),
        ours.relative_mean_corruption_error(&by(0.1, 0.0)).unwrap_err(),
        ours.mean_corruption_error(&CorruptionErrors { rows: Vec::new(), ..baseline }).unwrap_err(),
    ];
    for (error, words) in wrong.iter().zip(["no images", "no more errors", "under gaussian_noise"]) {
        assert!(error.to_string().contains(words), "{error}");
    }
}
