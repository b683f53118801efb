//! Layers: names, shapes, initial values, and results.

use crate::common::own_adapter;
use wgrad::models::LeNet5;
use wgrad::nn::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d,
    AvgPool1d, AvgPool2d, AvgPool3d, Celu, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d,
    Elu, Flatten, Fold, Gelu, GeluTanh, Glu, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, Linear,
    LogSigmoid, LogSoftmax, LpPool1d, LpPool2d, LpPool3d, MaxPool1d, MaxPool2d, MaxPool3d, MaxUnpool1d, MaxUnpool2d,
    MaxUnpool3d, Mish, Module, Prelu, Relu, Relu6, Scope, Selu, Sequential, Sigmoid, Silu, Softmax, Softmin, Softplus,
    Softshrink, Softsign, Tanh, Tanhshrink, Threshold, Unfold,
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
        assert!(parameter.requires_grad());
    }
}

#[test]
fn initial_values_fill_pytorchs_bounds() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        device.manual_seed(7);
        let scope = Scope::new(&device);
        let options = Conv2dOptions::default().groups(2);
        let conv = Conv2d::new(&scope, 8, 64, [3, 5], &options).unwrap();
        let linear = Linear::new(&scope, 100, 200).unwrap();
        let transposed = ConvTranspose2dOptions::default().groups(4);
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
    same(&Celu::default(), x.celu(1.0));
    same(&GeluTanh, x.gelu_tanh());
    same(&Glu::default(), x.glu(-1));
    same(&Hardshrink::default(), x.hardshrink(0.5));
    same(&Hardsigmoid, x.hardsigmoid());
    same(&Hardswish, x.hardswish());
    same(&Hardtanh::default(), x.hardtanh(-1.0, 1.0));
    same(&LogSigmoid, x.logsigmoid());
    same(&Relu6, x.relu6());
    same(&Selu, x.selu());
    same(&Softshrink::default(), x.softshrink(0.5));
    same(&Tanhshrink, x.tanhshrink());
    same(&Threshold { threshold: 0.5, value: -7.0 }, x.threshold(0.5, -7.0));
    same(&Softmax::new(-1), x.softmax(3));
    same(&LogSoftmax::new(2), x.log_softmax(2));
    same(&Softmin::new(3), x.neg().unwrap().softmax(3));
    same(&Flatten, x.reshape(&[1, 16]));
    same(&MaxPool2d::new([2, 2]), Tensor::from_slice(&device, &[-3.0f32, -1.0, 5.0, 7.0], &[1, 1, 2, 2]));
    same(&AvgPool2d::new([2, 2]), Tensor::from_slice(&device, &[-5.5f32, -3.5, 2.5, 4.5], &[1, 1, 2, 2]));
    same(&Sequential::new(&Scope::new(&device)).push(Relu).push(Flatten), x.relu().unwrap().reshape(&[1, 16]));
}

/// The output's shape, and those of the parameters; the output must be the operation's with them.
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
    let options = Conv1dOptions::default().stride(2).groups(2);
    let layer = Conv1d::new(&scope, 4, 6, [3], &options).unwrap();
    assert_eq!(names(&layer), ["conv.weight", "conv.bias"]);
    let got = shapes(&device, &layer, &[5, 4, 9], |x, w| x.conv1d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[5, 6, 4][..], &[6, 2, 3], &[6]]);

    let options = Conv3dOptions::default().padding(wgrad::Padding::Same);
    let layer = Conv3d::new(&scope, 2, 3, [3, 2, 1], &options).unwrap();
    let got = shapes(&device, &layer, &[1, 2, 3, 4, 5], |x, w| x.conv3d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[1, 3, 3, 4, 5][..], &[3, 2, 3, 2, 1], &[3]]);

    let options = ConvTranspose1dOptions::default().stride(2).output_padding(1);
    let layer = ConvTranspose1d::new(&scope, 3, 2, [2], &options).unwrap();
    let got = shapes(&device, &layer, &[3, 4], |x, w| x.conv_transpose1d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[2, 9][..], &[3, 2, 2], &[2]]);

    let options = ConvTranspose2dOptions::default().groups(3);
    let layer = ConvTranspose2d::without_bias(&scope, 3, 6, [2, 3], &options).unwrap();
    assert_eq!(names(&layer), ["conv.weight"]);
    let got = shapes(&device, &layer, &[2, 3, 4, 4], |x, w| x.conv_transpose2d(&w[0], None, &options));
    assert_eq!(got, [&[2, 6, 5, 6][..], &[3, 2, 2, 3]]);

    let options = ConvTranspose3dOptions::default().stride([2, 1, 1]);
    let layer = ConvTranspose3d::new(&scope, 2, 3, [2, 2, 1], &options).unwrap();
    let got = shapes(&device, &layer, &[1, 2, 2, 2, 2], |x, w| x.conv_transpose3d(&w[0], Some(&w[1]), &options));
    assert_eq!(got, [&[1, 3, 4, 3, 2][..], &[2, 3, 2, 2, 1], &[3]]);

    let options = UnfoldOptions::default().padding([1, 0]);
    let got =
        shapes(&device, &Unfold { kernel_size: [2, 2], options }, &[1, 2, 3, 3], |x, _| x.unfold([2, 2], &options));
    assert_eq!(got, [&[1, 8, 8]]);
    let got = shapes(&device, &Fold { output_size: [3, 3], kernel_size: [2, 2], options }, &[1, 8, 8], |x, _| {
        x.fold([3, 3], [2, 2], &options)
    });
    assert_eq!(got, [&[1, 2, 3, 3]]);
}

#[test]
fn prelu_learns_its_slope() {
    let device = Device::reference();
    let layer = Prelu::new(&Scope::new(&device).at("act"), 2, 0.25).unwrap();
    assert_eq!((names(&layer), shape(&layer.weight)), (vec!["act.weight".to_string()], vec![2]));
    let x = Tensor::from_slice(&device, &[-4.0f32, -8.0], &[1, 2]).unwrap();
    layer.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(layer.weight.grad().unwrap().to_vec::<f32>().unwrap(), [-4.0, -8.0]);
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
    let options = |groups| Conv2dOptions::default().groups(groups);
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

#[test]
fn pooling_layers_pool_lines_planes_and_volumes() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        let values: Vec<f32> = (0..16).map(|i| i as f32 - 8.0).collect();
        let same = |layer: &dyn Module, shape: &[usize], expected: &[f32]| {
            let y = layer.forward(&Tensor::from_slice(&device, &values, shape).unwrap()).unwrap();
            assert_eq!(y.shape().len(), shape.len());
            let got = y.to_vec::<f32>().unwrap();
            assert_eq!(got.len(), expected.len());
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{got:?} {expected:?}");
        };
        let (line, plane, volume): (&[usize], &[usize], &[usize]) = (&[1, 2, 8], &[1, 1, 4, 4], &[1, 1, 2, 4, 2]);
        same(&MaxPool1d::new([4]), line, &[-5.0, -1.0, 3.0, 7.0]);
        same(&MaxPool3d::new([2, 2, 2]), volume, &[3.0, 7.0]);
        same(&AvgPool1d::new([4]), line, &[-6.5, -2.5, 1.5, 5.5]);
        same(&AvgPool2d::new([4, 2]), plane, &[-1.5, 0.5]);
        same(&AvgPool3d::new([2, 2, 2]), volume, &[-2.5, 1.5]);
        same(&LpPool1d::new(1.0, [8]), line, &[-36.0, 28.0]);
        same(&LpPool2d::new(2.0, [4, 4]), plane, &[344f32.sqrt()]);
        same(&LpPool3d::new(f64::INFINITY, [2, 4, 2]), volume, &[8.0]);
        same(&AdaptiveAvgPool1d::new([3]), line, &[-7.0, -4.5, -2.0, 1.0, 3.5, 6.0]);
        same(&AdaptiveAvgPool2d::new([1, 2]), plane, &[-1.5, 0.5]);
        same(&AdaptiveAvgPool2d { output_size: [None, Some(1)] }, plane, &[-6.5, -2.5, 1.5, 5.5]);
        same(&AdaptiveAvgPool3d::new([1, 1, 1]), volume, &[-0.5]);
        same(&AdaptiveMaxPool1d::new([3]), line, &[-6.0, -3.0, -1.0, 2.0, 5.0, 7.0]);
        same(&AdaptiveMaxPool2d::new([1, 3]), plane, &[5.0, 6.0, 7.0]);
        same(&AdaptiveMaxPool3d::new([2, 1, 1]), volume, &[-1.0, 7.0]);
    }
}

#[test]
fn unpooling_layers_put_maxima_back() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        let x = Tensor::from_slice(&device, &[1.0f32, 4.0, 3.0, 2.0, 6.0, 5.0, 7.0, 8.0], &[1, 8]).unwrap();
        let expected = [0.0, 4.0, 3.0, 0.0, 6.0, 0.0, 0.0, 8.0];
        let (y, at) = x.max_pool1d_with_indices([2], &MaxPool1d::new([2]).options).unwrap();
        assert_eq!(MaxUnpool1d::new([2]).forward(&y, &at).unwrap().to_vec::<f32>().unwrap(), expected);
        let plane = x.reshape(&[1, 2, 4]).unwrap();
        let (y, at) = plane.max_pool2d_with_indices([1, 2], &MaxPool2d::new([1, 2]).options).unwrap();
        let layer = MaxUnpool2d::new([1, 2]);
        assert_eq!(layer.forward(&y, &at).unwrap().to_vec::<f32>().unwrap(), expected);
        let volume = x.reshape(&[1, 2, 2, 2]).unwrap();
        let (y, at) = volume.max_pool3d_with_indices([1, 1, 2], &MaxPool3d::new([1, 1, 2]).options).unwrap();
        let layer = MaxUnpool3d::new([1, 1, 2]);
        assert_eq!(layer.forward(&y, &at).unwrap().to_vec::<f32>().unwrap(), expected);
    }
}

/// The names of `state_dict`, in its order.
#[test]
fn layers_over_sequences_name_their_parameters_as_pytorch_does() {
    use wgrad::nn::{Lstm, MultiheadAttention, MultiheadAttentionOptions, RnnOptions};
    let device = Device::reference();
    let scope = Scope::new(&device);
    let names = |all: Vec<Parameter>| -> Vec<String> {
        all.iter().map(|p| format!("{} {:?}", p.name(), &p.value().shape()[..])).collect()
    };
    let options = RnnOptions::default().bidirectional(true);
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
    let (output, (hidden, cell)) = lstm.run(&Tensor::ones(&device, &[4, 3]).unwrap(), None).unwrap();
    assert_eq!([&output.shape()[..], &hidden.shape()[..], &cell.shape()[..]], [&[4, 4][..], &[2, 2], &[2, 5]]);
    let options = MultiheadAttentionOptions::default().kdim(3).add_bias_kv(true);
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

#[test]
fn layers_over_sequences_drop_out_in_training_only() {
    use wgrad::nn::{Gru, MultiheadAttention, MultiheadAttentionOptions, RnnOptions};
    let device = Device::reference();
    let scope = Scope::new(&device);
    let options = RnnOptions::default().num_layers(2).dropout(0.5);
    let gru = Gru::new(&scope.at("gru"), 4, 8, &options).unwrap();
    let options = MultiheadAttentionOptions::default().dropout(0.5);
    let attention = MultiheadAttention::new(&scope.at("attention"), 4, 2, &options).unwrap();
    let x = Tensor::uniform(&device, &[5, 3, 4], -1.0, 1.0).unwrap();
    let layers: [&dyn Module; 2] = [&gru, &attention];
    for layer in layers {
        let output = || layer.forward(&x).unwrap().to_vec::<f32>().unwrap();
        assert_ne!(output(), output());
        layer.eval();
        assert_eq!(output(), output());
        layer.train(true);
        assert_ne!(output(), output());
    }
}
