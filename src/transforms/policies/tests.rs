//! Policies against torchvision's tables, and operations against its results for an image.

use super::auto_augment::{CIFAR10, IMAGENET, SVHN};
use super::operation::Operation::{self, *};
use super::operation::{Moves, carry_out};
use super::space::{MIXED, OPERATIONS, USUAL, WIDE};
use crate::transforms::functional::InterpolationMode;
use crate::transforms::{Draws, Views};
use crate::{Device, Tensor};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/policies.json")).unwrap()
}

fn named(name: &str) -> Operation {
    let all = OPERATIONS.into_iter().chain([Invert]);
    all.clone().find(|operation| format!("{operation:?}") == name).unwrap_or_else(|| panic!("no operation {name}"))
}

#[test]
fn magnitudes_are_torchvisions() {
    let golden = golden();
    for (name, space) in
        [("RandAugment", USUAL), ("TrivialAugmentWide", WIDE), ("AutoAugment", USUAL), ("AugMix", MIXED)]
    {
        for (operation, expected) in golden["spaces"][name].as_object().unwrap() {
            let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
            for (bin, expected) in expected.iter().enumerate() {
                let got = space.magnitude(
                    named(operation),
                    bin,
                    golden["spaces"][name][operation].as_array().unwrap().len(),
                    [37, 50],
                );
                assert!(
                    (got - expected).abs() < 2e-6 * expected.abs().max(1.0),
                    "{name} {operation} {bin}: {got}, {expected}"
                );
                // Translations are cut to whole pixels.
                assert_eq!((got + 1e-9).trunc(), (expected + 1e-6).trunc(), "{name} {operation} {bin}");
            }
        }
    }
}

#[test]
fn operations_of_two_directions_are_torchvisions() {
    let golden = golden();
    let signed: Vec<&str> = golden["signed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for operation in OPERATIONS.into_iter().chain([Invert]) {
        let draws = &mut Draws::new(1, 1, &(0..50).collect::<Vec<_>>());
        let drawn = draws.each(|image| USUAL.applied(image, operation, [3, 10], [40, 40]).1);
        let is_negative = drawn.iter().any(|&magnitude| magnitude < 0.0);
        assert_eq!(is_negative, signed.contains(&format!("{operation:?}").as_str()), "{operation:?}");
    }
}

#[test]
fn pairs_are_torchvisions() {
    let golden = golden();
    for (name, table) in [("IMAGENET", IMAGENET), ("CIFAR10", CIFAR10), ("SVHN", SVHN)] {
        let expected = golden["pairs"][name].as_array().unwrap();
        assert_eq!(expected.len(), table.len());
        for (pair, expected) in table.iter().zip(expected) {
            for (part, expected) in pair.iter().zip(expected.as_array().unwrap()) {
                let expected = (
                    named(expected[0].as_str().unwrap()),
                    expected[1].as_f64().unwrap(),
                    expected[2].as_u64().unwrap(),
                );
                assert_eq!((part.0, part.1, part.2 as u64), expected, "{name}");
            }
        }
    }
}

/// Runs all cases with the same interpolation at once, as images of one batch, for bytes and for floats.
#[test]
fn operations_are_torchvisions() {
    let golden = golden();
    let image: Vec<f64> = golden["image"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    for (mode, interpolation) in [("nearest", InterpolationMode::Nearest), ("bilinear", InterpolationMode::Bilinear)] {
        let cases: Vec<&Value> = golden["applied"].as_array().unwrap().iter().filter(|case| case[2] == mode).collect();
        assert!(cases.len() >= 6);
        let operations: Vec<_> =
            cases.iter().map(|case| (named(case[0].as_str().unwrap()), case[1].as_f64().unwrap())).collect();
        let bytes: Vec<i32> = image.iter().map(|&value| value as i32).collect();
        let images =
            Tensor::from_slice(&Device::reference(), &bytes.repeat(cases.len()), &[cases.len(), 3, 9, 8]).unwrap();
        let mut views = Views::new(images).unwrap();
        carry_out(&mut views, &operations, &Moves { interpolation, fill: None }).unwrap();
        let got = views.images().unwrap().to_vec::<i32>().unwrap();
        for (case, got) in cases.iter().zip(got.chunks_exact(image.len())) {
            let expected = case[3].as_array().unwrap().iter().map(|value| value.as_i64().unwrap());
            let worst = got.iter().zip(expected).map(|(&got, expected)| (i64::from(got) - expected).abs()).max();
            assert!(worst.unwrap() <= 1, "{} {} {mode}: off by {worst:?}", case[0], case[1]);
        }
    }
}
