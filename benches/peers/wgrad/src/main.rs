//! The work list in wgrad: ours, on the best adapter, with the crate's defaults.

mod models;
#[path = "../../protocol.rs"]
mod protocol;

use protocol::{Bench, Work};
use wgrad::models::LeNet5;
use wgrad::nn::{BatchNorm2d, BatchNormLayerOptions, Module, Scope};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, MaxPool2dOptions, Padding, Result, Tensor};

fn main() -> Result<()> {
    let bench = Bench::new("wgrad");
    let device = Device::open()?;
    let normal = |shape: &[usize]| Tensor::randn(&device, shape).expect("wgrad makes inputs");

    for size in [256, 512, 1024] {
        bench.item(&format!("matmul_{size}"), || {
            let (a, b) = (normal(&[size, size]), normal(&[size, size]));
            op(&device, move || a.matmul(&b))
        });
    }
    let same = Conv2dOptions::default().padding(1);
    for (name, input, weight, options) in [
        ("conv3x3_stride1", [16, 64, 32, 32], [64, 64, 3, 3], same),
        ("conv3x3_stride2", [16, 64, 32, 32], [128, 64, 3, 3], Conv2dOptions { stride: [2, 2], ..same }),
        ("conv1x1", [16, 64, 32, 32], [256, 64, 1, 1], Conv2dOptions::default()),
        ("conv3x3_depthwise", [16, 64, 32, 32], [64, 1, 3, 3], Conv2dOptions { groups: 64, ..same }),
        (
            "conv3x3_dilation2",
            [16, 32, 32, 32],
            [32, 32, 3, 3],
            Conv2dOptions { padding: Padding::Explicit([2, 2]), dilation: [2, 2], ..same },
        ),
    ] {
        bench.item(name, || {
            let (x, w) = (normal(&input), normal(&weight));
            op(&device, move || x.conv2d(&w, None, &options))
        });
    }
    bench.item("max_pool2x2", || {
        let x = normal(&[16, 64, 32, 32]);
        op(&device, move || x.max_pool2d([2, 2], &MaxPool2dOptions::default()))
    });
    bench.item("softmax", || {
        let x = normal(&[1024, 1000]);
        op(&device, move || x.softmax(1))
    });
    bench.item("layer_norm", || {
        let (x, weight, bias) = (normal(&[1024, 1000]), normal(&[1000]), normal(&[1000]));
        op(&device, move || x.layer_norm(&[1000], Some(&weight), Some(&bias), 1e-5))
    });
    bench.item("batch_norm", || {
        let layer = BatchNorm2d::new(&Scope::new(&device).at("bn"), 64, &BatchNormLayerOptions::default());
        let (x, layer) = (normal(&[16, 64, 32, 32]), layer.expect("wgrad makes layers"));
        op(&device, move || layer.forward(&x))
    });
    bench.item("relu_mul_add", || {
        let [a, b, c] = [(); 3].map(|()| normal(&[2048, 2048]));
        op(&device, move || a.mul(&b)?.add(&c)?.relu())
    });

    let scope = Scope::new(&device);
    bench.item("lenet5_step", || step(&device, [64, 1, 28, 28], LeNet5::new(&scope)));
    bench.item("cifar_cnn_step", || step(&device, [64, 3, 32, 32], models::cifar_cnn(&scope)));
    bench.long_item("resnet18_step", || step(&device, [128, 3, 32, 32], models::resnet18(&scope)));
    Ok(())
}

/// One operation, submitted by itself.
fn op(device: &Device, compute: impl Fn() -> Result<Tensor> + 'static) -> Work {
    let at = device.clone();
    work(device, move || {
        // The result is held until it is submitted: a dropped value is not computed.
        let _result = compute()?;
        at.flush()
    })
}

/// A training step on a batch that stays on the device: forward, cross entropy, backward, Adam.
fn step<N: Module + 'static>(device: &Device, images: [usize; 4], network: Result<N>) -> Work {
    let network = network.expect("wgrad makes networks");
    let labels: Vec<i32> = (0..images[0] as i32).map(|n| n % 10).collect();
    let labels = Tensor::from_slice(device, &labels, &[images[0]]).expect("wgrad makes inputs");
    let images = Tensor::randn(device, &images).expect("wgrad makes inputs");
    let mut adam = Adam::new(network.parameters(), AdamOptions::default()).expect("wgrad makes optimizers");
    work(device, move || {
        network.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default())?.backward()?;
        adam.step()?;
        adam.zero_grad();
        Ok(())
    })
}

fn work(device: &Device, mut call: impl FnMut() -> Result<()> + 'static) -> Work {
    let (waiting, counting) = (device.clone(), device.clone());
    Work {
        call: Box::new(move || call().expect("wgrad submits")),
        sync: Box::new(move || waiting.sync().expect("wgrad computes")),
        max_bytes: Box::new(move || Some(counting.stats().bytes_live_peak)),
    }
}
