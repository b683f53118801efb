//! Interval bounds: values and gradients of PyTorch's formulas (`tests/golden/robust_bounds.py`), and no sample beyond them.

use super::{images, normalization};
use crate::common::adapter;
use crate::common::from_names::{digest, fill};
use serde_json::Value;
use wgrad::data::Batch;
use wgrad::models::{ModelOptions, by_name};
use wgrad::nn::{self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Linear, Module, Scope};
use wgrad::robust::*;
use wgrad::train::{Supervised, Task};
use wgrad::{
    AttentionOptions, Conv2dOptions, Device, DeviceOptions, Error, MaxPool2dOptions, Noop, Result, Tensor, checkpoint,
};

const CLOSE: f64 = 1e-9;

struct BoundNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    fc: Linear,
}

impl BoundNet {
    fn new(device: &Device) -> BoundNet {
        let (s, padded) = (Scope::new(device), Conv2dOptions::default().padding(1));
        let net = BoundNet {
            conv1: Conv2d::new(&s.at("conv1"), 2, 4, 3, &padded).unwrap(),
            bn1: BatchNorm2d::new(&s.at("bn1"), 4, &BatchNormLayerOptions::default()).unwrap(),
            conv2: Conv2d::new(&s.at("conv2"), 4, 4, 3, &padded.groups(2)).unwrap(),
            fc: Linear::new(&s.at("fc"), 36, 4).unwrap(),
        };
        fill(&net, device);
        net
    }
}

impl Module for BoundNet {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.bn1.forward(&self.conv1.forward(x)?)?.leaky_relu(0.1)?;
        // A residual connection, which the gradient computes again.
        let z = checkpoint(|y: &Tensor| y + self.conv2.forward(y)?.hardtanh(-0.5, 0.7)?, &y)?.elu(1.0)?;
        let p = z.max_pool2d(2, &MaxPool2dOptions::default())?;
        let (first, rest) = (p.narrow(1, 0, 2)?, p.narrow(1, 2, 2)?);
        let second = (rest.abs()? - first.square()?)?;
        let q = Tensor::cat(&[&(&first * first.sigmoid()?)?, &second], 1)?;
        self.fc.forward(&q.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, bn1, conv2, fc]
    }
}

/// Attention over the pixels, between activations that fall before they grow.
struct AttendedNet {
    conv: Conv2d,
    query: Linear,
    key: Linear,
    value: Linear,
    fc: Linear,
}

impl AttendedNet {
    fn new(device: &Device) -> AttendedNet {
        let s = Scope::new(device);
        let linear = |name: &str, inputs, outputs| Linear::new(&s.at(name), inputs, outputs).unwrap();
        let net = AttendedNet {
            conv: Conv2d::new(&s.at("conv"), 2, 4, 3, &Conv2dOptions::default().padding(1)).unwrap(),
            query: linear("query", 4, 6),
            key: linear("key", 4, 6),
            value: linear("value", 4, 5),
            fc: linear("fc", 5, 4),
        };
        fill(&net, device);
        net
    }
}

impl Module for AttendedNet {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.conv.forward(x)?.silu()?.flatten(2, -1)?.transpose(1, 2)?;
        let (query, key) = (self.query.forward(&y)?.gelu()?, self.key.forward(&y)?.mish()?);
        let value = self.value.forward(&y)?;
        let seen = query.scaled_dot_product_attention(&key, &value, &AttentionOptions::default())?;
        self.fc.forward(&seen.mean(1)?)?.log_softmax(1)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, query, key, value, fc]
    }
}

/// A list, or a number.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(_) => serde_json::from_value(value.clone()).unwrap(),
        one => vec![one.as_f64().unwrap()],
    }
}

fn all_golden() -> Value {
    serde_json::from_str(include_str!("../../golden/robust_bounds.json")).unwrap()
}

fn golden(name: &str) -> Vec<f64> {
    numbers(&all_golden()[name])
}

fn gradient(name: &str) -> Vec<f64> {
    numbers(&all_golden()["gradients"][name])
}

fn close(what: &str, got: &[f64], expected: &[f64]) {
    let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= CLOSE * scale, "{what}: {got} {expected}");
    }
}

#[test]
fn bounds_are_those_of_the_formulas_and_no_sample_passes_them() {
    let (device, normalization) = (Device::reference(), normalization());
    let model = BoundNet::new(&device);
    let net = Classifier::new(&model).normalization(&normalization);
    let x = images(&device);
    let moved = |by: f64| x.add_scalar(by).unwrap().clamp(Some(0.0), Some(1.0)).unwrap();
    // The network is in training mode, and its bounds are those of evaluation.
    let bounds = net.bounds(&Interval { lower: moved(-0.03), upper: moved(0.03) }).unwrap();
    let [lower, upper] = [&bounds.lower, &bounds.upper].map(|bound| bound.to_f64().unwrap());
    close("lower", &lower, &golden("lower"));
    close("upper", &upper, &golden("upper"));
    for (bounds, samples) in
        [lower.iter().zip(&upper)].into_iter().flatten().zip(golden("least").iter().zip(&golden("most")))
    {
        assert!(bounds.0 <= samples.0 && samples.1 <= bounds.1, "{bounds:?} {samples:?}");
    }
    assert!(model.bn1.running.as_ref().unwrap().num_batches_tracked.value().to_f64().unwrap() == [0.0]);
    let classes = Tensor::from_slice(&device, &[1, 3, 0], &[3]).unwrap();
    close("margins", &net.margins(&x, &classes, 0.03).unwrap().to_f64().unwrap(), &golden("margins"));
    // At a point, margins are those of the logits, and the answers are certain.
    model.eval();
    let logits = net.logits(&x).unwrap();
    let at_point = net.margins(&x, &classes, 0.0).unwrap().to_f64().unwrap();
    let values = logits.to_f64().unwrap();
    let expected: Vec<f64> = (0..12).map(|at| values[at / 4 * 4 + [1, 3, 0][at / 4]] - values[at]).collect();
    close("margins at a point", &at_point, &expected);
    let answers = logits.argmax(1).unwrap();
    let certain = |eps: f64| net.certifies(&x, &answers, eps).unwrap().to_f64().unwrap();
    assert_eq!((certain(0.0), certain(0.5)), (vec![1.0; 3], vec![0.0; 3]));
}

/// On the reference and on the adapter, whose logits of one part in 10^30 must take no part in a softmax either.
#[test]
fn bounds_pass_softmaxes_attention_and_activations_with_a_minimum() {
    let expected = &all_golden()["attended"];
    let devices = [Some((Device::reference(), CLOSE)), adapter().map(|device| (device, 1e-4))];
    for (device, tolerance) in devices.into_iter().flatten() {
        let model = AttendedNet::new(&device);
        let normalization = normalization();
        let net = Classifier::new(&model).normalization(&normalization);
        let x = images(&device);
        let moved = |by: f64| x.add_scalar(by).unwrap().clamp(Some(0.0), Some(1.0)).unwrap();
        let bounds = net.bounds(&Interval { lower: moved(-0.003), upper: moved(0.003) }).unwrap();
        let [lower, upper] = [&bounds.lower, &bounds.upper].map(|bound| bound.to_f64().unwrap());
        for (got, name) in [(&lower, "lower"), (&upper, "upper")] {
            let apart = got.iter().zip(numbers(&expected[name])).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
            assert!(apart <= tolerance, "{name}: {apart}");
        }
        let samples = numbers(&expected["least"]).into_iter().zip(numbers(&expected["most"]));
        for (bounds, samples) in lower.iter().zip(&upper).zip(samples) {
            assert!(*bounds.0 <= samples.0 && samples.1 <= *bounds.1, "{bounds:?} {samples:?}");
        }
        // At a point, bounds are the answer itself; gradients of wide ones are numbers.
        let (at_point, answer) =
            (net.bounds(&Interval { lower: x.clone(), upper: x.clone() }).unwrap(), net.logits(&x));
        let apart = (at_point.lower - answer.unwrap()).unwrap().abs().unwrap().amax_all().unwrap().to_f64().unwrap()[0];
        assert!(apart <= tolerance, "{apart}");
        let wide = Interval { lower: x.zeros_like().unwrap(), upper: x.ones_like().unwrap() };
        let wide = net.bounds(&wide).unwrap();
        (wide.upper - wide.lower).unwrap().sum_all().unwrap().backward().unwrap();
        for (name, parameter) in model.named_parameters() {
            assert!(parameter.grad().unwrap().to_f64().unwrap().iter().all(|slope| slope.is_finite()), "{name}");
        }
    }
}

#[test]
fn training_on_bounds_is_the_loss_of_gowal() {
    let (device, normalization) = (Device::reference(), normalization());
    let net = BoundNet::new(&device);
    net.eval();
    let options = IntervalTrainingOptions::default().eps(0.06).kappa(0.2).warmup(1).ramp(4);
    // After two more batches half of the ramp is over.
    let mut task = RobustTraining::new(Supervised::classification(), IntervalTraining::new(&options));
    task = task.normalization(&normalization);
    let x = Classifier::new(&net).normalization(&normalization).normalized(&images(&device)).unwrap();
    let batch = Batch { images: x, labels: Tensor::from_slice(&device, &[1, 3, 0], &[3]).unwrap() };
    for _ in 0..3 {
        task.forward(&net, &batch).unwrap();
    }
    let loss = task.forward(&net, &batch).unwrap().loss;
    close("loss", &loss.to_f64().unwrap(), &golden("loss"));
    loss.backward().unwrap();
    for (name, parameter) in net.named_parameters() {
        if parameter.requires_grad() {
            close(&name, &digest(&name, &parameter.grad().unwrap()), &gradient(&name));
        }
    }
}

/// Bounds work for the networks of the zoo without layer norms: recorded on a device that computes nothing.
#[test]
fn bounds_pass_networks_of_the_zoo() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let x = Tensor::zeros(&device, &[2, 3, 64, 64]).unwrap();
    for name in [
        "resnet18",
        "vgg11_bn",
        "densenet121",
        "googlenet",
        "mobilenet_v2",
        "squeezenet1_1",
        "shufflenet_v2_x1_0",
        "efficientnet_b0",
        "mobilenet_v3_small",
    ] {
        let net = by_name(name, &Scope::new(&device), &ModelOptions::default().classes(10)).unwrap();
        let bounds = Classifier::new(&*net).bounds(&Interval { lower: x.clone(), upper: x.clone() }).unwrap();
        assert_eq!(
            (bounds.lower.shape()[..].to_vec(), bounds.upper.shape()[..].to_vec()),
            (vec![2, 10], vec![2, 10]),
            "{name}"
        );
    }
}

struct Divided(Linear);

impl Module for Divided {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(&(x / x.sum_keepdim(1)?)?.flatten(1, -1)?)
    }
}

#[test]
fn what_bounds_do_not_pass_is_an_error() {
    let device = Device::reference();
    let x = images(&device);
    let model = Divided(Linear::new(&Scope::new(&device), 84, 4).unwrap());
    let error = Classifier::new(&model).bounds(&Interval { lower: x.clone(), upper: x.clone() }).unwrap_err();
    assert!(error.to_string().contains("div"), "{error}");
    let net = BoundNet::new(&device);
    let classes = Tensor::from_slice(&device, &[1, 3, 0], &[3]).unwrap();
    let error = Classifier::new(&net).margins(&x, &classes, -0.1).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("eps -0.1"), "{error}");
}
