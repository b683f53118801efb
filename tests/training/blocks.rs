//! Blocks against torchvision's: values and gradients with the same weights in the same order.

use wgrad::nn::blocks::{
    Activation, Cbam, ConvNormActivation, ConvNormActivationOptions, DepthwiseSeparable, InvertedResidual,
    InvertedResidualOptions, SqueezeExcitation, StochasticDepth, StochasticDepthMode,
};
use wgrad::nn::{Module, Scope};
use wgrad::{Device, Error, Tensor};

/// A block, its shape, three elements of its output, one of the input's gradient, two of the first parameter's.
type Case = (&'static str, Box<dyn Module>, usize, [usize; 4], [f64; 3], [f64; 3]);

fn numbers(count: usize, number: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..count).map(|at| number(at as f64)).collect()
}

/// The same weights that a script gives torchvision's blocks; those of norms are about 1.
fn fill(block: &dyn Module) {
    let trained = block.parameters().into_iter().filter(|parameter| !parameter.is_buffer());
    for (at, parameter) in trained.enumerate() {
        let value = parameter.value();
        let middle = if value.rank() == 1 && parameter.name().ends_with("weight") { 1.0 } else { 0.0 };
        let values = numbers(value.numel(), |k| (k * 1.7 + at as f64).sin() * 0.5 + middle);
        parameter.assign(&Tensor::from_f64(value.device(), &values, value.shape()).unwrap()).unwrap();
    }
}

/// Results of torchvision 0.29 and PyTorch 2.15 in double precision, in training; for [`Cbam`] by the paper's formula written in
/// PyTorch.
#[test]
fn blocks_are_torchvisions() {
    let scope = Scope::new(&Device::reference());
    let usual = ConvNormActivationOptions::default();
    let strided =
        ConvNormActivationOptions { stride: [2; 2], dilation: [2; 2], activation: Some(Activation::Silu), ..usual };
    let biased =
        ConvNormActivationOptions { kernel_size: [5; 2], norm: None, activation: Some(Activation::Hardswish), ..usual };
    let v2 = InvertedResidualOptions::default();
    let v3 = InvertedResidualOptions { kernel_size: 5, squeezed: Some(8), activation: Activation::Hardswish, ..v2 };
    let halved = ConvNormActivationOptions { stride: [2; 2], ..usual };
    let v2_halved = InvertedResidualOptions { stride: 2, ..v2 };
    let cases: [Case; 8] = [
        (
            "squeeze and excitation",
            Box::new(SqueezeExcitation::new(&scope, 6, 3, Activation::Relu, Activation::Sigmoid).unwrap()),
            6,
            [2, 6, 5, 4],
            [0.562908899, 0.104989472, -0.26983659],
            [0.080535102, 0.00293949414, 0.0],
        ),
        (
            "convolution, norm, activation",
            Box::new(ConvNormActivation::new(&scope, 3, 4, &strided).unwrap()),
            3,
            [2, 4, 3, 2],
            [1.77147315, 1.45899898, -0.065516361],
            [0.0, -1.19937061, -0.206950724],
        ),
        (
            "convolution with a bias",
            Box::new(ConvNormActivation::new(&scope, 3, 4, &biased).unwrap()),
            3,
            [2, 4, 5, 4],
            [0.854387455, 1.67611636, 1.384163],
            [0.656419735, -1.53926276, 1.23661369],
        ),
        (
            "MobileNetV3's block",
            Box::new(InvertedResidual::new(&scope, 8, 16, 8, &v3).unwrap()),
            8,
            [2, 8, 5, 4],
            [0.46694596, 0.343297959, -0.870675534],
            [0.231809253, 0.636999071, 0.25030055],
        ),
        (
            "MobileNetV2's block",
            Box::new(InvertedResidual::new(&scope, 4, 24, 4, &v2).unwrap()),
            4,
            [2, 4, 5, 4],
            [3.39570706, 0.470270724, -0.549962563],
            [-1.80759811, 0.384571203, 1.26086706],
        ),
        (
            "MobileNetV2's block without expansion",
            Box::new(InvertedResidual::new(&scope, 4, 4, 6, &v2_halved).unwrap()),
            4,
            [2, 6, 3, 2],
            [0.129982054, -0.43307175, 1.62585473],
            [0.243106782, 0.823720885, 2.16451634],
        ),
        (
            "convolutional block attention",
            Box::new(Cbam::new(&scope, 6, 2, 3).unwrap()),
            6,
            [2, 6, 5, 4],
            [0.278760219, 0.0586245743, -0.222591319],
            [0.0538697795, 0.00134775018, -0.0108678094],
        ),
        (
            "depthwise separable",
            Box::new(DepthwiseSeparable::new(&scope, 4, 6, &halved).unwrap()),
            4,
            [2, 6, 3, 2],
            [0.129982054, 0.0, 1.62585473],
            [0.562727007, 0.677499234, 2.13613939],
        ),
    ];
    for (name, block, channels, shape, values, gradients) in cases {
        fill(&*block);
        let x = numbers(2 * channels * 20, |k| (k * 0.7).cos());
        let x = Tensor::from_f64(scope.device(), &x, &[2, channels, 5, 4]).unwrap().requires_grad();
        let y = block.forward(&x).unwrap();
        assert_eq!(y.shape()[..], shape, "{name}");
        let cotangent = Tensor::from_f64(scope.device(), &numbers(y.numel(), f64::sin), &shape).unwrap();
        let options = wgrad::BackwardOptions::default().gradient(cotangent);
        y.backward_with(options).unwrap();
        let last = |values: &[f64]| values[values.len() - 1];
        let y = y.to_f64().unwrap();
        let of_input = x.grad().unwrap().to_f64().unwrap();
        let of_weight = block.parameters()[0].grad().unwrap().to_f64().unwrap();
        let got = [y[0], y[7], last(&y), of_input[3], of_weight[0], last(&of_weight)];
        for (got, expected) in got.into_iter().zip(values.into_iter().chain(gradients)) {
            assert!((got - expected).abs() < 1e-5 * expected.abs().max(1.0), "{name}: {got} instead of {expected}");
        }
    }
}

#[test]
fn depth_is_dropped_as_often_as_asked() {
    let device = Device::reference();
    device.manual_seed(5);
    let x = Tensor::ones(&device, &[1000, 2, 3]).unwrap();
    let rows = StochasticDepth::new(0.2, StochasticDepthMode::Row).unwrap();
    let y = rows.forward(&x).unwrap().to_vec::<f32>().unwrap();
    // A sample is dropped as a whole, and kept ones are scaled up.
    assert!(y.chunks(6).all(|sample| sample == [0.0; 6] || sample == [1.25; 6]));
    let dropped = y.chunks(6).filter(|sample| sample[0] == 0.0).count();
    // Binomial: 200 with a standard deviation of 12.6.
    assert!((137..263).contains(&dropped), "{dropped}");
    let batch = StochasticDepth::new(0.5, StochasticDepthMode::Batch).unwrap();
    let drops = (0..200).filter(|_| {
        let y = batch.forward(&x).unwrap().to_vec::<f32>().unwrap();
        assert!(y.iter().all(|&value| value == y[0]));
        y[0] == 0.0
    });
    assert!((65..135).contains(&drops.count()));
    let all = StochasticDepth::new(1.0, StochasticDepthMode::Row).unwrap();
    assert!(all.forward(&x).unwrap().to_vec::<f32>().unwrap().iter().all(|&value| value == 0.0));
    rows.eval();
    assert!(rows.forward(&x).unwrap().to_vec::<f32>().unwrap().iter().all(|&value| value == 1.0));
    for p in [-0.1, 1.5, f64::NAN] {
        assert!(matches!(StochasticDepth::new(p, StochasticDepthMode::Row), Err(Error::Invalid { .. })));
    }
}

#[test]
fn blocks_that_cannot_be_are_refused() {
    let scope = Scope::new(&Device::reference());
    let says = |error: Error, part: &str| assert!(error.to_string().contains(part), "{error}");
    says(Cbam::new(&scope, 8, 16, 7).err().unwrap(), "8 channels reduced by 16");
    says(Cbam::new(&scope, 8, 0, 7).err().unwrap(), "reduced by 0");
    says(Cbam::new(&scope, 8, 2, 4).err().unwrap(), "kernel_size is 4");
    let still = InvertedResidualOptions::default().stride(0);
    says(InvertedResidual::new(&scope, 4, 8, 4, &still).err().unwrap(), "stride is 0");
    let certain = InvertedResidualOptions::default().stochastic_depth(2.0);
    says(InvertedResidual::new(&scope, 4, 8, 4, &certain).err().unwrap(), "p is 2");
}
