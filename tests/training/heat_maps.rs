//! Maps of attributions and their colours, compared with captum's, PyTorch's, matplotlib's and OpenCV's
//! (`tests/golden/heat_maps.py`).

use crate::common::from_names::numbers;
use serde_json::Value;
use wgrad::explain::{ColourMap, HeatMap, HeatMapOptions, Sign};
use wgrad::{Device, Tensor};

const SHAPE: [usize; 4] = [1, 3, 6, 7];
const SIGNS: [(Sign, &str); 4] = [
    (Sign::Absolute, "absolute_value"),
    (Sign::Positive, "positive"),
    (Sign::Negative, "negative"),
    (Sign::Both, "all"),
];

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/heat_maps.json")).unwrap()
}

fn attributions() -> Tensor {
    let values: Vec<f32> = numbers("attributions", SHAPE.iter().product()).map(|value| value.powi(3) as f32).collect();
    Tensor::from_slice(&Device::reference(), &values, &SHAPE).unwrap()
}

fn check(got: &HeatMap, name: &str) {
    let expected: Vec<f64> = serde_json::from_value(golden()["maps"][name].clone()).unwrap();
    assert_eq!(got.values().len(), expected.len(), "{name}");
    let apart = got.values().iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-12, "{name}: {apart:.1e}");
}

#[test]
fn maps_are_captums() {
    for (sign, name) in SIGNS {
        for outliers in [1.0, 2.0, 30.0] {
            let options = HeatMapOptions::default().sign(sign).outliers(outliers);
            let map = &HeatMap::read(&attributions(), &options).unwrap()[0];
            check(map, &format!("{name} {outliers}"));
            assert_eq!((map.size(), map.is_signed()), ([6, 7], sign == Sign::Both));
            assert_eq!(map.limit() < 0.0, sign == Sign::Negative, "{}", map.limit());
        }
    }
}

#[test]
fn maps_are_resized_as_by_pytorch() {
    let map = &HeatMap::read(&attributions(), &HeatMapOptions::default().sign(Sign::Both)).unwrap()[0];
    for [height, width] in [[13, 9], [6, 7], [4, 3]] {
        check(&map.resized([height, width]), &format!("resized {height} {width}"));
    }
}

#[test]
fn each_image_has_a_map_of_its_own_and_zeros_stay_zeros() {
    let device = Device::reference();
    let two = Tensor::from_slice(&device, &[0.0f32, 0.0, 1.0, 3.0], &[2, 1, 1, 2]).unwrap();
    let maps = HeatMap::read(&two, &HeatMapOptions::default().outliers(0.0)).unwrap();
    assert_eq!((maps[0].values(), maps[0].limit()), (&[0.0, 0.0][..], 0.0));
    assert_eq!((maps[1].values(), maps[1].limit()), (&[1.0 / 3.0, 1.0][..], 3.0));
    let says = |tensor: &Tensor, outliers: f64, words: &str| {
        let text = HeatMap::read(tensor, &HeatMapOptions::default().outliers(outliers)).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    says(&two, 101.0, "101 percent");
    says(&two.squeeze(1).unwrap(), 2.0, "[N, C, H, W]");
    says(&(two.clone() / 0.0).unwrap(), 2.0, "finite");
    says(&Tensor::zeros(&device, &[1, 3, 0, 4]).unwrap(), 2.0, "expected pixels");
}

#[test]
fn colours_are_those_of_matplotlib_and_opencv() {
    let device = Device::reference();
    let shares: Vec<f32> = (0..256).map(|step| step as f32 / 255.0).collect();
    let shares = Tensor::from_slice(&device, &shares, &[1, 1, 16, 16]).unwrap();
    for map in ColourMap::ALL {
        let hex = golden()["colours"][map.name()].as_str().unwrap().to_string();
        let painted = map.paint(&shares).unwrap().permute([0, 2, 3, 1]).unwrap().to_f64().unwrap();
        for (at, got) in painted.iter().enumerate() {
            let expected = f64::from(u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap());
            // Viridis is linear between 33 of its 256 colours.
            assert!((255.0 * got - expected).abs() <= 2.5, "{map:?} {}: {} {expected}", at / 3, 255.0 * got);
        }
    }
    for (outside, end) in [(-1.0, 0.0), (2.0, 1.0), (f64::NAN, 0.0), (f64::INFINITY, 1.0)] {
        assert_eq!(ColourMap::Viridis.colour(outside), ColourMap::Viridis.colour(end));
    }
}
