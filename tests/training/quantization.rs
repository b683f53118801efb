//! Quantized networks: their layers against rounded floats, their files, training that includes the rounding.

use crate::common::adapter;
use crate::common::from_names::{fill, rounded};
use serde_json::Value;
use wgrad::compress::channels::{ChannelOptions, Channels};
use wgrad::compress::quantization::{
    self, Observer, QuantizationAware, QuantizationOptions, Quantized, Scheme, fuse_batch_norms,
};
use wgrad::models::{self, CifarResNet, CifarResNetOptions, LeNet5, ModelOptions};
use wgrad::nn::{BatchNorm2d, Conv2d, Linear, Module, Scope, Sequential};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::weights::{self, LoadOptions, Metadata};
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, Error, Tensor};

fn images(device: &Device, shape: &[usize]) -> Tensor {
    rounded(device, "images", shape)
}

fn largest(x: &Tensor) -> f64 {
    x.abs().unwrap().amax(..).unwrap().to_f64().unwrap()[0]
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    largest(&(a - b).unwrap())
}

/// A layer's numbers by hand: input and weight rounded to their levels, and convolved as floats.
#[test]
fn layers_compute_with_rounded_inputs_and_weights() {
    let device = Device::reference();
    let options = Conv2dOptions::default().padding(1).groups(2);
    let layer = Conv2d::new(&Scope::new(&device), 4, 6, 3, &options).unwrap();
    fill(&layer, &device);
    let x = images(&device, &[2, 4, 5, 5]);
    let small = Quantized::calibrated(layer.clone(), [Ok(x.clone())], &QuantizationOptions::default()).unwrap();
    let values = x.to_vec::<f32>().unwrap();
    let (low, high) = values.iter().fold((0f32, 0f32), |(low, high), &v| (low.min(v), high.max(v)));
    let levels = Scheme::Affine.parameters(low.into(), high.into());
    let rounded = x.fake_quantize_per_tensor_affine(levels.scale[0], levels.zero_point[0], -128, 127).unwrap();
    let weight = layer.weight.value().detach();
    let scales: Vec<f64> = weight.abs().unwrap().amax([1, 2, 3]).unwrap().to_f64().unwrap();
    let scales: Vec<f64> = scales.iter().map(|most| most / 127.0).collect();
    let weight = weight.fake_quantize_per_channel_affine(&scales, &[0; 6], 0, -127, 127).unwrap();
    let bias = layer.bias.as_ref().unwrap().value();
    let expected = rounded.conv2d(&weight, Some(&bias), &options).unwrap();
    let got = small.forward(&x).unwrap();
    assert!(difference(&got, &expected) < 1e-5 * largest(&expected));
    assert!(difference(&got, &layer.forward(&x).unwrap()) > 1e-4);
    assert_eq!(small.weights().map(|(name, _)| name).collect::<Vec<_>>(), ["weight"]);
}

#[test]
fn every_observer_and_scheme_keeps_the_answers() {
    let device = Device::reference();
    let net = LeNet5::new(&Scope::new(&device)).unwrap();
    fill(&net, &device);
    let x = images(&device, &[2, 1, 28, 28]);
    let exact = net.forward(&x).unwrap();
    let observers = [
        Observer::MinMax,
        Observer::MovingAverage { share: 0.5 },
        Observer::Percentile { percent: 99.9 },
        Observer::Entropy,
    ];
    for observer in observers {
        for scheme in [Scheme::Affine, Scheme::Symmetric] {
            let options = QuantizationOptions::default().observer(observer).activations(scheme);
            let small = Quantized::calibrated(net.clone(), [Ok(x.clone())], &options).unwrap();
            let error = difference(&small.forward(&x).unwrap(), &exact) / largest(&exact);
            // The largest is 0.064, of affine levels by entropy, which clamps rare values; a tenth more.
            assert!(error > 1e-6 && error < 0.071, "{observer:?} {scheme:?}: {error}");
        }
    }
    let skipping = QuantizationOptions::default().skip(["fc?.*".to_string()]);
    let small = Quantized::calibrated(net.clone(), [Ok(x.clone())], &skipping).unwrap();
    assert_eq!(small.weights().map(|(name, _)| name).collect::<Vec<_>>(), ["conv1.weight", "conv2.weight"]);
    let dynamic = Quantized::dynamic(net.clone(), &QuantizationOptions::default()).unwrap();
    assert_eq!(dynamic.weights().count(), 3);
    let error = difference(&dynamic.forward(&x).unwrap(), &exact) / largest(&exact);
    assert!(error > 1e-6 && error < 0.03, "{error}");
    let none = Quantized::calibrated(net, [], &QuantizationOptions::default());
    assert!(matches!(none, Err(Error::Invalid { .. })));
}

#[test]
fn an_adapter_has_the_references_answers() {
    let Some(adapter) = adapter() else { return };
    let outputs = [Device::reference(), adapter].map(|device| {
        let options = CifarResNetOptions::default().depth(8).classes(4).channels(2);
        let net = CifarResNet::new(&Scope::new(&device), &options).unwrap();
        fill(&net, &device);
        let x = images(&device, &[2, 2, 8, 8]);
        let small = Quantized::calibrated(net, [Ok(x.clone())], &QuantizationOptions::default()).unwrap();
        small.forward(&x).unwrap().to_vec::<f32>().unwrap()
    });
    // A level that rounds the other way moves an output by some parts of a hundred.
    let scale = outputs[0].iter().fold(0f32, |most, value| most.max(value.abs()));
    for (reference, adapter) in outputs[0].iter().zip(&outputs[1]) {
        assert!((reference - adapter).abs() < 0.02 * scale, "{outputs:?}");
    }
}

#[test]
fn files_are_a_quarter_and_hold_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.safetensors");
    let device = Device::reference();
    let options = ModelOptions::default().classes(10).channels(1).size(28);
    let net = models::by_name("lenet5", &Scope::new(&device), &options).unwrap();
    fill(&*net, &device);
    let x = images(&device, &[2, 1, 28, 28]);
    let whole = folder.path().join("whole.safetensors");
    weights::save(&whole, &*net, &Default::default()).unwrap();
    let small = Quantized::calibrated(net, [Ok(x.clone())], &QuantizationOptions::default()).unwrap();
    let about = Metadata::new("lenet5", options).with_classes("0123456789".chars().map(String::from));
    quantization::save(&path, &small, &about).unwrap();
    let [size, whole_size] = [&path, &whole].map(|path| path.metadata().unwrap().len());
    assert!((size as f64) < 0.28 * whole_size as f64, "{size} of {whole_size}");
    let (again, read) = quantization::open(&path, &device).unwrap();
    assert_eq!(read, about);
    for ((name, weight), (other, held)) in small.weights().zip(again.weights()) {
        assert_eq!((name, weight.to_bytes().unwrap()), (other, held.to_bytes().unwrap()));
        assert_eq!(weight.parameters().zero_point, held.parameters().zero_point);
    }
    let outputs = [small.forward(&x), again.forward(&x)].map(|y| y.unwrap().to_vec::<f32>().unwrap());
    assert_eq!(outputs[0], outputs[1]);
    assert!(quantization::is_quantized(&path).unwrap() && !quantization::is_quantized(&whole).unwrap());
    // No reader takes bytes for weights.
    let other = LeNet5::new(&Scope::new(&device)).unwrap();
    assert!(matches!(weights::load(&path, &other, &LoadOptions::default()), Err(Error::UnfitWeights { .. })));
    assert!(matches!(quantization::open(&whole, &device), Err(Error::File { .. })));
}

#[test]
fn cut_networks_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.safetensors");
    let device = Device::reference();
    let options = ModelOptions::default().classes(10).channels(1).size(28);
    let net = models::by_name("lenet5", &Scope::new(&device), &options).unwrap();
    fill(&*net, &device);
    let channels = Channels::of(&net, &options.images(1)).unwrap();
    let chosen = channels.choose(&ChannelOptions::default()).unwrap();
    channels.cut(&chosen).unwrap();
    let x = images(&device, &options.images(2));
    let small = Quantized::calibrated(net, [Ok(x.clone())], &QuantizationOptions::default()).unwrap();
    quantization::save(&path, &small, &Metadata::new("lenet5", options)).unwrap();
    let (again, _) = quantization::open(&path, &device).unwrap();
    let outputs = [small.forward(&x), again.forward(&x)].map(|y| y.unwrap().to_vec::<f32>().unwrap());
    assert_eq!(outputs[0], outputs[1]);
    let sizes =
        [&small, &again].map(|net| net.weights().map(|(_, weight)| weight.shape().to_vec()).collect::<Vec<_>>());
    assert_eq!(sizes[0], sizes[1]);
    assert_eq!(sizes[0][0], [3, 1, 5, 5]);
}

/// `fuse_conv_bn_weights` of PyTorch (`tests/golden/quantize.py`).
#[test]
fn batch_norms_are_folded_as_pytorch_folds_them() {
    let golden: Value = serde_json::from_str(include_str!("../golden/quantize.json")).unwrap();
    let read = |key: &str| serde_json::from_value::<Vec<f64>>(golden["fused"][key].clone()).unwrap();
    let device = Device::reference();
    let net = Sequential::new(&Scope::new(&device))
        .make(|scope| Conv2d::new(scope, 3, 4, 3, &Conv2dOptions::default()))
        .unwrap()
        .make(|scope| BatchNorm2d::new(scope, 4, &Default::default()))
        .unwrap();
    fill(&net, &device);
    let x = images(&device, &[2, 3, 6, 6]);
    net.eval();
    let before = net.forward(&x).unwrap();
    assert_eq!(fuse_batch_norms(&net, &[1, 3, 6, 6]).unwrap(), [("0".to_string(), "1".to_string())]);
    let value = |name: &str| {
        let named = net.named_parameters().into_iter().find(|(held, _)| held == name).unwrap();
        named.1.value().to_f64().unwrap()
    };
    let near = |got: Vec<f64>, expected: Vec<f64>| {
        let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert_eq!(got.len(), expected.len());
        let worst = got.iter().zip(&expected).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
        assert!(worst <= 1e-12 * scale, "{worst}");
    };
    near(value("0.weight"), read("weight"));
    let shift = |at: usize| value("0.bias")[at] - value("1.running_mean")[at] + value("1.bias")[at];
    near((0..4).map(shift).collect(), read("bias"));
    assert!(difference(&net.forward(&x).unwrap(), &before) <= 1e-12 * largest(&before));
}

/// Folding changes no byte of a weight: a factor of an output becomes one of its scale.
#[test]
fn folding_a_norm_changes_no_answer() {
    let device = Device::reference();
    let options = CifarResNetOptions::default().depth(8).classes(4).channels(2);
    let x = images(&device, &[2, 2, 8, 8]);
    let outputs = [false, true].map(|folds| {
        let net = CifarResNet::new(&Scope::new(&device), &options).unwrap();
        fill(&net, &device);
        net.eval();
        let exact = net.forward(&x).unwrap();
        if folds {
            assert_eq!(fuse_batch_norms(&net, &[1, 2, 8, 8]).unwrap().len(), 7);
            assert!(difference(&net.forward(&x).unwrap(), &exact) <= 1e-11 * largest(&exact));
        }
        Quantized::calibrated(net, [Ok(x.clone())], &QuantizationOptions::default()).unwrap().forward(&x).unwrap()
    });
    assert!(difference(&outputs[0], &outputs[1]) <= 0.02 * largest(&outputs[0]));
}

/// A rounded layer sees the smaller of two inputs of very different ranges in few levels: training makes up for that.
#[test]
fn training_that_knows_of_the_rounding_does_better_with_it() {
    let device = Device::reference();
    let x = images(&device, &[64, 4]);
    let x = (&x * Tensor::from_slice(&device, &[1.0f32, 1.0, 1.0, 0.004], &[4]).unwrap()).unwrap();
    let labels: Vec<i32> = x.to_vec::<f32>().unwrap().chunks(4).map(|row| i32::from(row[0] * row[1] > 0.0)).collect();
    let labels = Tensor::from_slice(&device, &labels, &[64]).unwrap();
    let net = Sequential::new(&Scope::new(&device)).make(|s| Linear::new(s, 4, 16)).unwrap().push(wgrad::nn::Tanh);
    let net = net.make(|s| Linear::new(s, 16, 2)).unwrap();
    fill(&net, &device);
    let options = QuantizationOptions::default().observer(Observer::MovingAverage { share: 0.1 });
    let aware = QuantizationAware::new(net, &options).unwrap();
    let mut adam = Adam::new(&aware, AdamOptions::default().lr(0.03)).unwrap();
    let mut losses = Vec::new();
    for _ in 0..60 {
        let logits = aware.forward(&x).unwrap();
        let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        adam.step().unwrap();
        adam.zero_grad();
        losses.push(loss.to_f64().unwrap()[0]);
    }
    assert!(losses[59] < 0.3 * losses[0], "{losses:?}");
    aware.eval();
    let learned = aware.forward(&x).unwrap();
    let small = aware.convert().unwrap();
    assert!(difference(&small.forward(&x).unwrap(), &learned) < 1e-4 * largest(&learned));
    let percentile = QuantizationOptions::default().observer(Observer::Entropy);
    assert!(QuantizationAware::new(small, &percentile).is_err());
}
