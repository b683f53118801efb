//! Randomized smoothing of a linear network, whose radius is known: the distance to its border.

use wgrad::data::Batch;
use wgrad::nn::{Linear, Module, Scope};
use wgrad::robust::*;
use wgrad::train::{Supervised, Task};
use wgrad::{CrossEntropyOptions, Device, Error, Tensor};

const SIGMA: f64 = 0.5;

/// A network that answers with class 1 where `0.6 a + 0.8 b > 1`.
fn linear(device: &Device) -> Linear {
    let net = Linear::new(&Scope::new(device), 2, 2).unwrap();
    net.weight.assign(&Tensor::from_slice(device, &[0.0f32, 0.0, 0.6, 0.8], &[2, 2]).unwrap()).unwrap();
    net.bias.as_ref().unwrap().assign(&Tensor::from_slice(device, &[1.0f32, 0.0], &[2]).unwrap()).unwrap();
    net
}

/// Points at these distances from the border, below 0 on the side of class 0.
fn points(device: &Device, distances: &[f64]) -> Tensor {
    let values: Vec<f32> = distances.iter().flat_map(|d| [0.6, 0.8].map(|w| ((1.0 + d) * w) as f32)).collect();
    Tensor::from_slice(device, &values, &[distances.len(), 2]).unwrap()
}

#[test]
fn certificates_come_close_to_the_distance_of_the_border_and_never_pass_it() {
    let device = Device::reference();
    device.manual_seed(1);
    let (net, distances) = (linear(&device), [-0.8, -0.3, 0.0, 0.2, 0.7]);
    // An odd number, so that the last pass is a shorter one.
    let options = SmoothingOptions::default().sigma(SIGMA).estimation(5003).batch(1500);
    let smoothed = Smoothed::new(Classifier::new(&net), &options).unwrap();
    let certificates = smoothed.certify(&points(&device, &distances)).unwrap();
    for (certificate, distance) in certificates.iter().zip(distances) {
        if distance == 0.0 {
            assert_eq!((certificate.class, certificate.radius), (None, 0.0));
            continue;
        }
        assert_eq!(certificate.class, Some(usize::from(distance > 0.0)), "{distance}");
        // Four deviations below the expected count, and its bound.
        let share = 0.5 * libm::erfc(-distance.abs() / SIGMA * std::f64::consts::FRAC_1_SQRT_2);
        let least = 5003.0 * share - 4.0 * (5003.0 * share * (1.0 - share)).sqrt();
        let least = Certificate::of_counts(0, least as u64, 5003, 0.001, SIGMA).radius;
        assert!(certificate.radius < distance.abs() && certificate.radius > least, "{distance}: {certificate:?}");
    }
    let classes = [0, 1, 0, 1, 1];
    assert_eq!(Certificate::accuracy(&certificates, &classes, 0.0), 0.6);
    assert_eq!(Certificate::accuracy(&certificates, &classes, 0.5), 0.4);
}

/// Images of more than one pass are certified as those of one.
#[test]
fn predictions_abstain_at_the_border_only() {
    let device = Device::reference();
    device.manual_seed(2);
    let net = linear(&device);
    let smoothed = |batch: usize| {
        Smoothed::new(Classifier::new(&net), &SmoothingOptions::default().sigma(SIGMA).batch(batch)).unwrap()
    };
    for batch in [2, 4000] {
        let classes = smoothed(batch).predict(&points(&device, &[-0.5, 0.0, 0.5, 0.0, -1.0]), 400).unwrap();
        assert_eq!(classes, [Some(0), None, Some(1), None, Some(0)]);
    }
    // Five draws prove nothing.
    assert_eq!(smoothed(10).predict(&points(&device, &[-2.0]), 5).unwrap(), [None]);
    assert!(smoothed(10).predict(&points(&device, &[]), 5).unwrap().is_empty());
}

#[test]
fn training_on_noise_adds_it_to_images_between_0_and_1() {
    let device = Device::reference();
    let normalization = wgrad::data::Normalization::new(&[0.5, 0.5], &[0.25, 0.25]).unwrap();
    let images = Tensor::from_slice(&device, &[0.5f32, -1.0, 0.25, 2.0], &[1, 2, 1, 2]).unwrap();
    let labels = Tensor::from_slice(&device, &[1], &[1]).unwrap();
    let flat = wgrad::nn::Sequential::new(&Scope::new(&device)).push(wgrad::nn::Flatten).push(wide(&device));
    let task = RobustTraining::new(Supervised::classification(), Noise { sigma: 0.1 }).normalization(&normalization);
    device.manual_seed(3);
    let batch = Batch { images: images.clone(), labels: labels.clone() };
    let loss = task.forward(&flat, &batch).unwrap().loss.to_f64().unwrap()[0];
    device.manual_seed(3);
    let noise = Tensor::normal(&device, &[1, 2, 1, 2], 0.0, 0.1).unwrap().mul_scalar(4.0).unwrap();
    let logits = flat.forward(&images.add(&noise).unwrap()).unwrap();
    let expected = logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap().to_f64().unwrap()[0];
    assert!((loss - expected).abs() < 1e-12 * expected, "{loss} {expected}");
}

fn wide(device: &Device) -> Linear {
    Linear::new(&Scope::new(device), 4, 3).unwrap()
}

#[test]
fn wrong_smoothing_is_an_error() {
    let device = Device::reference();
    let net = linear(&device);
    let options = SmoothingOptions::default();
    for options in [options.sigma(0.0), options.alpha(0.5), options.estimation(0), options.batch(0)] {
        let error = Smoothed::new(Classifier::new(&net), &options).err().unwrap();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}
