//! The work list in burn, on its wgpu backend with the crate's defaults: WGSL, fusion, autotune.

mod models;
#[path = "../../protocol.rs"]
mod protocol;

use burn::nn::BatchNormConfig;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::module::{conv2d, layer_norm, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor, TensorData};
use models::{CifarCnn, LeNet5, Network, ResNet18};
use protocol::{Bench, Work};

fn main() {
    let bench = Bench::new("burn");
    let device = Device::wgpu(DeviceKind::DefaultDevice);

    for size in [256, 512, 1024] {
        bench.item(&format!("matmul_{size}"), || {
            let (a, b) = (normal([size, size], &device), normal([size, size], &device));
            op(&device, move || a.clone().matmul(b.clone()))
        });
    }
    for (name, input, weight, options) in [
        ("conv3x3_stride1", [16, 64, 32, 32], [64, 64, 3, 3], ConvOptions::new([1, 1], [1, 1], [1, 1], 1)),
        ("conv3x3_stride2", [16, 64, 32, 32], [128, 64, 3, 3], ConvOptions::new([2, 2], [1, 1], [1, 1], 1)),
        ("conv1x1", [16, 64, 32, 32], [256, 64, 1, 1], ConvOptions::new([1, 1], [0, 0], [1, 1], 1)),
        ("conv3x3_depthwise", [16, 64, 32, 32], [64, 1, 3, 3], ConvOptions::new([1, 1], [1, 1], [1, 1], 64)),
        ("conv3x3_dilation2", [16, 32, 32, 32], [32, 32, 3, 3], ConvOptions::new([1, 1], [2, 2], [2, 2], 1)),
    ] {
        bench.item(name, || {
            let (x, w) = (normal(input, &device), normal(weight, &device));
            op(&device, move || conv2d(x.clone(), w.clone(), None, options.clone()))
        });
    }
    bench.item("max_pool2x2", || {
        let x = normal([16, 64, 32, 32], &device);
        op(&device, move || max_pool2d(x.clone(), MaxPoolOptions::new([2, 2])))
    });
    bench.item("softmax", || {
        let x = normal([1024, 1000], &device);
        op(&device, move || softmax(x.clone(), 1))
    });
    bench.item("layer_norm", || {
        let (x, weight, bias) = (normal([1024, 1000], &device), normal([1000], &device), normal([1000], &device));
        op(&device, move || layer_norm(x.clone(), weight.clone(), Some(bias.clone()), 1e-5))
    });
    bench.item("batch_norm", || {
        // The layer trains only on a device with gradients.
        let device = device.clone().autodiff();
        let (x, layer) = (normal([16, 64, 32, 32], &device), BatchNormConfig::new(64).init(&device));
        op(&device, move || layer.forward(x.clone()))
    });
    bench.item("relu_mul_add", || {
        let [a, b, c] = [(); 3].map(|()| normal([2048, 2048], &device));
        op(&device, move || relu(a.clone() * b.clone() + c.clone()))
    });

    let training = device.autodiff();
    bench.item("lenet5_step", || step(&training, [64, 1, 28, 28], LeNet5::new(&training)));
    bench.item("cifar_cnn_step", || step(&training, [64, 3, 32, 32], CifarCnn::new(&training)));
    bench.long_item("resnet18_step", || step(&training, [128, 3, 32, 32], ResNet18::new(&training)));
}

fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// One operation, submitted by itself.
fn op<const D: usize>(device: &Device, compute: impl Fn() -> Tensor<D> + 'static) -> Work {
    let at = device.clone();
    work(device, move || {
        let result = compute();
        at.flush().expect("burn submits");
        drop(result);
    })
}

/// A training step on a batch that stays on the device: forward, cross entropy, backward, Adam.
fn step<N: Network + 'static>(device: &Device, images: [usize; 4], network: N) -> Work {
    let labels: Vec<i32> = (0..images[0] as i32).map(|n| n % 10).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [images[0]]), device);
    let images = normal(images, device);
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let mut network = Some(network);
    let at = device.clone();
    work(device, move || {
        let before = network.take().expect("the last step left a network");
        let loss = cross_entropy.forward(before.forward(images.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &before);
        network = Some(adam.step(1e-3, before, gradients));
        at.flush().expect("burn submits");
    })
}

fn work(device: &Device, call: impl FnMut() + 'static) -> Work {
    let (waiting, counting) = (device.clone(), device.clone());
    Work {
        call: Box::new(call),
        sync: Box::new(move || waiting.sync().expect("burn computes")),
        max_bytes: Box::new(move || counting.memory_pool_usage().map(|usage| usage.bytes_reserved)),
    }
}
