//! Transforms of images before a network: scipy's values (`tests/golden/robust_inputs.py`), and gradients that attacks can
//! follow.

use super::{Net, images, largest, normalization};
use serde_json::Value;
use wgrad::robust::*;
use wgrad::transforms::functional::gaussian_blur;
use wgrad::{Device, Error, Tensor};

fn golden(name: &str) -> Vec<f64> {
    let all: Value = serde_json::from_str(include_str!("../../golden/robust_inputs.json")).unwrap();
    serde_json::from_value(all[name].clone()).unwrap()
}

#[test]
fn transforms_are_those_of_scipy() {
    let device = Device::reference();
    let x = images(&device);
    for (name, transform) in [
        ("bits_1", InputTransform::BitDepth(1)),
        ("bits_4", InputTransform::BitDepth(4)),
        ("median_3", InputTransform::Median(3)),
        ("median_5", InputTransform::Median(5)),
    ] {
        let (got, expected) = (transform.apply(&x).unwrap().to_f64().unwrap(), golden(name));
        assert_eq!(got.len(), expected.len());
        let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-11, "{name}: {apart:.1e}");
    }
    // These are tested elsewhere: JPEG with the corruptions, the blur with the transforms.
    let grey = x.narrow(1, 0, 1).unwrap();
    let same = |a: &Tensor, b: &Tensor| assert!(largest(&a.sub(b).unwrap()) < 1e-12);
    same(&InputTransform::Jpeg(30).apply(&grey).unwrap(), &jpeg_compression(&grey, 30).unwrap());
    let blur = InputTransform::GaussianBlur { kernel: 3, sigma: 0.8 };
    same(&blur.apply(&x).unwrap(), &gaussian_blur(&x, 3, Some([0.8.into(), 0.8.into()])).unwrap());
}

#[test]
fn a_classifier_transforms_before_its_network_and_attacks_see_through() {
    let (device, normalization) = (Device::reference(), normalization());
    let model = Net::new(&device);
    let x = images(&device);
    let plain = Classifier::new(&model).normalization(&normalization);
    let transforms = [InputTransform::Median(3), InputTransform::BitDepth(3)];
    let net = plain.transformed(&transforms);
    let by_hand = InputTransform::BitDepth(3).apply(&InputTransform::Median(3).apply(&x).unwrap()).unwrap();
    let apart = net.logits(&x).unwrap().sub(&plain.logits(&by_hand).unwrap()).unwrap();
    assert!(largest(&apart) < 1e-12);
    // Rounding passes on the gradient at the rounded image unchanged.
    let labels = Tensor::from_slice(&device, &[1, 3, 3], &[3]).unwrap();
    let bits = [InputTransform::BitDepth(5)];
    let rounded = InputTransform::BitDepth(5).apply(&x).unwrap();
    let fgsm = |net: &Classifier<'_>, x: &Tensor| {
        let near = Fgsm { eps: 0.01 }.perturb(net, x, &Goal::untargeted(&labels)).unwrap();
        near.sub(x).unwrap().sign().unwrap().to_f64().unwrap()
    };
    assert_eq!(fgsm(&plain.transformed(&bits), &x), fgsm(&plain, &rounded));
}

#[test]
fn wrong_transforms_are_errors() {
    let device = Device::reference();
    let x = images(&device);
    for (transform, words) in [
        (InputTransform::BitDepth(0), "0 bits"),
        (InputTransform::BitDepth(9), "9 bits"),
        (InputTransform::Median(2), "side 2"),
        (InputTransform::Jpeg(0), "quality 0"),
        (InputTransform::GaussianBlur { kernel: 3, sigma: 0.0 }, "sigma is 0"),
    ] {
        let error = transform.apply(&x.narrow(1, 0, 1).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(words), "{error}");
    }
}
