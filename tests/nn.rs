//! Layers: names, shapes, initial values, and what they compute.

mod common;

use common::own_adapter;
use wgrad::models::LeNet5;
use wgrad::nn::{
    AvgPool2d, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Elu, Flatten, Fold, Gelu,
    LeakyRelu, Linear, MaxPool2d, Mish, Module, Relu, Scope, Sequential, Sigmoid, Silu, Softplus, Softsign, Tanh,
    Unfold,
};
use wgrad::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    ConvTranspose3dOptions, Device, Error, Parameter, Tensor, UnfoldOptions,
};

fn names(module: &dyn Module) -> Vec<String> {
    module.parameters().iter().map(|p| p.name().to_string()).collect()
}

fn shape(parameter: &Parameter) -> Vec<usize> {
    parameter.value().shape().to_vec()
}

#[test]
fn lenet_has_the_names_and_shapes_of_a_state_dict() {
    let model = LeNet5::new(&Scope::new(&Device::reference())).unwrap();
    let expected: [(&str, &[usize]); 10] = [
        ("conv1.weight", &[6, 1, 5, 5]),
        ("conv1.bias", &[6]),
        ("conv2.weight", &[16, 6, 5, 5]),
        ("conv2.bias", &[16]),
        ("fc1.weight", &[120, 400]),
        ("fc1.bias", &[120]),
        ("fc2.weight", &[84, 120]),
        ("fc2.bias", &[84]),
        ("fc3.weight", &[10, 84]),
        ("fc3.bias", &[10]),
    ];
    assert_eq!(model.parameters().len(), expected.len());
    for (parameter, (name, sizes)) in model.parameters().iter().zip(expected) {
        assert_eq!((parameter.name(), &shape(parameter)[..]), (name, sizes));
        assert!(parameter.is_trained());
    }
}

#[test]
fn initial_values_fill_pytorchs_bounds() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        device.manual_seed(7);
        let scope = Scope::new(&device);
        let options = Conv2dOptions { groups: 2, ..Conv2dOptions::default() };
        let conv = Conv2d::new(&scope, 8, 64, [3, 5], &options).unwrap();
        let linear = Linear::new(&scope, 100, 200).unwrap();
        let transposed = ConvTranspose2dOptions { groups: 4, ..ConvTranspose2dOptions::default() };
        let transposed = ConvTranspose2d::new(&scope, 64, 96, [2, 2], &transposed).unwrap();
        assert_eq!(shape(&transposed.weight), [64, 24, 2, 2]);
        assert_eq!(shape(&conv.weight), [64, 4, 3, 5]);
        for (parameter, fan_in) in [
            (&conv.weight, 60),
            (conv.bias.as_ref().unwrap(), 60),
            (&linear.weight, 100),
            (linear.bias.as_ref().unwrap(), 100),
            (&transposed.weight, 96),
            (transposed.bias.as_ref().unwrap(), 96),
        ] {
            let bound = 1.0 / f64::from(fan_in).sqrt();
            let values = parameter.value().to_f64().unwrap();
            let most = values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
            assert!(most <= bound * (1.0 + 1e-6), "{most} > {bound}");
            assert!(most > 0.9 * bound, "{most} is far from {bound}");
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            // Four standard errors of a uniform distribution's mean.
            assert!(mean.abs() < 4.0 * bound / (3.0 * values.len() as f64).sqrt(), "mean {mean}");
        }
    }
}

#[test]
fn the_seed_decides_the_weights() {
    let weights = |device: &Device, seed| {
        device.manual_seed(seed);
        let layer = Linear::new(&Scope::new(device), 11, 3).unwrap();
        layer.weight.value().to_vec::<f32>().unwrap()
    };
    let reference = Device::reference();
    assert_eq!(weights(&reference, 1), weights(&reference, 1));
    assert_ne!(weights(&reference, 1), weights(&reference, 2));
    if let Some(device) = own_adapter() {
        for (a, b) in weights(&device, 1).iter().zip(weights(&reference, 1)) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}

#[test]
fn layers_compute_what_their_methods_do() {
    let device = Device::reference();
    let x = Tensor::from_slice(&device, &(0..16).map(|i| i as f32 - 8.0).collect::<Vec<_>>(), &[1, 1, 4, 4]).unwrap();
    let same = |layer: &dyn Module, expected: wgrad::Result<Tensor>| {
        let (got, expected) = (layer.forward(&x).unwrap(), expected.unwrap());
        assert_eq!(got.shape(), expected.shape());
        assert_eq!(got.to_f64().unwrap(), expected.to_f64().unwrap());
        assert!(layer.parameters().is_empty());
    };
    same(&Relu, x.relu());
    same(&Sigmoid, x.sigmoid());
    same(&Tanh, x.tanh());
    same(&Silu, x.silu());
    same(&Mish, x.mish());
    same(&Gelu, x.gelu());
    same(&Softsign, x.softsign());
    same(&LeakyRelu::default(), x.leaky_relu(0.01));
    same(&Elu::default(), x.elu(1.0));
    same(&Softplus::default(), x.softplus(1.0, 20.0));
    same(&Flatten, x.reshape(&[1, 16]));
    same(&MaxPool2d::new([2, 2]), Tensor::from_slice(&device, &[-3.0f32, -1.0, 5.0, 7.0], &[1, 1, 2, 2]));
    same(&AvgPool2d::new([2, 2]), Tensor::from_slice(&device, &[-5.5f32, -3.5, 2.5, 4.5], &[1, 1, 2, 2]));
    same(&Sequential::new().push(Relu).push(Flatten), x.relu().unwrap().reshape(&[1, 16]));
}

/// The output's shape, and those of the parameters; the output must be what the operation gives with them.
fn shapes(
    device: &Device,
    layer: &dyn Module,
    input: &[usize],
    expected: impl Fn(&Tensor, &[Tensor]) -> wgrad::Result<Tensor>,
) -> Vec<Vec<usize>> {
    let x = Tensor::uniform(device, input, -1.0, 1.0).unwrap();
    let parameters = layer.parameters();
    let values: Vec<Tensor> = parameters.iter().map(Parameter::value).collect();
    let (got, expected) = (layer.forward(&x).unwrap(), expected(&x, &values).unwrap());
    assert_eq!(got.to_f64().unwrap(), expected.to_f64().unwrap());
    [vec![got.shape().to_vec()], parameters.iter().map(shape).collect()].concat()
}

#[test]
fn convolutions_of_all_dimensions() {
    let device = Device::reference();
    let scope = Scope::new(&device).at("conv");
    let options = Conv1dOptions { stride: [2], groups: 2, ..Conv1dOptions::default() };
    let layer = Conv1d::new(&scope, 4, 6, [3], &options).unwrap();
    assert_eq!(names(&layer), ["conv.weight", "conv.bias"]);
    let got = shapes(&device, &layer, &[5, 4, 9], |x, w| x.conv1d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[5, 6, 4][..], &[6, 2, 3], &[6]]);

    let options = Conv3dOptions { padding: wgrad::Padding::Same, ..Conv3dOptions::default() };
    let layer = Conv3d::new(&scope, 2, 3, [3, 2, 1], &options).unwrap();
    let got = shapes(&device, &layer, &[1, 2, 3, 4, 5], |x, w| x.conv3d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[1, 3, 3, 4, 5][..], &[3, 2, 3, 2, 1], &[3]]);

    let options = ConvTranspose1dOptions { stride: [2], output_padding: [1], ..ConvTranspose1dOptions::default() };
    let layer = ConvTranspose1d::new(&scope, 3, 2, [2], &options).unwrap();
    let got = shapes(&device, &layer, &[3, 4], |x, w| x.conv_transpose1d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[2, 9][..], &[3, 2, 2], &[2]]);

    let options = ConvTranspose2dOptions { groups: 3, ..ConvTranspose2dOptions::default() };
    let layer = ConvTranspose2d::without_bias(&scope, 3, 6, [2, 3], &options).unwrap();
    assert_eq!(names(&layer), ["conv.weight"]);
    let got = shapes(&device, &layer, &[2, 3, 4, 4], |x, w| x.conv_transpose2d(&w[0], None, &options));
    assert_eq!(got, [&[2, 6, 5, 6][..], &[3, 2, 2, 3]]);

    let options = ConvTranspose3dOptions { stride: [2, 1, 1], ..ConvTranspose3dOptions::default() };
    let layer = ConvTranspose3d::new(&scope, 2, 3, [2, 2, 1], &options).unwrap();
    let got = shapes(&device, &layer, &[1, 2, 2, 2, 2], |x, w| x.conv_transpose3d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[1, 3, 4, 3, 2][..], &[2, 3, 2, 2, 1], &[3]]);

    let options = UnfoldOptions { padding: [1, 0], ..UnfoldOptions::default() };
    let got =
        shapes(&device, &Unfold { kernel_size: [2, 2], options }, &[1, 2, 3, 3], |x, _| x.unfold([2, 2], &options));
    assert_eq!(got, [&[1, 8, 8]]);
    let got = shapes(&device, &Fold { output_size: [3, 3], kernel_size: [2, 2], options }, &[1, 8, 8], |x, _| {
        x.fold([3, 3], [2, 2], &options)
    });
    assert_eq!(got, [&[1, 2, 3, 3]]);
}

#[test]
fn a_layer_without_bias_has_one_parameter() {
    let scope = Scope::new(&Device::reference());
    assert_eq!(names(&Linear::without_bias(&scope.at("head"), 3, 2).unwrap()), ["head.weight"]);
    let conv = Conv2d::without_bias(&scope.at("stem").at(0), 3, 2, [1, 1], &Conv2dOptions::default()).unwrap();
    assert_eq!(names(&conv), ["stem.0.weight"]);
}

#[test]
fn sizes_that_make_no_layer_are_errors() {
    let scope = Scope::new(&Device::reference()).at("x");
    let options = |groups| Conv2dOptions { groups, ..Conv2dOptions::default() };
    let transposed = ConvTranspose2dOptions::default();
    for error in [
        Linear::new(&scope, 0, 3).unwrap_err(),
        Conv2d::new(&scope, 3, 4, [0, 3], &options(1)).unwrap_err(),
        Conv2d::new(&scope, 3, 4, [3, 3], &options(0)).unwrap_err(),
        Conv2d::new(&scope, 3, 4, [3, 3], &options(2)).unwrap_err(),
        ConvTranspose1d::new(&scope, 0, 3, [2], &ConvTranspose1dOptions::default()).unwrap_err(),
        ConvTranspose2d::new(&scope, 4, 3, [2, 2], &ConvTranspose2dOptions { groups: 2, ..transposed }).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}
