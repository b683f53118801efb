//! Images made by gradient ascent: their parts compared with PyTorch's (`tests/golden/views.py`), and their effects.

use crate::common::adapter;
use crate::common::from_names::rounded;
use crate::views::{apart, images, network};
use wgrad::data::{Mnist, Normalization};
use wgrad::explain::*;
use wgrad::nn::{Conv2d, Flatten, Linear, Module, Relu, Scope, Sequential};
use wgrad::{AvgPool2dOptions, Conv2dOptions, Device, Error, Tensor};

/// Images between 0 and 1.
fn pictures(device: &Device) -> Tensor {
    ((images(device) + 1.0).unwrap() * 0.5).unwrap()
}

#[test]
fn waves_and_priors_are_pytorchs() {
    let devices = [Some((Device::reference(), 1e-9)), adapter().map(|device| (device, 1e-4))];
    for (device, bound) in devices.into_iter().flatten() {
        for size in [[4, 6], [5, 7], [1, 1]] {
            let [height, width] = size;
            let basis = FourierBasis::new(&device, size).unwrap();
            let name = format!("{height}x{width}");
            let spectrum = rounded(&device, &format!("spectrum{name}"), &[1, 2, 2, height, width / 2 + 1]);
            let waves = apart(&basis.images(&spectrum).unwrap(), &format!("irfft2_{name}"));
            let scale = apart(&basis.scale(0.8).unwrap(), &format!("scale_{name}"));
            assert!(waves < bound && scale < bound, "{name}: {waves:.1e} {scale:.1e}");
        }
        let x = images(&device);
        for beta in [1.0, 2.0, 2.5] {
            let apart = apart(&total_variation(&x, beta).unwrap(), &format!("total_variation_{beta:.1}"));
            assert!(apart < bound, "an exponent of {beta}: {apart:.1e}");
        }
        let priors = Priors::default().total_variation(0.3).beta(1.5).norm(0.2).alpha(6.0).blur(0.7).sigma(1.0);
        let apart = apart(&priors.penalty(&x).unwrap(), "penalty");
        assert!(apart < bound, "{apart:.1e}");
    }
}

/// At one size, and at three, between which float32 weights interpolate.
#[test]
fn a_dream_is_pytorchs() {
    let devices = [Some((Device::reference(), [1e-9, 1e-6])), adapter().map(|device| (device, [1e-4; 2]))];
    for (device, [bound_once, bound]) in devices.into_iter().flatten() {
        let net = network(&device);
        let normalization = Normalization::new(&[0.375; 3], &[0.5; 3]).unwrap();
        let options = DeepDreamOptions::default().octave_scale(1.3).lr(0.0625).jitter(0).normalization(normalization);
        let dream = |layer: &str, octaves: usize, steps: usize| {
            let options = options.clone().octaves(octaves).steps(steps);
            deep_dream(&net, &pictures(&device), &Objective::Layer(layer.into()), &options).unwrap()
        };
        let once = apart(&dream("conv3", 1, 3), "dream_once");
        let apart = apart(&dream("relu2", 3, 2), "dream");
        assert!(once < bound_once && apart < bound, "{once:.1e} {apart:.1e}");
    }
}

/// The beginning of the ascent, by the formulas: waves of numbers that the device draws, ImageNet's colours, a sigmoid.
#[test]
fn a_canvas_is_a_sigmoid_of_coloured_waves() {
    let device = Device::reference();
    let net = network(&device);
    let canvas = CanvasOptions::default().std(0.7);
    let options = MaximizeOptions::default().steps(0).canvas(canvas);
    device.manual_seed(4);
    let got = maximize_activation(&net, &Objective::Class(0), [2, 3, 5, 4], &options).unwrap().to_f64().unwrap();
    device.manual_seed(4);
    let drawn = Tensor::normal(&device, &[2, 3, 2, 5, 3], 0.0, 0.7).unwrap();
    let basis = FourierBasis::new(&device, [5, 4]).unwrap();
    let waves = basis.images(&(drawn * basis.scale(1.0).unwrap()).unwrap()).unwrap().to_f64().unwrap();
    const COLOURS: [[f64; 3]; 3] = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]];
    let longest = (0.26f64 * 0.26 + 0.27 * 0.27 + 0.27 * 0.27).sqrt();
    for (at, got) in got.iter().enumerate() {
        let (image, channel, pixel) = (at / 60, at / 20 % 3, at % 20);
        let logit: f64 =
            (0..3).map(|of| COLOURS[channel][of] / longest * waves[image * 60 + of * 20 + pixel] / 4.0).sum();
        assert!((got - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-9, "{at}");
    }
}

/// The optimized images excite a unit, a channel and a class more than any of a sample of digits does.
#[test]
fn maximization_passes_all_digits_of_a_sample() {
    let device = Device::reference();
    device.manual_seed(1);
    let net = Sequential::new(&Scope::new(&device))
        .make_named("conv1", |s| Conv2d::new(s, 1, 4, 5, &Conv2dOptions::default()));
    let net =
        net.unwrap().push(Relu).make_named("conv2", |s| Conv2d::new(s, 4, 8, 3, &Conv2dOptions::default().stride(2)));
    let net = net.unwrap().push(Flatten).make_named("fc", |s| Linear::new(s, 8 * 4 * 4, 10)).unwrap();
    let Mnist { train, .. } = Mnist::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mnist")).unwrap();
    let digits = train.batches(&device, 32).unwrap().next().unwrap().unwrap().images;
    let digits = digits.avg_pool2d(2, &AvgPool2dOptions::default()).unwrap();
    let moves = Transformations::default().jitter(1).scale(0.02).rotation(2.0);
    let normalization = train.normalization().clone();
    let of = |basis| {
        let canvas = CanvasOptions::default().basis(basis).normalization(normalization.clone());
        MaximizeOptions::default().steps(40).lr(0.3).transformations(moves).canvas(canvas)
    };
    let [mean, std] = [normalization.mean(), normalization.std()].map(|values| f64::from(values[0]));
    for (objective, options) in [
        (Objective::Class(3), of(Basis::Fourier { decay: 1.0 })),
        (Objective::channel("conv2", 5), of(Basis::Pixels)),
        (Objective::unit("conv2", 7), of(Basis::Fourier { decay: 1.0 })),
    ] {
        let of_digits = objective.values(&net, &digits).unwrap().to_f64().unwrap();
        let largest = of_digits.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let options = options.priors(Priors::default().total_variation(0.01).norm(0.01).blur(0.1));
        let made = maximize_activation(&net, &objective, [1, 1, 14, 14], &options).unwrap();
        let got = objective.values(&net, &((&made - mean).unwrap() / std).unwrap()).unwrap().to_f64().unwrap()[0];
        assert!(got > largest, "{objective:?}: {got} after {largest}");
        assert!(made.to_f64().unwrap().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }
    assert!(net.parameters().iter().all(|parameter| parameter.grad().is_none()));
}

/// Penalties have an effect: with much total variation the image is flatter.
#[test]
fn priors_hold_the_image_back() {
    let device = Device::reference();
    let net = network(&device);
    let variation = |weight: f64| {
        device.manual_seed(2);
        let options = MaximizeOptions::default().steps(20).transformations(Transformations::none());
        let options = options.priors(Priors::default().total_variation(weight));
        let made = maximize_activation(&net, &Objective::channel("conv3", 1), [1, 3, 9, 8], &options).unwrap();
        total_variation(&made, 2.0).unwrap().to_f64().unwrap()[0]
    };
    let [free, held] = [0.0, 100.0].map(variation);
    assert!(held < 0.1 * free, "{held} {free}");
}

/// Features of the first layer determine the image, so that 15 in 16 parts of their squared length are recovered.
#[test]
fn images_are_reconstructed_from_their_features() {
    let device = Device::reference();
    let (net, x) = (network(&device), pictures(&device));
    let normalization = Normalization::new(&[0.375; 3], &[0.5; 3]).unwrap();
    let canvas = CanvasOptions::default().basis(Basis::Pixels).normalization(normalization);
    let options = ReconstructOptions::default().canvas(canvas).lr(0.3).priors(Priors::default());
    let error = |steps: usize| {
        let made = reconstruct(&net, &x, "relu1", &options.clone().steps(steps)).unwrap();
        let features = |x: &Tensor| {
            let normalized = ((x - 0.375).unwrap() / 0.5).unwrap();
            net.intermediates(&normalized, &["relu1"]).unwrap()[0].to_f64().unwrap()
        };
        let (made_features, features) = (features(&made.images), features(&x));
        let half = features.len() / 2;
        for (image, error) in made.error.to_f64().unwrap().into_iter().enumerate() {
            let part = image * half..(image + 1) * half;
            let pairs = made_features[part.clone()].iter().zip(&features[part.clone()]);
            let away: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
            let length: f64 = features[part].iter().map(|a| a * a).sum();
            assert!((error - (away / length).sqrt()).abs() < 1e-6, "{error}");
        }
        made.error.to_f64().unwrap().into_iter().fold(0.0, f64::max)
    };
    let [before, after] = [0, 250].map(error);
    assert!(before > 0.5 && after < 0.25, "{before} {after}");
}

#[test]
fn wrong_wishes_are_errors() {
    let device = Device::reference();
    let net = network(&device);
    let says = |error: Error, words: &str| {
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    };
    let made = |objective: Objective, options: MaximizeOptions| {
        maximize_activation(&net, &objective, [1, 3, 9, 8], &options.steps(1)).unwrap_err()
    };
    let options = MaximizeOptions::default();
    says(made(Objective::Class(4), options.clone()), "no channel 4");
    says(made(Objective::channel("conv9", 0), options.clone()), "no layer \"conv9\" runs");
    says(made(Objective::Class(0), options.clone().priors(Priors::default().norm(-1.0))), "none may be negative");
    says(made(Objective::Class(0), options.transformations(Transformations::default().scale(1.0))), "scale");
    let none = DeepDreamOptions::default().octaves(0);
    says(deep_dream(&net, &images(&device), &Objective::Layer("conv1".into()), &none).unwrap_err(), "0 octaves");
    says(FourierBasis::new(&device, [0, 3]).unwrap_err(), "no pixels");
    let basis = FourierBasis::new(&device, [4, 4]).unwrap();
    says(basis.images(&rounded(&device, "x", &[1, 1, 2, 4, 4])).unwrap_err(), "expected [N, C, 2, 4, 3]");
}
