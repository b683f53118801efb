//! Initial values: their moments and extremes by the formulas of the papers, on 10^6 draws.

use crate::common::own_adapter;
use wgrad::models::{ResNet, ResNetOptions};
use wgrad::nn::init::{self, FanMode, Nonlinearity};
use wgrad::nn::{Linear, Module, Scope};
use wgrad::{DType, Device, Error, Parameter, Result, Tensor};

fn parameter(device: &Device, shape: &[usize]) -> Parameter {
    Parameter::new("weight", &Tensor::full(device, shape, f32::NAN).unwrap())
}

fn values(parameter: &Parameter) -> Vec<f64> {
    parameter.value().to_f64().unwrap()
}

/// Mean, standard deviation, and the mean fourth power in units of the variance's square.
fn moments(values: &[f64]) -> (f64, f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let power = |n| values.iter().map(|value| (value - mean).powi(n)).sum::<f64>() / count;
    (mean, power(2).sqrt(), power(4) / power(2).powi(2))
}

/// A distribution by its mean, standard deviation and kurtosis.
struct Expected {
    mean: f64,
    std: f64,
    kurtosis: f64,
}

/// Compares 10^6 draws with a distribution, within five standard errors (of the kurtosis, of a normal one's).
fn compare(name: &str, drawn: &[f64], expected: &Expected) {
    let count = drawn.len() as f64;
    let (mean, std, kurtosis) = moments(drawn);
    assert!((mean - expected.mean).abs() < 5.0 * expected.std / count.sqrt(), "{name}: mean {mean}");
    let error = ((expected.kurtosis - 1.0) / (4.0 * count)).sqrt();
    assert!((std / expected.std - 1.0).abs() < 5.0 * error, "{name}: standard deviation {std}, not {}", expected.std);
    let error = (24.0 / count).sqrt();
    assert!(
        (kurtosis - expected.kurtosis).abs() < 5.0 * error,
        "{name}: kurtosis {kurtosis}, not {}",
        expected.kurtosis
    );
}

/// Uniform numbers fill their bounds, and never exceed them.
fn fills(name: &str, drawn: &[f64], low: f64, high: f64) {
    let (least, most) = drawn.iter().fold((f64::MAX, f64::MIN), |(least, most), &v| (least.min(v), most.max(v)));
    let (slack, rounding) = (2e-5 * (high - low), 1e-6 * (high - low));
    assert!(least >= low - rounding && most <= high + rounding, "{name}: {least} to {most} of {low} to {high}");
    assert!(least < low + slack && most > high - slack, "{name}: {least} to {most} of {low} to {high}");
}

const NORMAL: f64 = 3.0;
const UNIFORM: f64 = 1.8;

#[test]
fn moments_and_extremes_are_the_formulas() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        device.manual_seed(11);
        // Fans of 200 * 10 and 500 * 10.
        let weight = parameter(&device, &[500, 200, 2, 5]);
        let (inputs, outputs) = (2000.0f64, 5000.0f64);
        let flat = |name: &str, std: f64| {
            let drawn = values(&weight);
            compare(name, &drawn, &Expected { mean: 0.0, std, kurtosis: UNIFORM });
            fills(name, &drawn, -3f64.sqrt() * std, 3f64.sqrt() * std);
        };
        let bell =
            |name: &str, std: f64| compare(name, &values(&weight), &Expected { mean: 0.0, std, kurtosis: NORMAL });

        init::uniform(&weight, -1.0, 3.0).unwrap();
        compare("uniform", &values(&weight), &Expected { mean: 1.0, std: 4.0 / 12f64.sqrt(), kurtosis: UNIFORM });
        fills("uniform", &values(&weight), -1.0, 3.0);
        init::normal(&weight, -2.0, 0.5).unwrap();
        compare("normal", &values(&weight), &Expected { mean: -2.0, std: 0.5, kurtosis: NORMAL });

        init::xavier_uniform(&weight, 1.5).unwrap();
        flat("xavier_uniform", 1.5 * (2.0 / (inputs + outputs)).sqrt());
        init::xavier_normal(&weight, 1.5).unwrap();
        bell("xavier_normal", 1.5 * (2.0 / (inputs + outputs)).sqrt());
        // PyTorch's calculate_gain.
        for (nonlinearity, gain) in [
            (Nonlinearity::Linear, 1.0),
            (Nonlinearity::Sigmoid, 1.0),
            (Nonlinearity::Tanh, 1.666_666_666_666_666_7),
            (Nonlinearity::Relu, std::f64::consts::SQRT_2),
            (Nonlinearity::LeakyRelu(0.2), 1.386_750_490_563_073),
            (Nonlinearity::Selu, 0.75),
        ] {
            assert!((nonlinearity.gain() - gain).abs() < 1e-15, "{nonlinearity:?}");
        }
        init::kaiming_uniform(&weight, FanMode::FanIn, Nonlinearity::LeakyRelu(0.2)).unwrap();
        flat("kaiming_uniform", 1.386_750_490_563_073 / inputs.sqrt());
        init::kaiming_uniform(&weight, FanMode::FanOut, Nonlinearity::Tanh).unwrap();
        flat("kaiming_uniform", 5.0 / 3.0 / outputs.sqrt());
        init::kaiming_normal(&weight, FanMode::FanOut, Nonlinearity::Relu).unwrap();
        bell("kaiming_normal", (2.0 / outputs).sqrt());
        init::kaiming_normal(&weight, FanMode::FanIn, Nonlinearity::Selu).unwrap();
        bell("kaiming_normal", 0.75 / inputs.sqrt());
    }
}

/// Moments of the normal distribution truncated at two standard deviations on both sides, and at 0 and 1 on one (the integrals in
/// closed form): mean, standard deviation, kurtosis.
#[test]
fn truncated_normals_have_the_moments_of_what_is_left() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        device.manual_seed(12);
        let weight = parameter(&device, &[1000, 1000]);
        init::trunc_normal(&weight, 3.0, 0.02, 2.96, 3.04).unwrap();
        let std = 0.02 * 0.879_625_661;
        compare("two sides", &values(&weight), &Expected { mean: 3.0, std, kurtosis: 2.365_536_7 });
        fills("two sides", &values(&weight), 2.96, 3.04);
        init::trunc_normal(&weight, 0.0, 1.0, 0.0, 1.0).unwrap();
        compare(
            "one side",
            &values(&weight),
            &Expected { mean: 0.459_862_23, std: 0.282_226_55, kurtosis: 1.872_768_8 },
        );
        fills("one side", &values(&weight), 0.0, 1.0);
        // Bounds that are far away leave the distribution unchanged, and no draw is on them.
        init::trunc_normal(&weight, 0.0, 0.02, -2.0, 2.0).unwrap();
        compare("vision transformers", &values(&weight), &Expected { mean: 0.0, std: 0.02, kurtosis: NORMAL });
        assert!(values(&weight).iter().all(|value| value.abs() < 0.02 * 6.0));
    }
}

/// Products of the rows, or of the columns if those are fewer, are those of unit vectors.
fn is_orthogonal(values: &[f64], rows: usize, columns: usize, gain: f64) {
    let vector =
        |at: usize, i: usize| if rows <= columns { values[at * columns + i] } else { values[i * columns + at] };
    for a in 0..rows.min(columns) {
        for b in 0..=a {
            let product: f64 = (0..rows.max(columns)).map(|i| vector(a, i) * vector(b, i)).sum();
            let expected = if a == b { gain * gain } else { 0.0 };
            assert!((product - expected).abs() < 1e-6 * gain * gain, "{a} and {b} of {rows} x {columns}: {product}");
        }
    }
}

#[test]
fn orthogonal_weights_are_orthogonal_and_equally_likely() {
    let device = Device::reference();
    device.manual_seed(13);
    for (shape, rows, columns) in [
        (&[40, 8, 3, 3][..], 40, 72),
        (&[90, 5, 3][..], 90, 15),
        (&[33, 33][..], 33, 33),
        (&[1, 7][..], 1, 7),
        (&[7, 1][..], 7, 1),
        (&[0, 4][..], 0, 4),
    ] {
        let weight = parameter(&device, shape);
        init::orthogonal(&weight, 1.5).unwrap();
        is_orthogonal(&values(&weight), rows, columns, 1.5);
    }
    // A random rotation's entries have the variance 1 / n and no direction; its determinant is as often -1 as 1.
    let (mut entries, mut positive) = (Vec::new(), 0);
    for _ in 0..2000 {
        let weight = parameter(&device, &[2, 2]);
        init::orthogonal(&weight, 1.0).unwrap();
        let w = values(&weight);
        positive += usize::from(w[0] * w[3] - w[1] * w[2] > 0.0);
        entries.extend(w);
    }
    let (mean, std, _) = moments(&entries);
    assert!(mean.abs() < 5.0 * std / 8000f64.sqrt() && (std * std - 0.5).abs() < 0.02, "{mean} {std}");
    assert!((850..1150).contains(&positive), "{positive} of 2000");
}

#[test]
fn dirac_filters_pass_their_input_on() {
    let device = Device::reference();
    let x = Tensor::randn(&device, &[2, 6, 5, 7]).unwrap();
    // As many filters as channels, in two groups; more filters, the further ones of which are 0; an even kernel's middle is past
    // its half.
    for (filters, groups, kernel, padding) in [(6, 2, [3, 5], [1, 2]), (8, 1, [1, 1], [0, 0])] {
        let weight = parameter(&device, &[filters, 6 / groups, kernel[0], kernel[1]]);
        init::dirac(&weight, groups).unwrap();
        let options = wgrad::Conv2dOptions::default().padding(wgrad::Padding::Explicit(padding)).groups(groups);
        let y = x.conv2d(&weight.value(), None, &options).unwrap();
        assert_eq!(y.narrow(1, 0, 6).unwrap().to_f64().unwrap(), x.to_f64().unwrap());
        assert!(y.narrow(1, 6, filters - 6).unwrap().to_f64().unwrap().iter().all(|&value| value == 0.0));
    }
    // torch.nn.init.dirac_(torch.empty(4, 1, 2), groups=2)
    let weight = parameter(&device, &[4, 1, 2]);
    init::dirac(&weight, 2).unwrap();
    assert_eq!(values(&weight), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let matrix = parameter(&device, &[2, 3]);
    init::eye(&matrix).unwrap();
    assert_eq!(values(&matrix), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn sparse_columns_have_so_many_zeros() {
    for device in [Some(Device::reference()), own_adapter()].into_iter().flatten() {
        device.manual_seed(14);
        let weight = parameter(&device, &[101, 1000]);
        init::sparse(&weight, 0.35, 0.5).unwrap();
        let drawn = values(&weight);
        let mut rows = vec![0; 101];
        for column in 0..1000 {
            let zeros = (0..101).filter(|row| drawn[row * 1000 + column] == 0.0);
            zeros.clone().for_each(|row| rows[row] += 1);
            // 35.35, rounded up.
            assert_eq!(zeros.count(), 36, "column {column}");
        }
        // Each row is equally likely: binomial counts of 1000 with a probability of 36 / 101.
        assert!(rows.iter().all(|&count| (356 - 85..356 + 85).contains(&count)), "{rows:?}");
        let others: Vec<f64> = drawn.into_iter().filter(|&value| value != 0.0).collect();
        let (mean, std, _) = moments(&others);
        assert!(mean.abs() < 0.01 && (std - 0.5).abs() < 0.01, "{mean} {std}");
        let empty = parameter(&device, &[3, 0]);
        init::sparse(&empty, 1.0, 0.5).unwrap();
    }
}

#[test]
fn residual_blocks_start_as_their_shortcuts() {
    let device = Device::reference();
    let options = ResNetOptions::resnet18_cifar().zero_init_residual(true);
    let net = ResNet::new(&Scope::new(&device), &options).unwrap();
    let of_norms = net.parameters().into_iter().filter(|p| p.name().contains("bn") && p.name().ends_with("weight"));
    for weight in of_norms {
        let expected = if weight.name().ends_with("bn2.weight") { 0.0 } else { 1.0 };
        assert!(values(&weight).iter().all(|&value| value == expected), "{}", weight.name());
    }
    let error = init::zero_last_norm(&Linear::new(&Scope::new(&device), 2, 2).unwrap()).unwrap_err();
    assert!(error.to_string().contains("no norm"), "{error}");
}

#[test]
fn half_precision_and_constants() {
    let device = Device::reference();
    let half = Tensor::zeros(&device, &[50, 40]).unwrap().to_dtype(DType::F16).unwrap();
    let weight = Parameter::new("weight", &half);
    init::kaiming_normal(&weight, FanMode::FanIn, Nonlinearity::Relu).unwrap();
    assert_eq!(weight.value().dtype(), DType::F16);
    assert!((moments(&values(&weight)).1 / (2f64 / 40.0).sqrt() - 1.0).abs() < 0.1);
    init::constant(&weight, 0.25).unwrap();
    assert!(values(&weight).iter().all(|&value| value == 0.25));
    init::ones(&weight).unwrap();
    assert!(values(&weight).iter().all(|&value| value == 1.0));
    init::zeros(&weight).unwrap();
    assert!(values(&weight).iter().all(|&value| value == 0.0));
}

#[test]
fn bad_numbers_are_refused() {
    let device = Device::reference();
    let weight = parameter(&device, &[4, 3]);
    let bias = parameter(&device, &[4]);
    let refused = |result: Result<()>, part: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(part), "{error}");
    };
    refused(init::uniform(&weight, 1.0, 0.0), "from 1 to 0");
    refused(init::uniform(&weight, f64::NAN, 0.0), "NaN");
    refused(init::normal(&weight, 0.0, -1.0), "std is -1");
    refused(init::normal(&weight, f64::INFINITY, 1.0), "mean is inf");
    refused(init::trunc_normal(&weight, 0.0, 1.0, 2.0, 1.0), "from 2 to 1");
    refused(init::trunc_normal(&weight, 0.0, 1.0, 8.0, 9.0), "next to nothing");
    refused(init::xavier_normal(&bias, 1.0), "[4]");
    refused(init::xavier_uniform(&weight, f64::NAN), "gain is NaN");
    refused(init::kaiming_uniform(&bias, FanMode::FanIn, Nonlinearity::Relu), "two dimensions");
    refused(init::kaiming_normal(&weight, FanMode::FanIn, Nonlinearity::LeakyRelu(f64::NAN)), "gain is NaN");
    refused(init::orthogonal(&bias, 1.0), "two dimensions");
    refused(init::dirac(&weight, 1), "[out, in, ..kernel]");
    refused(init::dirac(&parameter(&device, &[4, 2, 3]), 3), "groups 3");
    refused(init::eye(&bias), "[4]");
    refused(init::sparse(&weight, 1.5, 0.01), "sparsity is 1.5");
    refused(init::sparse(&bias, 0.5, 0.01), "matrix");
    let count = Parameter::buffer("count", &Tensor::scalar(&device, 3i32).unwrap());
    assert!(matches!(init::zeros(&count), Err(Error::WrongDType { .. })));
    assert_eq!(count.value().item::<i32>().unwrap(), 3);
}
