//! Networks: shapes, names and numbers of parameters, gradients that reach all of them, and a step of training on the
//! adapter, compared with the reference's and run under the debugging modes.

mod common;

use common::{Random, adapter};
use std::collections::{HashMap, HashSet};
use wgrad::models::{CifarCnn, LeNet5, MobileNetV1, ResNet18, UNet, UNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Debug, Device, DeviceOptions, Result, Tensor, no_grad};

fn trained(model: &dyn Module) -> usize {
    model.parameters().iter().filter(|p| p.is_trained()).map(|p| p.value().numel()).sum()
}

fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// Numbers of trained parameters, counted by PyTorch: ResNet-18's as torchvision has it, those of U-Net and MobileNetV1
/// as their papers have them.
#[test]
fn parameters_are_as_many_as_elsewhere() {
    let scope = Scope::new(&Device::reference());
    let unet = |in_channels, classes, depth, base_width| {
        UNet::new(&scope, &UNetOptions { in_channels, classes, depth, base_width }).unwrap()
    };
    assert_eq!(trained(&LeNet5::new(&scope).unwrap()), 61_706);
    assert_eq!(trained(&CifarCnn::new(&scope).unwrap()), 2_168_362);
    assert_eq!(trained(&ResNet18::cifar(&scope, 10).unwrap()), 11_173_962);
    assert_eq!(trained(&ResNet18::imagenet(&scope, 1000).unwrap()), 11_689_512);
    for (width, count) in [(1.0, 4_231_976), (0.75, 2_585_560), (0.5, 1_331_592), (0.25, 470_072)] {
        assert_eq!(trained(&MobileNetV1::new(&scope, 1000, width).unwrap()), count, "width {width}");
    }
    assert_eq!(trained(&unet(1, 2, 4, 64)), 31_030_658);
    assert_eq!(trained(&unet(3, 2, 3, 16)), 482_050);
}

#[test]
fn resnet_has_torchvisions_names() {
    let model = ResNet18::imagenet(&Scope::new(&Device::reference()), 1000).unwrap();
    let names: Vec<String> = model.parameters().iter().map(|p| p.name().to_string()).collect();
    assert_eq!(names.len(), 122);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 122);
    // The first entries of torchvision's `state_dict`, those of the first block that changes the shape, and the last.
    let block: Vec<&str> = "conv1.weight bn1.weight bn1.bias bn1.running_mean bn1.running_var bn1.num_batches_tracked \
         conv2.weight bn2.weight bn2.bias bn2.running_mean bn2.running_var bn2.num_batches_tracked"
        .split(' ')
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(names[..6], block[..6]);
    let within = |prefix: &str| block.iter().map(|name| format!("{prefix}.{name}")).collect::<Vec<_>>();
    assert_eq!(names[6..18], within("layer1.0"));
    assert_eq!(names[30..42], within("layer2.0"));
    assert_eq!(names[42..44], ["layer2.0.downsample.0.weight", "layer2.0.downsample.1.weight"]);
    assert_eq!(names[120..], ["fc.weight", "fc.bias"]);
}

/// Runs a model forward and backward: the output's shape, a gradient for every trained parameter that is not zero, and
/// other outputs in evaluation where there are running statistics.
fn learns(device: &Device, make: impl Fn(&Scope) -> Result<Box<dyn Module>>, input: [usize; 4], output: &[usize]) {
    device.manual_seed(3);
    let model = make(&Scope::new(device)).unwrap();
    let x = random(device, &input, 5);
    let y = model.forward(&x).unwrap();
    assert_eq!(y.shape()[..], *output);
    y.mul(&random(device, output, 6)).unwrap().sum(&[], false).unwrap().backward().unwrap();
    for parameter in model.parameters().iter().filter(|p| p.is_trained()) {
        let gradient = parameter.grad().unwrap_or_else(|| panic!("no gradient for {}", parameter.name()));
        assert_eq!(gradient.shape(), parameter.value().shape());
        let values = gradient.to_f64().unwrap();
        assert!(values.iter().all(|v| v.is_finite()), "{}", parameter.name());
        assert!(values.iter().any(|&v| v != 0.0), "the gradient of {} is zero", parameter.name());
    }
    let has_statistics = model.parameters().iter().any(|p| !p.is_trained());
    let training = y.to_f64().unwrap();
    model.eval();
    let evaluation = model.forward(&x).unwrap().to_f64().unwrap();
    assert_eq!(training != evaluation, has_statistics);
}

#[test]
fn a_gradient_reaches_every_parameter() {
    let device = Device::reference();
    learns(&device, |scope| Ok(Box::new(CifarCnn::new(scope)?)), [2, 3, 32, 32], &[2, 10]);
    learns(&device, |scope| Ok(Box::new(ResNet18::cifar(scope, 7)?)), [3, 3, 8, 8], &[3, 7]);
    learns(&device, |scope| Ok(Box::new(ResNet18::imagenet(scope, 5)?)), [2, 3, 32, 32], &[2, 5]);
    learns(&device, |scope| Ok(Box::new(MobileNetV1::new(scope, 4, 0.125)?)), [3, 3, 32, 32], &[3, 4]);
    let options = UNetOptions { in_channels: 2, classes: 3, depth: 2, base_width: 4 };
    learns(&device, |scope| Ok(Box::new(UNet::new(scope, &options)?)), [2, 2, 12, 8], &[2, 3, 12, 8]);
}

#[test]
fn what_does_not_fit_is_an_error_with_its_numbers() {
    let device = Device::reference();
    let scope = Scope::new(&device);
    let refused = |result: Result<Tensor>| result.unwrap_err().to_string();
    let unet = UNet::new(&scope, &UNetOptions::default()).unwrap();
    let error = refused(unet.forward(&random(&device, &[1, 3, 12, 16], 1)));
    assert!(error.contains("multiples of 8") && error.contains("12"), "{error}");
    assert!(refused(unet.forward(&random(&device, &[3, 16, 16], 1))).contains("[N, C, H, W]"));
    let narrow = MobileNetV1::new(&scope, 10, 0.01).map(|_| ()).unwrap_err().to_string();
    assert!(narrow.contains("1/32") && narrow.contains("0.01"), "{narrow}");
}

/// A network, and images that are as small as leaves its norms something to average.
struct Network {
    name: &'static str,
    build: fn(&Scope) -> Result<Box<dyn Module>>,
    images: [usize; 4],
}

const LENET: Network =
    Network { name: "LeNet5", build: |scope| Ok(Box::new(LeNet5::new(scope)?)), images: [2, 1, 28, 28] };
const CIFAR: Network =
    Network { name: "CifarCnn", build: |scope| Ok(Box::new(CifarCnn::new(scope)?)), images: [2, 3, 32, 32] };
const RESNET_CIFAR: Network =
    Network { name: "ResNet18::cifar", build: |scope| Ok(Box::new(ResNet18::cifar(scope, 10)?)), images: [3, 3, 8, 8] };
const RESNET_IMAGENET: Network = Network {
    name: "ResNet18::imagenet",
    build: |scope| Ok(Box::new(ResNet18::imagenet(scope, 10)?)),
    images: [3, 3, 48, 48],
};
const MOBILENET: Network = Network {
    name: "MobileNetV1",
    build: |scope| Ok(Box::new(MobileNetV1::new(scope, 10, 0.125)?)),
    images: [4, 3, 40, 40],
};
const UNET: Network = Network {
    name: "UNet",
    build: |scope| {
        let options = UNetOptions { in_channels: 2, classes: 10, depth: 2, base_width: 4 };
        Ok(Box::new(UNet::new(scope, &options)?))
    },
    images: [2, 2, 12, 8],
};

impl Network {
    /// One step of training that nobody looks into, then evaluation: the logits of both, all gradients, and all parameters
    /// and running statistics after the step.
    fn train(
        &self,
        device: &Device,
        optimizer: impl Fn(&dyn Module) -> Result<Box<dyn Optimizer>>,
    ) -> Result<Vec<(String, Tensor)>> {
        device.manual_seed(3);
        let net = (self.build)(&Scope::new(device))?;
        let mut optimizer = optimizer(&*net)?;
        let images = random(device, &self.images, 5).add_scalar(0.3)?;
        let logits = net.forward(&images)?;
        let shape = [&logits.shape()[..1], &logits.shape()[2..]].concat();
        let labels: Vec<i32> = (0..shape.iter().product()).map(|i: usize| (i * 7 % 10) as i32).collect();
        let labels = Tensor::from_slice(device, &labels, &shape)?;
        logits.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
        optimizer.step()?;
        let mut results = vec![("logits".to_string(), logits.detach())];
        for parameter in net.parameters() {
            let name = parameter.name();
            results.extend(parameter.grad().map(|gradient| (format!("gradient of {name}"), gradient)));
            results.push((name.to_string(), parameter.value()));
        }
        net.eval();
        results.push(("logits in evaluation".to_string(), no_grad(|| net.forward(&images))?));
        device.flush()?;
        Ok(results)
    }
}

fn sgd(net: &dyn Module) -> Result<Box<dyn Optimizer>> {
    let options = SgdOptions { momentum: 0.9, weight_decay: 0.01, ..SgdOptions::default() };
    Ok(Box::new(Sgd::new(net.parameters(), options)?))
}

fn adam(net: &dyn Module) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(Adam::new(net.parameters(), AdamOptions::default())?))
}

/// The mean distance of values from others, and the size of those.
fn distance(got: &[f64], expected: &[f64]) -> (f64, f64) {
    let norm = |squares: f64| (squares / expected.len() as f64).sqrt();
    let far = got.iter().zip(expected).map(|(got, expected)| (got - expected).powi(2)).sum();
    (norm(far), norm(expected.iter().map(|value| value * value).sum()))
}

#[test]
fn a_step_on_the_adapter_is_that_of_the_reference() {
    let Some(device) = adapter() else { return };
    for network in [LENET, CIFAR, RESNET_IMAGENET, MOBILENET, UNET] {
        let got = network.train(&device, sgd).unwrap();
        let expected = network.train(&Device::reference(), sgd).unwrap();
        assert_eq!(got.len(), expected.len(), "{}", network.name);
        // Of each layer, the largest gradient. Those of a norm's weight and bias add up alike, but where another norm
        // follows nothing may be left of the one.
        let mut layers: HashMap<String, f64> = HashMap::new();
        let mut distances = Vec::new();
        for ((what, got), (name, expected)) in got.iter().zip(&expected) {
            assert_eq!(what, name, "{}", network.name);
            let (far, size) = distance(&got.to_f64().unwrap(), &expected.to_f64().unwrap());
            let layer = what.rsplit_once('.').map_or(what.as_str(), |(layer, _)| layer).to_string();
            let largest = layers.entry(layer.clone()).or_default();
            *largest = largest.max(size);
            distances.push((what, layer, far));
        }
        for (what, layer, far) in distances {
            // A rectifier that lets through on the one what it doesn't on the other, where its input is about 0, changes
            // a term: in the last layers of ResNet-18 there are twelve of a channel.
            let far = far / layers[&layer];
            assert!(far < 1e-2, "{} {what}: {far} of the largest of {layer}", network.name);
        }
    }
}

#[test]
fn the_debugging_modes_raise_no_alarm() {
    if adapter().is_none() {
        return;
    }
    let (nan, diff) = (Debug { nan: true, diff: false }, Debug { nan: false, diff: true });
    // Of the two that have eleven million parameters each is checked in one way.
    let works: [(Network, &[Debug]); 6] = [
        (LENET, &[nan, diff]),
        (CIFAR, &[nan, diff]),
        (RESNET_CIFAR, &[diff]),
        (RESNET_IMAGENET, &[nan]),
        (MOBILENET, &[nan, diff]),
        (UNET, &[nan, diff]),
    ];
    for ((network, modes), optimizer) in works.iter().zip([adam, sgd].into_iter().cycle()) {
        for &debug in *modes {
            let device = Device::with_options(&DeviceOptions { debug, ..DeviceOptions::default() }).unwrap();
            let result = network.train(&device, optimizer);
            result.unwrap_or_else(|error| panic!("{} with {debug:?}: {error}", network.name));
        }
    }
}
