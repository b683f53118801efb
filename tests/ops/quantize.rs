//! Levels as PyTorch rounds them, and sums of bytes as ONNX Runtime requantizes them (`tests/golden/quantize.py`): equal, bit
//! for bit.

use crate::common::adapter;
use crate::common::from_names::numbers;
use serde_json::Value;
use wgrad::{Conv2dOptions, Device, Error, QuantizationParameters, QuantizedTensor, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/quantize.json")).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn devices() -> Vec<Device> {
    [Some(Device::reference()), adapter()].into_iter().flatten().collect()
}

#[test]
fn levels_are_those_of_pytorch() {
    let golden = golden();
    let x: Vec<f32> = read(&golden["rounding"]["x"]);
    for device in devices() {
        for call in golden["rounding"]["calls"].as_array().unwrap() {
            let scale = call["scale"].as_f64().unwrap();
            let [point, low, high] = ["zero_point", "quant_min", "quant_max"].map(|key| read::<i32>(&call[key]));
            let x = Tensor::from_slice(&device, &x, &[x.len()]).unwrap().requires_grad();
            let fake = x.fake_quantize_per_tensor_affine(scale, point, low, high).unwrap();
            fake.sum_all().unwrap().backward().unwrap();
            assert_eq!(fake.to_vec::<f32>().unwrap(), read::<Vec<f32>>(&call["fake"]), "{scale}");
            assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), read::<Vec<f32>>(&call["gradient"]), "{scale}");
            let quantized = x.detach().quantize_per_tensor(scale, point).unwrap();
            assert_eq!(quantized.to_bytes().unwrap(), read::<Vec<i8>>(&call["bytes"]), "{scale}");
            let numbers = quantized.dequantize().unwrap().to_vec::<f32>().unwrap();
            assert_eq!(numbers, read::<Vec<f32>>(&call["dequantized"]), "{scale}");
        }
    }
}

#[test]
fn channels_have_levels_of_their_own() {
    let golden = &golden()["channels"];
    let scales: Vec<f64> = read(&golden["scales"]);
    let points: Vec<i32> = read(&golden["zero_points"]);
    let x: Vec<f32> = numbers("channels", 60).map(|unit| (4.0 * unit) as f32).collect();
    for device in devices() {
        let x = Tensor::from_slice(&device, &x, &[3, 4, 5]).unwrap().requires_grad();
        let fake = x.fake_quantize_per_channel_affine(&scales, &points, 1, -128, 127).unwrap();
        fake.sum_all().unwrap().backward().unwrap();
        assert_eq!(fake.to_vec::<f32>().unwrap(), read::<Vec<f32>>(&golden["fake"]));
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), read::<Vec<f32>>(&golden["gradient"]));
        let quantized = x.detach().quantize_per_channel(&scales, &points, 1).unwrap();
        assert_eq!(quantized.to_bytes().unwrap(), read::<Vec<i8>>(&golden["bytes"]));
    }
}

fn integers(name: &str, count: usize, most: f64) -> impl Iterator<Item = f64> {
    numbers(name, count).map(move |unit| (unit * most).floor())
}

fn bytes(
    device: &Device,
    name: &str,
    shape: &[usize],
    most: f64,
    parameters: QuantizationParameters,
) -> QuantizedTensor {
    let bytes: Vec<i8> = integers(name, shape.iter().product(), most).map(|byte| byte as i8).collect();
    QuantizedTensor::from_bytes(device, &bytes, shape, parameters).unwrap()
}

#[test]
fn sums_of_bytes_are_those_of_onnx_runtime() {
    let golden = golden();
    for device in devices() {
        for call in golden["convolutions"].as_array().unwrap() {
            let name = call["name"].as_str().unwrap();
            let [image, weight] = ["image", "weight"].map(|key| read::<Vec<usize>>(&call[key]));
            let [stride, padding, dilation] =
                ["stride", "padding", "dilation"].map(|key| read::<[usize; 2]>(&call[key]));
            let of_weight = QuantizationParameters::per_channel(read(&call["scales"]), 0);
            let of_image = QuantizationParameters::per_tensor(0.021, -17);
            let to = QuantizationParameters::per_tensor(0.09, 12);
            let bias: Vec<i32> = integers(&format!("{name}.bias"), weight[0], 3000.0).map(|b| b as i32).collect();
            let bias = Tensor::from_slice(&device, &bias, &[weight[0]]).unwrap();
            let expected: Vec<i8> = read(&call["bytes"]);
            let [x, w] = [(".x", &image, 127.0, of_image), (".w", &weight, 64.0, of_weight)].map(
                |(part, shape, most, parameters)| bytes(&device, &format!("{name}{part}"), shape, most, parameters),
            );
            let options = Conv2dOptions::default().stride(stride).padding(padding).dilation(dilation);
            let options = options.groups(read::<usize>(&call["groups"]));
            let sums = x.conv2d(&w, Some(&bias), &options, &to).unwrap();
            assert_eq!(sums.to_bytes().unwrap(), expected, "{name}");
            if name == "linear" {
                let flat = |q: &QuantizedTensor| {
                    let [rows, inputs] = [q.shape()[0], q.shape()[1]];
                    let bytes = q.to_bytes().unwrap();
                    QuantizedTensor::from_bytes(&device, &bytes, &[rows, inputs], q.parameters().clone()).unwrap()
                };
                let sums = flat(&x).linear(&flat(&w), Some(&bias), &to).unwrap();
                assert_eq!(sums.to_bytes().unwrap(), expected);
            }
        }
    }
}

#[test]
fn what_cant_be_quantized_is_refused() {
    let device = Device::reference();
    let x = Tensor::ones(&device, &[1, 2, 4, 4]).unwrap();
    let refused = |result: wgrad::Result<QuantizedTensor>, part: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(x.quantize_per_tensor(0.0, 0), "positive");
    refused(x.quantize_per_tensor(f64::NAN, 0), "positive");
    refused(x.quantize_per_tensor(0.1, 128), "zero_point 128");
    refused(x.quantize_per_channel(&[0.1], &[0], 1), "1 scales");
    refused(x.to_dtype(wgrad::DType::I32).unwrap().quantize_per_tensor(0.1, 0), "f32");
    assert!(matches!(x.fake_quantize_per_tensor_affine(0.1, 0, 7, -8), Err(Error::Invalid { .. })));
    let image = x.quantize_per_tensor(0.1, 0).unwrap();
    let weight = Tensor::ones(&device, &[3, 2, 3, 3]).unwrap();
    let (plain, to) = (Conv2dOptions::default(), QuantizationParameters::per_tensor(0.1, 0));
    let affine = weight.quantize_per_tensor(0.1, 3).unwrap();
    refused(image.conv2d(&affine, None, &plain, &to), "zero points of 0");
    let symmetric = weight.quantize_per_tensor(0.1, 0).unwrap();
    refused(image.conv2d(&symmetric, Some(&Tensor::ones(&device, &[3]).unwrap()), &plain, &to), "i32 bias [3]");
    refused(image.conv2d(&symmetric, None, &plain.groups(2), &to), "groups");
    refused(image.conv2d(&symmetric, None, &plain, &QuantizationParameters::per_channel(vec![0.1; 3], 1)), "result");
    refused(image.linear(&symmetric, None, &to), "[out, in]");
    let long = Tensor::ones(&device, &[1, 65_536]).unwrap().quantize_per_tensor(1.0, 0).unwrap();
    assert!(matches!(long.linear(&long, None, &to), Err(Error::TooLarge { limit: 65_535, .. })));
}
