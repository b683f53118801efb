//! Backbones of detectors and feature pyramids, compared with torchvision's in float64 (`tests/golden/backbones.py`), and the
//! sampler of candidates.

use crate::common::adapter;
use crate::common::from_names::{digest, fill, gradients, names, rounded, worst};
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::detection::*;
use wgrad::models::{MobileNetV3Options, ResNetOptions};
use wgrad::nn::blocks::NormLayer;
use wgrad::nn::{BatchNormLayerOptions, Module, Scope};
use wgrad::{DType, Device, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/backbones.json")).unwrap()
}

/// The largest difference of maps from their golden norms and products, relative to the maps' norms.
fn apart(levels: &[Tensor], golden: &Value) -> f64 {
    let golden: Vec<[f64; 2]> = serde_json::from_value(golden.clone()).unwrap();
    assert_eq!(levels.len(), golden.len());
    let apart = |(i, (level, [norm, product])): (usize, (&Tensor, &[f64; 2]))| {
        let [got_norm, got] = digest(&format!("level{i}"), level);
        (got - product).abs().max((got_norm - norm).abs()) / norm
    };
    levels.iter().zip(&golden).enumerate().map(apart).fold(0.0, f64::max)
}

fn backbone(name: &str, scope: &Scope) -> Box<dyn DetectionBackbone> {
    let resnet18 = ResNetOptions::resnet18();
    let resnet = |options: ResNetFpnOptions| -> Box<dyn DetectionBackbone> {
        Box::new(resnet_fpn_backbone(scope, &options).unwrap())
    };
    let mobilenet = MobileNetBackboneOptions::default();
    match name {
        "resnet50" => resnet(ResNetFpnOptions::default()),
        "resnet18_all" => resnet(ResNetFpnOptions::default().resnet(resnet18).trainable_layers(5)),
        "resnet18_p6p7" => {
            let extra_blocks = ExtraBlocks::LastLevelP6P7 { in_channels: 256 };
            let fpn = FeaturePyramidOptions::default().extra_blocks(extra_blocks);
            let options = ResNetFpnOptions::default().resnet(resnet18.norm(NormLayer::FROZEN)).trainable_layers(0);
            resnet(options.returned_layers([2, 3, 4]).fpn(fpn))
        }
        "mobilenet_fpn" => mobilenet_backbone(scope, &mobilenet).unwrap(),
        "mobilenet_small_fpn" => {
            let small = MobileNetV3Options::mobilenet_v3_small().norm(NormLayer::FROZEN);
            let options = mobilenet.mobilenet(small).trainable_layers(6).returned_layers([1, 3, 4]);
            mobilenet_backbone(scope, &options).unwrap()
        }
        "mobilenet" => mobilenet_backbone(scope, &mobilenet.fpn(None).trainable_layers(0)).unwrap(),
        _ => unreachable!("{name}"),
    }
}

#[test]
fn backbones_are_torchvisions() {
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    for (name, golden) in golden()["backbones"].as_object().unwrap() {
        let device = Device::reference();
        let net = backbone(name, &Scope::new(&device));
        let expected = ["entries", "names", "parameters"].map(|key| golden[key].clone());
        assert_eq!(["entries", "names", "parameters"].map(|key| names(&*net)[key].clone()), expected, "{name}");
        let trained = net.parameters().into_iter().filter(|p| p.requires_grad() && !p.is_buffer());
        assert_eq!(golden["trained"], trained.map(|p| p.value().numel()).sum::<usize>(), "{name}");
        // The two networks that don't take a minute on the reference.
        if all || name.starts_with("mobilenet_small") {
            fill(&*net, &device);
            net.eval();
            let levels = net.levels(&rounded(&device, "images", &[1, 3, 64, 64])).unwrap();
            let apart = apart(&levels, &golden["levels"]);
            assert!(apart < 1e-9, "{name}: {apart:.1e}");
        }
    }
}

fn pyramid(name: &str, scope: &Scope) -> FeaturePyramid {
    let options = FeaturePyramidOptions::default().out_channels(4);
    let options = match name {
        "plain" => options,
        "max_pool" => options.extra_blocks(ExtraBlocks::LastLevelMaxPool),
        "p6p7_of_output" => options.extra_blocks(ExtraBlocks::LastLevelP6P7 { in_channels: 4 }),
        "p6p7_of_input" => options.extra_blocks(ExtraBlocks::LastLevelP6P7 { in_channels: 7 }),
        "normed" => options.norm(BatchNormLayerOptions::default()),
        "frozen" => options.norm(NormLayer::FROZEN),
        _ => unreachable!("{name}"),
    };
    FeaturePyramid::new(scope, &[5, 6, 7], &options).unwrap()
}

fn compare_pyramids(device: &Device, bound: f64) {
    for (name, golden) in golden()["pyramids"].as_object().unwrap() {
        let net = pyramid(name, &Scope::new(device));
        fill(&net, device);
        let shapes = [[2, 5, 13, 11], [2, 6, 7, 5], [2, 7, 3, 3]];
        let input = |(i, shape): (usize, &[usize; 4])| rounded(device, &format!("x{i}"), shape).requires_grad();
        let inputs: Vec<Tensor> = shapes.iter().enumerate().map(input).collect();
        let levels = net.levels(&inputs).unwrap();
        let product = |(i, level): (usize, &Tensor)| {
            level.mul(&rounded(device, &format!("cotangent{i}"), level.shape())).unwrap().sum_all().unwrap()
        };
        let loss = levels.iter().enumerate().map(product).reduce(|a, b| a.add(&b).unwrap()).unwrap();
        loss.backward().unwrap();
        let apart = apart(&levels, &golden["levels"]);
        assert!(apart < bound, "{name}: {apart:.1e}");
        let mut all: BTreeMap<String, Tensor> = gradients(&net).collect();
        all.extend(inputs.iter().enumerate().map(|(i, x)| (format!("x{i}"), x.grad().unwrap())));
        let digests: Vec<[f64; 2]> = serde_json::from_value(golden["gradients"].clone()).unwrap();
        assert_eq!(all.len(), digests.len(), "{name}");
        let (worst, whose) = worst(&all, &digests);
        assert!(worst < bound, "{name}, {whose}: {worst:.1e}");
    }
}

#[test]
fn pyramids_are_torchvisions_on_the_reference() {
    compare_pyramids(&Device::reference(), 1e-9);
}

#[test]
fn pyramids_are_torchvisions_on_the_adapter() {
    if let Some(device) = adapter() {
        compare_pyramids(&device, 1e-4);
    }
}

/// Labels of two images: 6 positive, 10 negative and 4 neither; 1 positive, 3 negative and 16 neither.
fn labels(device: &Device) -> Tensor {
    let first = (0..20).map(|i| if i % 5 == 4 { -1 } else { i32::from(i < 7) * (1 + i % 3) });
    let second = (0..20).map(|i| if i % 5 > 0 { -2 } else { i32::from(i == 10) });
    Tensor::from_slice(device, &first.chain(second).collect::<Vec<i32>>(), &[2, 20]).unwrap()
}

/// Each entry of a sample: the candidate, true if it counts as positive, true if the entry is used.
fn places(sample: &Sample) -> Vec<(i32, bool, bool)> {
    let indices = sample.indices.to_vec::<i32>().unwrap();
    let (positive, valid) = (sample.is_positive.to_vec::<bool>().unwrap(), sample.is_valid.to_vec::<bool>().unwrap());
    indices.into_iter().zip(positive).zip(valid).map(|((index, positive), valid)| (index, positive, valid)).collect()
}

#[test]
fn a_sample_has_as_many_of_each_kind_as_torchvisions() {
    for device in [Some(Device::reference()), adapter()].into_iter().flatten() {
        let labels = labels(&device);
        let values = labels.to_vec::<i32>().unwrap();
        // Batch size, fraction of positive ones; positive and negative ones of the first image, and of the second.
        for (size, share, counts) in [
            (8, 0.5, [[4, 4], [1, 3]]),
            (8, 0.25, [[2, 6], [1, 3]]),
            (3, 0.5, [[1, 2], [1, 2]]),
            (12, 0.9, [[6, 6], [1, 3]]),
            (40, 0.5, [[6, 10], [1, 3]]),
            (4, 0.0, [[0, 4], [0, 3]]),
            (4, 1.0, [[4, 0], [1, 3]]),
        ] {
            let sampler = BalancedPositiveNegativeSampler { batch_size_per_image: size, positive_fraction: share };
            let all = places(&sampler.sample(&labels).unwrap());
            assert_eq!(all.len(), 2 * size.min(20));
            for (image, places) in all.chunks(size.min(20)).enumerate() {
                let mut drawn: Vec<i32> = places.iter().filter(|place| place.2).map(|place| place.0).collect();
                let count = |is_positive: bool| places.iter().filter(|p| p.2 && p.1 == is_positive).count();
                assert_eq!([count(true), count(false)], counts[image], "{size} {share}");
                for (index, is_positive, _) in places.iter().filter(|place| place.2) {
                    let label = values[20 * image + *index as usize];
                    assert!(label >= 0 && (label > 0) == *is_positive, "{index} has label {label}");
                }
                drawn.sort_unstable();
                drawn.dedup();
                assert_eq!(drawn.len(), counts[image][0] + counts[image][1], "a candidate was drawn twice");
            }
        }
    }
}

/// Each draw takes 3 of 6 positive candidates and 5 of 10 negative ones: each of them in half of 400 draws, with a deviation of
/// 10.
#[test]
fn candidates_of_a_kind_are_equally_likely() {
    let device = Device::reference();
    device.manual_seed(3);
    let labels = labels(&device);
    let sampler = BalancedPositiveNegativeSampler { batch_size_per_image: 8, positive_fraction: 0.375 };
    let mut counts = [0; 20];
    for _ in 0..400 {
        let drawn = places(&sampler.sample(&labels).unwrap());
        drawn[..8].iter().for_each(|place| counts[place.0 as usize] += 1);
    }
    for (candidate, count) in counts.iter().enumerate() {
        let expected = if candidate % 5 == 4 { 0..=0 } else { 155..=245 };
        assert!(expected.contains(count), "{candidate}: {count}");
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::reference();
    let scope = Scope::new(&device);
    let fails = |result: wgrad::Result<()>, part: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let sampler = BalancedPositiveNegativeSampler { batch_size_per_image: 8, positive_fraction: 1.5 };
    let labels = Tensor::full(&device, &[1, 4], 0i32).unwrap();
    fails(sampler.sample(&labels).map(drop), "positive_fraction is 1.5; it must be from 0 to 1");
    fails(sampler.sample(&labels.to_dtype(DType::F32).unwrap()).map(drop), "i32");
    fails(sampler.sample(&labels.narrow(1, 0, 0).unwrap()).map(drop), "[1, 0]");
    let resnet = |options: ResNetFpnOptions| resnet_fpn_backbone(&scope, &options).map(drop);
    let plain = ResNetFpnOptions::default().resnet(ResNetOptions::resnet18());
    fails(resnet(plain.clone().trainable_layers(6)), "trainable_layers is 6; it must be from 0 to 5");
    fails(resnet(plain.clone().returned_layers([0, 1])), "returned_layers has 0; it must be from 1 to 4");
    fails(resnet(plain.returned_layers([])), "a pyramid needs");
    let mobilenet = |options: MobileNetBackboneOptions| mobilenet_backbone(&scope, &options).map(drop);
    fails(mobilenet(MobileNetBackboneOptions::default().trainable_layers(7)), "from 0 to 6");
    fails(mobilenet(MobileNetBackboneOptions::default().returned_layers([6])), "from 0 to 5");
    let extra_blocks = ExtraBlocks::LastLevelP6P7 { in_channels: 3 };
    let options = FeaturePyramidOptions::default().extra_blocks(extra_blocks);
    fails(FeaturePyramid::new(&scope, &[8], &options).map(drop), "p6 takes 3 channels");
    let pyramid = FeaturePyramid::new(&scope, &[8, 8], &FeaturePyramidOptions::default()).unwrap();
    fails(pyramid.levels(&[Tensor::zeros(&device, &[1, 8, 4, 4]).unwrap()]).map(drop), "has 2 levels; got 1 inputs");
}
