//! Networks: shapes, names and numbers of parameters, gradients that reach all of them, and a step of training on the
//! adapter, compared with the reference's and run under the debugging modes.

use crate::common::{Random, adapter, modules};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use wgrad::models::segmentation::{UNet, UNetOptions, UNetUpsampling};
use wgrad::models::{CifarCnn, LeNet5, MobileNetV1, ResNet, ResNetOptions};
use wgrad::nn::{self, Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::{
    Conv2dOptions, CrossEntropyOptions, DType, Debug, Device, DeviceOptions, MaxPool2dOptions, Parameter, Result,
    Tensor, no_grad,
};

fn trained(model: &dyn Module) -> usize {
    model.parameters().iter().filter(|p| !p.is_buffer()).map(|p| p.value().numel()).sum()
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
    let unet = |options: UNetOptions| UNet::new(&scope, &options).unwrap();
    let paper = UNetOptions::default().channels(1).depth(4).base_width(64);
    assert_eq!(trained(&LeNet5::new(&scope).unwrap()), 61_706);
    assert_eq!(trained(&CifarCnn::new(&scope).unwrap()), 2_168_362);
    assert_eq!(trained(&ResNet::new(&scope, &ResNetOptions::resnet18_cifar().classes(10)).unwrap()), 11_173_962);
    assert_eq!(trained(&ResNet::new(&scope, &ResNetOptions::resnet18().classes(1000)).unwrap()), 11_689_512);
    for (width, count) in [(1.0, 4_231_976), (0.75, 2_585_560), (0.5, 1_331_592), (0.25, 470_072)] {
        assert_eq!(trained(&MobileNetV1::new(&scope, 1000, width).unwrap()), count, "width {width}");
    }
    assert_eq!(trained(&unet(paper)), 31_030_658);
    assert_eq!(trained(&unet(UNetOptions::default())), 482_050);
}

#[test]
fn resnet_has_torchvisions_names() {
    let model = ResNet::new(&Scope::new(&Device::reference()), &ResNetOptions::resnet18().classes(1000)).unwrap();
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

#[test]
fn the_tree_of_modules_gives_parameters_their_names() {
    for network in ALL {
        let net = (network.build)(&Scope::new(&Device::reference())).unwrap();
        let modules = net.named_modules();
        let of_module = |(place, module): &(String, &dyn Module)| -> Vec<(String, String)> {
            let own = module.own_parameters().into_iter().map(|p| p.name().to_string());
            own.map(|name| (format!("{place}.{}", name.rsplit('.').next().unwrap()), name)).collect()
        };
        let names: Vec<(String, String)> = modules.iter().flat_map(of_module).collect();
        for (by_tree, name) in &names {
            assert_eq!(by_tree, name, "{}", network.name);
        }
        let all: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), all, "{}", network.name);
    }
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
    let unet = UNet::new(&scope, &UNetOptions::default().upsampling(UNetUpsampling::Resized)).unwrap();
    assert!(refused(unet.forward(&random(&device, &[1, 3, 9, 7], 1))).contains("at least 8"));
    let deep = UNet::new(&scope, &UNetOptions::default().depth(64)).map(|_| ()).unwrap_err().to_string();
    assert!(deep.contains("depth 64"), "{deep}");
    let narrow = MobileNetV1::new(&scope, 10, 0.01).map(|_| ()).unwrap_err().to_string();
    assert!(narrow.contains("1/32") && narrow.contains("0.01"), "{narrow}");
}

/// A network, images that are as small as leaves its norms something to average, and the logits' shape.
struct Network {
    name: &'static str,
    build: fn(&Scope) -> Result<Box<dyn Module>>,
    images: [usize; 4],
    logits: &'static [usize],
    /// Allowed distance of a result on the adapter from the reference's, relative to their size: the one measured on llvmpipe and
    /// a tenth. The images leave no rectifier an input so close to 0 that roundings decide.
    apart: f64,
}

const LENET: Network = Network {
    name: "LeNet5",
    build: |scope| Ok(Box::new(LeNet5::new(scope)?)),
    images: [2, 1, 28, 28],
    logits: &[2, 10],
    apart: 6.8e-7,
};
const CIFAR: Network = Network {
    name: "CifarCnn",
    build: |scope| Ok(Box::new(CifarCnn::new(scope)?)),
    images: [2, 3, 32, 32],
    logits: &[2, 10],
    apart: 3.8e-6,
};
const RESNET_CIFAR: Network = Network {
    name: "resnet18 cifar",
    build: |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18_cifar().classes(10))?)),
    images: [2, 3, 9, 9],
    logits: &[2, 10],
    apart: 1.06e-5,
};
const RESNET_IMAGENET: Network = Network {
    name: "resnet18 imagenet",
    build: |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18().classes(10))?)),
    images: [2, 3, 33, 33],
    logits: &[2, 10],
    apart: 1.42e-5,
};
const MOBILENET: Network = Network {
    name: "MobileNetV1",
    build: |scope| Ok(Box::new(MobileNetV1::new(scope, 10, 0.125)?)),
    images: [3, 3, 33, 33],
    logits: &[3, 10],
    apart: 6.7e-5,
};
const UNET: Network = Network {
    name: "UNet",
    build: |scope| {
        let options = UNetOptions::default().channels(2).classes(10).depth(2).base_width(4);
        Ok(Box::new(UNet::new(scope, &options)?))
    },
    images: [2, 2, 12, 8],
    logits: &[2, 10, 12, 8],
    apart: 5.2e-7,
};
const ALL: [Network; 6] = [LENET, CIFAR, RESNET_CIFAR, RESNET_IMAGENET, MOBILENET, UNET];

/// Appended to the names of running statistics after evaluation.
const AFTERWARDS: &str = " afterwards";

/// Values by name.
type Results = Vec<(String, Vec<f64>)>;

impl Network {
    /// One step of training without probes, then evaluation: the logits of both, all gradients, and all parameters and running
    /// statistics after the step.
    fn train(
        &self,
        device: &Device,
        optimizer: impl Fn(&dyn Module) -> Result<Box<dyn Optimizer>>,
    ) -> Result<Vec<(String, Tensor)>> {
        device.manual_seed(3);
        let net = (self.build)(&Scope::new(device))?;
        let mut optimizer = optimizer(&*net)?;
        let images = random(device, &self.images, 8).add_scalar(0.3)?;
        let logits = net.forward(&images)?;
        assert_eq!(logits.shape()[..], *self.logits, "{}", self.name);
        let shape = [&self.logits[..1], &self.logits[2..]].concat();
        let labels: Vec<i32> = (0..shape.iter().product()).map(|i: usize| (i * 7 % 10) as i32).collect();
        let labels = Tensor::from_slice(device, &labels, &shape)?;
        logits.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
        optimizer.step()?;
        let mut results = vec![("logits".to_string(), logits.detach())];
        for parameter in net.parameters() {
            let name = parameter.name();
            assert_eq!(parameter.grad().is_some(), parameter.requires_grad(), "{} {name}", self.name);
            results.extend(parameter.grad().map(|gradient| (format!("gradient of {name}"), gradient)));
            results.push((name.to_string(), parameter.value()));
        }
        net.eval();
        results.push(("logits in evaluation".to_string(), no_grad(|| net.forward(&images))?));
        for buffer in net.parameters().iter().filter(|parameter| parameter.is_buffer()) {
            results.push((format!("{}{AFTERWARDS}", buffer.name()), buffer.value()));
        }
        device.flush()?;
        Ok(results)
    }

    /// The values of [`train`](Network::train) with SGD.
    fn results(&self, device: &Device) -> Results {
        let results = self.train(device, sgd).and_then(|results| {
            results.into_iter().map(|(name, tensor)| Ok((name, tensor.to_f64()?))).collect::<Result<Results>>()
        });
        results.unwrap_or_else(|error| panic!("{} on {device:?}: {error}", self.name))
    }

    /// Each gradient changes something, and evaluation leaves the running statistics unchanged.
    fn check(&self, results: &Results) {
        for (name, values) in results {
            assert!(values.iter().all(|value| value.is_finite()), "{} {name}", self.name);
            let is_zero = values.iter().all(|&value| value == 0.0);
            assert!(!is_zero || !name.starts_with("gradient"), "{} {name} is zero", self.name);
        }
        let values: HashMap<&str, &Vec<f64>> = results.iter().map(|(name, values)| (name.as_str(), values)).collect();
        for (name, after) in results.iter().filter_map(|(name, after)| Some((name.strip_suffix(AFTERWARDS)?, after))) {
            assert_eq!(values[name], after, "{} {name} after evaluation", self.name);
        }
    }

    /// The result that is furthest from the reference's, in the norm over each tensor, if that is too far.
    fn difference(&self, got: &Results, expected: &Results) -> Option<String> {
        assert_eq!(got.len(), expected.len(), "{}", self.name);
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let size = |values: &[f64]| norm(&mut values.iter().copied()) / (values.len() as f64).sqrt();
        // The gradients of a norm's weight and bias add up similar terms, but if another norm follows, one of them may nearly
        // vanish: it is measured against the larger.
        let layer = |name: &str| name.rsplit_once('.').map_or(name, |(layer, _)| layer).to_string();
        let mut layers: HashMap<String, f64> = HashMap::new();
        for (name, expected) in expected {
            let largest = layers.entry(layer(name)).or_default();
            *largest = largest.max(size(expected));
        }
        let mut most = (0.0, "");
        for ((name, got), (expected_name, expected)) in got.iter().zip(expected) {
            assert_eq!(name, expected_name, "{}", self.name);
            let differences: Vec<f64> = got.iter().zip(expected).map(|(got, expected)| got - expected).collect();
            let scale = if name.starts_with("gradient") { layers[&layer(name)] } else { size(expected) };
            let apart = size(&differences) / scale;
            most = if apart > most.0 { (apart, name) } else { most };
        }
        let (apart, name) = most;
        (apart > self.apart).then(|| format!("{} {name}: {apart} of its size, not {}", self.name, self.apart))
    }
}

fn sgd(net: &dyn Module) -> Result<Box<dyn Optimizer>> {
    let options = SgdOptions::default().momentum(0.9).weight_decay(0.01);
    Ok(Box::new(Sgd::new(net.parameters(), options)?))
}

fn adam(net: &dyn Module) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(Adam::new(net.parameters(), AdamOptions::default())?))
}

#[test]
fn a_step_on_the_adapter_is_that_of_the_reference() {
    let mut wrong = Vec::new();
    for network in ALL {
        let (expected, got) = rayon::join(
            || network.results(&Device::reference()),
            // One device for all, which compiles for one what the others run too.
            || adapter().map(|device| network.results(&device)),
        );
        network.check(&expected);
        if let Some(got) = got {
            wrong.extend(network.difference(&got, &expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_debugging_modes_raise_no_alarm() {
    if adapter().is_none() {
        return;
    }
    let (nan, diff) = (Debug { nan: true, diff: false }, Debug { nan: false, diff: true });
    // The two with eleven million parameters are each checked in one way only.
    let works: [(Network, &[Debug]); 6] = [
        (LENET, &[nan, diff]),
        (CIFAR, &[nan]),
        (RESNET_CIFAR, &[diff]),
        (RESNET_IMAGENET, &[nan]),
        (MOBILENET, &[nan, diff]),
        (UNET, &[nan, diff]),
    ];
    for ((network, modes), optimizer) in works.iter().zip([adam, sgd].into_iter().cycle()) {
        for &debug in *modes {
            let device = Device::with_options(&DeviceOptions::default().debug(debug)).unwrap();
            let result = network.train(&device, optimizer);
            result.unwrap_or_else(|error| panic!("{} with {debug:?}: {error}", network.name));
        }
    }
}

/// A network in mixed precision: parameters of f32, which each pass casts to f16.
struct Mixed {
    filters: Parameter,
    weight: Parameter,
    bias: Parameter,
}

impl Mixed {
    fn new(scope: &Scope) -> Result<Mixed> {
        Ok(Mixed {
            filters: scope.uniform("filters", &[16, 3, 3, 3], 27)?,
            weight: scope.uniform("weight", &[16 * 16 * 16, 64], 4096)?,
            bias: scope.uniform("bias", &[64], 4096)?,
        })
    }
}

impl Module for Mixed {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let half = |parameter: &Parameter| parameter.value().to_dtype(DType::F16);
        let options = Conv2dOptions::default().padding(1);
        let features = x.to_dtype(DType::F16)?.conv2d(&half(&self.filters)?, None, &options)?.relu()?;
        let pooled = features.max_pool2d([2, 2], &MaxPool2dOptions::default())?.flatten(1, 3)?;
        pooled.matmul(&half(&self.weight)?)?.add(&half(&self.bias)?)?.relu()?.to_dtype(DType::F32)
    }

    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; filters, weight, bias]
    }
}

/// Its modules are checked, and not its results: those of f16 are compared call by call (`tests/ops/half.rs`).
const MIXED: Network = Network {
    name: "mixed precision",
    build: |scope| Ok(Box::new(Mixed::new(scope)?)),
    images: [64, 3, 32, 32],
    logits: &[64, 64],
    apart: f64::INFINITY,
};

/// Kernels of a step are fused in ways that no single case is, and each kind of adapter gets its own.
#[test]
fn modules_of_a_step_translate_for_every_kind_of_adapter() {
    // Planning a deep network takes a second: each is planned for one kind of adapter.
    let deep = [
        (RESNET_CIFAR, "WARP with DXC"),
        (RESNET_IMAGENET, "a GPU with cooperative matrices"),
        (MOBILENET, "a GPU without extras"),
    ];
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    let seen = modules::Seen::default();
    modules::kinds().into_par_iter().for_each(|kind| {
        let deep = deep.iter().filter(|(_, only)| all || *only == kind.name).map(|(network, _)| network);
        let half = [MIXED].into_iter().filter(|_| kind.noop.f16);
        for network in [LENET, CIFAR, UNET].iter().chain(deep).chain(&half.collect::<Vec<_>>()) {
            let device = kind.open();
            let step = network.train(&device, adam);
            assert!(step.is_ok(), "{} for {}: {}", network.name, kind.name, step.err().unwrap());
            seen.translate(kind.name, network.name, &device);
        }
    });
}
