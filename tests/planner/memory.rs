//! Memory of a training step; saving it changes no value.

use crate::common;
use crate::common::steps::{gpu, of_step, software};
use wgrad::models::segmentation::{UNet, UNetOptions};
use wgrad::models::{CifarCnn, LeNet5, MobileNetV1, ResNet, ResNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::{
    AvgPool2dOptions, BatchNormOptions, Conv2dOptions, Device, DeviceOptions, Disable, Parameter, Result, Tensor,
};

/// PyTorch 2.15's peaks on the CPU, by its profiler: the steps of `benches/peers/pytorch/peer.py`. Ours are at most 0.8 of
/// them.
#[test]
fn steps_take_less_memory_than_pytorchs() {
    type Make = fn(&Scope) -> Result<Box<dyn Module>>;
    // The name, the network, a batch, PyTorch's bytes, and the fractions allowed on a software adapter and on a GPU.
    type Step = (&'static str, Make, [usize; 4], u64, [f64; 2]);
    let networks: [Step; 5] = [
        ("LeNet-5", |scope| Ok(Box::new(LeNet5::new(scope)?)), [64, 1, 28, 28], 5_627_576, [0.6, 0.66]),
        ("CIFAR CNN", |scope| Ok(Box::new(CifarCnn::new(scope)?)), [64, 3, 32, 32], 79_562_456, [0.8, 0.8]),
        (
            "ResNet-18",
            |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18_cifar().classes(10))?)),
            [128, 3, 32, 32],
            764_904_768,
            [0.73, 0.75],
        ),
        (
            "MobileNetV1",
            |scope| Ok(Box::new(MobileNetV1::new(scope, 10, 1.0)?)),
            [128, 3, 64, 64],
            475_032_012,
            [0.6, 0.62],
        ),
        (
            "U-Net",
            |scope| Ok(Box::new(UNet::new(scope, &UNetOptions::default())?)),
            [32, 3, 64, 64],
            143_215_288,
            [0.73, 0.75],
        ),
    ];
    for (name, make, input, pytorchs, most) in networks {
        for (noop, most) in [software(), gpu()].into_iter().zip(most) {
            let (_, bytes) = of_step(&noop, make, input);
            let share = bytes as f64 / pytorchs as f64;
            assert!(share <= most, "{name} on {noop:?}: {bytes} bytes are {share:.3} of PyTorch's, {most} allowed");
        }
    }
}

fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = common::Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (random.unit() - 0.5) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// The gradients of residual blocks of 3 x 3 convolutions and norms: three with values of 4 MB, then four with 1 MB.
fn gradients(device: &Device) -> Result<Vec<Vec<f32>>> {
    const BLOCKS: u64 = 7;
    let weights: Vec<Parameter> =
        (0..BLOCKS).map(|seed| Parameter::new("weight", &random(device, &[8, 8, 3, 3], seed))).collect();
    let norms: Vec<Parameter> =
        (0..BLOCKS).map(|seed| Parameter::new("norm", &random(device, &[8], BLOCKS + seed))).collect();
    let padded = Conv2dOptions::default().padding(1);
    let training = BatchNormOptions::default().training(true);
    let mut x = random(device, &[32, 8, 64, 64], 99);
    for (block, (weight, norm)) in weights.iter().zip(&norms).enumerate() {
        let (weight, norm) = (weight.value(), norm.value());
        if block == 3 {
            x = x.avg_pool2d([2, 2], &AvgPool2dOptions::default())?;
        }
        let y = x.conv2d(&weight, None, &padded)?.batch_norm(None, None, Some(&norm), Some(&norm), &training)?;
        x = y.relu()?.add(&x)?;
    }
    x.square()?.mean_all()?.backward()?;
    drop(x);
    device.sync()?;
    weights.iter().chain(&norms).filter_map(Parameter::grad).map(|gradient| gradient.to_vec()).collect()
}

/// The gradients of convolutions, one of which reads two concatenated values, and of three after it.
fn side_by_side(device: &Device) -> Result<Vec<Vec<f32>>> {
    let channels = [8, 8, 16, 8, 8];
    let weights: Vec<Parameter> = (0u64..)
        .zip(channels)
        .map(|(seed, channels)| Parameter::new("weight", &random(device, &[8, channels, 3, 3], seed)))
        .collect();
    let padded = Conv2dOptions::default().padding(1);
    let activated = |x: &Tensor, at: usize| x.conv2d(&weights[at].value(), None, &padded)?.relu();
    let first = activated(&random(device, &[16, 8, 64, 64], 99), 0)?;
    let second = activated(&first, 1)?;
    let mut x = Tensor::cat(&[&first, &second], 1)?;
    for at in 2..channels.len() {
        x = activated(&x, at)?;
    }
    x.square()?.mean_all()?.backward()?;
    drop((first, second, x));
    device.sync()?;
    weights.iter().filter_map(Parameter::grad).map(|gradient| gradient.to_vec()).collect()
}

/// The values and the memory of these gradients, with parts of the planner disabled.
fn run(gradients: fn(&Device) -> Result<Vec<Vec<f32>>>, disable: Disable) -> (Vec<Vec<f32>>, u64) {
    let options = DeviceOptions::default().disable(disable).poison(true);
    let device = Device::with_options(&options).unwrap();
    let gradients = gradients(&device).unwrap();
    (gradients, device.stats().bytes_live_peak)
}

fn assert_near(got: &[Vec<f32>], plain: &[Vec<f32>], disable: Disable) {
    for (got, plain) in got.iter().zip(plain) {
        let largest = plain.iter().fold(0f32, |most, value| most.max(value.abs()));
        for (at, (got, plain)) in got.iter().zip(plain).enumerate() {
            // Sums of 131,072 terms at most in another kernel's order of operations.
            let tolerance = 131_072f32.sqrt() * 4.0 * f32::EPSILON * largest;
            assert!((got - plain).abs() <= tolerance, "{at}: {got} instead of {plain} with {disable:?}");
        }
    }
}

#[test]
fn values_in_parts_and_computed_again_are_the_same() {
    if common::adapter().is_none() {
        return;
    }
    let kept = Disable { rematerialise: true, ..Disable::default() };
    let (plain, most) = run(gradients, Disable { parts: true, ..kept });
    for (disable, share) in
        [(Disable { parts: true, ..Disable::default() }, 0.9), (kept, 1.0), (Disable::default(), 0.8)]
    {
        let (got, bytes) = run(gradients, disable);
        assert!(bytes as f64 <= share * most as f64, "{bytes} bytes with {disable:?}, {most} without");
        assert_near(&got, &plain, disable);
    }
}

#[test]
fn what_is_concatenated_is_copied_again() {
    if common::adapter().is_none() {
        return;
    }
    let kept = Disable { rematerialise: true, ..Disable::default() };
    let (plain, most) = run(side_by_side, kept);
    let (got, bytes) = run(side_by_side, Disable::default());
    // At the peak one more value of two megabytes is needed, instead of four.
    assert!(bytes + (2 << 20) <= most, "{bytes} bytes, {most} without");
    assert_near(&got, &plain, Disable::default());
}
