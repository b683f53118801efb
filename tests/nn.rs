//! Layers: names, shapes, initial values, and what they compute.

mod common;

use common::own_adapter;
use wgrad::models::LeNet5;
use wgrad::nn::{
    AvgPool2d, Conv2d, Elu, Flatten, Gelu, LeakyRelu, Linear, MaxPool2d, Mish, Module, Relu, Scope, Sequential,
    Sigmoid, Silu, Softplus, Softsign, Tanh,
};
use wgrad::{Conv2dOptions, Device, Error, Parameter, Tensor};

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
        assert_eq!(shape(&conv.weight), [64, 4, 3, 5]);
        for (parameter, fan_in) in [
            (&conv.weight, 60),
            (conv.bias.as_ref().unwrap(), 60),
            (&linear.weight, 100),
            (linear.bias.as_ref().unwrap(), 100),
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
    for error in [
        Linear::new(&scope, 0, 3).unwrap_err(),
        Conv2d::new(&scope, 3, 4, [0, 3], &options(1)).unwrap_err(),
        Conv2d::new(&scope, 3, 4, [3, 3], &options(0)).unwrap_err(),
        Conv2d::new(&scope, 3, 4, [3, 3], &options(2)).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}

/// The names that `state_dict` gives, in its order.
#[test]
fn layers_over_sequences_name_their_parameters_as_pytorch_does() {
    use wgrad::nn::{Lstm, MultiheadAttention, MultiheadAttentionOptions, RnnOptions};
    let device = Device::reference();
    let scope = Scope::new(&device);
    let names = |all: Vec<Parameter>| -> Vec<String> {
        all.iter().map(|p| format!("{} {:?}", p.name(), &p.value().shape()[..])).collect()
    };
    let options = RnnOptions { bidirectional: true, ..RnnOptions::default() };
    let lstm = Lstm::projected(&scope.at("lstm"), 3, 5, 2, &options).unwrap();
    assert_eq!(
        names(lstm.weights.clone()),
        [
            "lstm.weight_ih_l0 [20, 3]",
            "lstm.weight_hh_l0 [20, 2]",
            "lstm.bias_ih_l0 [20]",
            "lstm.bias_hh_l0 [20]",
            "lstm.weight_hr_l0 [2, 5]",
            "lstm.weight_ih_l0_reverse [20, 3]",
            "lstm.weight_hh_l0_reverse [20, 2]",
            "lstm.bias_ih_l0_reverse [20]",
            "lstm.bias_hh_l0_reverse [20]",
            "lstm.weight_hr_l0_reverse [2, 5]",
        ]
    );
    let (output, (hidden, cell)) = lstm.run(&Tensor::ones(&device, &[4, 3]).unwrap(), None, false).unwrap();
    assert_eq!([&output.shape()[..], &hidden.shape()[..], &cell.shape()[..]], [&[4, 4][..], &[2, 2], &[2, 5]]);
    let options = MultiheadAttentionOptions { kdim: Some(3), add_bias_kv: true, ..Default::default() };
    let attention = MultiheadAttention::new(&scope.at("a"), 4, 2, &options).unwrap();
    assert_eq!(
        names(attention.parameters()),
        [
            "a.q_proj_weight [4, 4]",
            "a.k_proj_weight [4, 3]",
            "a.v_proj_weight [4, 4]",
            "a.in_proj_bias [12]",
            "a.bias_k [1, 1, 4]",
            "a.bias_v [1, 1, 4]",
            "a.out_proj.weight [4, 4]",
            "a.out_proj.bias [4]",
        ]
    );
}
