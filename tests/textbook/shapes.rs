//! Sizes of outputs, numbers of parameters, receptive fields.

use crate::{close, everywhere, padded, random};
use wgrad::data::{Cifar10, DataLoader, DataLoaderOptions, SequentialSampler, stack_images};
use wgrad::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Dropout, LayerNorm, LayerNormOptions, Linear, Module, Relu,
    Scope, Sequential,
};
use wgrad::{Conv2dOptions, Conv3dOptions, Device, MaxPool2dOptions, Result, Tensor};

fn conv_shape(input: &[usize], weight: &[usize], options: &Conv2dOptions) -> Vec<usize> {
    let device = Device::reference();
    let weight = Tensor::zeros(&device, weight).unwrap();
    Tensor::zeros(&device, input).unwrap().conv2d(&weight, None, options).unwrap().shape().to_vec()
}

#[test]
fn output_sizes() {
    let strided = |stride, padding| Conv2dOptions { stride: [stride; 2], ..padded(padding) };
    assert_eq!(conv_shape(&[1, 3, 128, 128], &[64, 3, 5, 5], &strided(2, 2)), [1, 64, 64, 64]);
    assert_eq!(conv_shape(&[1, 1, 32, 32], &[1, 1, 3, 3], &strided(2, 1)), [1, 1, 16, 16]);
    assert_eq!(conv_shape(&[1, 1, 10, 10], &[1, 1, 3, 3], &strided(1, 0)), [1, 1, 8, 8]);
    assert_eq!(conv_shape(&[1, 1, 10, 10], &[1, 1, 3, 3], &strided(2, 0)), [1, 1, 4, 4]);
    assert_eq!(conv_shape(&[2, 1, 224, 224], &[2, 1, 7, 7], &strided(1, 1)), [2, 2, 220, 220]);
    assert_eq!(conv_shape(&[2, 2, 220, 220], &[4, 2, 3, 3], &strided(4, 0)), [2, 4, 55, 55]);
    for (size, kernel, stride, padding, dilation) in
        [(17, 3, 1, 0, 2), (23, 5, 3, 4, 1), (9, 2, 2, 1, 3), (7, 7, 1, 0, 1)]
    {
        let options = Conv2dOptions { stride: [stride; 2], dilation: [dilation; 2], ..padded(padding) };
        let expected = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
        assert_eq!(conv_shape(&[1, 1, size, size], &[1, 1, kernel, kernel], &options)[2..], [expected; 2]);
    }
}

#[test]
fn shapes_through_a_network() {
    let device = Device::reference();
    let zeros = |shape: &[usize]| Tensor::zeros(&device, shape).unwrap();
    let pool = |x: &Tensor| x.max_pool2d([2, 2], &MaxPool2dOptions::default()).unwrap();
    let x = zeros(&[2, 3, 32, 32]).conv2d(&zeros(&[32, 3, 3, 3]), None, &padded(1)).unwrap().relu().unwrap();
    assert_eq!(x.shape()[..], [2, 32, 32, 32]);
    let x = pool(&x);
    assert_eq!(x.shape()[..], [2, 32, 16, 16]);
    let x = x.conv2d(&zeros(&[64, 32, 3, 3]), None, &padded(1)).unwrap().relu().unwrap();
    assert_eq!(x.shape()[..], [2, 64, 16, 16]);
    let x = pool(&x);
    assert_eq!(x.shape()[..], [2, 64, 8, 8]);
    let x = x.conv2d(&zeros(&[128, 64, 3, 3]), None, &padded(1)).unwrap().relu().unwrap();
    assert_eq!(x.shape()[..], [2, 128, 8, 8]);
    // Adaptive average pooling to 1 is the mean over the image.
    let x = x.mean_keepdim([2, 3]).unwrap();
    assert_eq!(x.shape()[..], [2, 128, 1, 1]);
    let x = x.flatten(1, -1).unwrap();
    assert_eq!(x.shape()[..], [2, 128]);
    assert_eq!(x.linear(&zeros(&[10, 128]), None).unwrap().shape()[..], [2, 10]);
}

#[test]
fn effective_kernels_and_receptive_fields() {
    let device = Device::reference();
    // The elements of an image that one element in the middle of the output depends on.
    let field = |layers: &[Conv2dOptions], kernel: usize| {
        let x = Tensor::zeros(&device, &[1, 1, 31, 31]).unwrap().requires_grad();
        let weight = Tensor::ones(&device, &[1, 1, kernel, kernel]).unwrap();
        let mut y = x.clone();
        for options in layers {
            y = y.conv2d(&weight, None, options).unwrap();
        }
        let middle = y.shape()[2] / 2;
        y.narrow(2, middle, 1).unwrap().narrow(3, middle, 1).unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = x.grad().unwrap().to_f64().unwrap();
        let used: Vec<usize> = (0..31 * 31).filter(|&i| gradient[i] != 0.0).collect();
        let rows = used.iter().map(|i| i / 31);
        (rows.clone().max().unwrap() - rows.min().unwrap() + 1, used.len())
    };
    let plain = Conv2dOptions::default();
    let dilated = Conv2dOptions::default().dilation(2);
    let strided = Conv2dOptions::default().stride(2);
    assert_eq!(field(std::slice::from_ref(&dilated), 3), (5, 9), "k + (k - 1)(d - 1), with 9 weights");
    assert_eq!(field(&[plain, plain, plain], 3), (7, 49));
    // r = 1 + 2 * 1 + 2 * 2 + 2 * 2
    assert_eq!(field(&[strided, plain, plain], 3).0, 11);
}

#[test]
fn receptive_fields_follow_the_recurrence() -> Result<()> {
    let layers = [(7, 2), (3, 1), (3, 2), (5, 1)];
    let mut net = Sequential::new(&Scope::new(&Device::reference()));
    let (mut size, mut jump) = (1, 1);
    for (kernel, stride) in layers {
        net = net.make(|s| Conv2d::new(s, 1, 1, kernel, &Conv2dOptions::default().stride(stride)))?;
        size += (kernel - 1) * jump;
        jump *= stride;
        assert_eq!(nn::receptive_field(&net, &[1, 1, 64, 64])?.size, [size, size]);
    }
    Ok(())
}

#[test]
fn groups_and_depthwise() {
    everywhere(|device| {
        // Groups are convolutions side by side; groups = channels is depthwise, with C k^2 weights.
        let x = random(device, &[2, 6, 7, 7], 1);
        for groups in [2, 3, 6] {
            let each = 6 / groups;
            let weight = random(device, &[6, each, 3, 3], 2);
            assert_eq!(weight.numel(), 6 * 6 / groups * 9);
            let got = x.conv2d(&weight, None, &Conv2dOptions { groups, ..padded(1) })?;
            for g in 0..groups {
                let part = x.narrow(1, g * each, each)?.conv2d(&weight.narrow(0, g * each, each)?, None, &padded(1))?;
                close(&got.narrow(1, g * each, each)?, &part, 9 * each)?;
            }
        }
        Ok(())
    });
}

/// The parameters of one layer.
fn count<M: Module>(make: impl Fn(&Scope) -> Result<M>) -> usize {
    let layer = make(&Scope::new(&Device::reference())).unwrap();
    layer
        .parameters()
        .iter()
        .filter(|parameter| parameter.requires_grad())
        .map(|parameter| parameter.value().numel())
        .sum()
}

/// A square convolution, with a bias or without.
fn conv(scope: &Scope, [inputs, outputs, kernel]: [usize; 3], has_bias: bool) -> Result<Conv2d> {
    let options = Conv2dOptions::default();
    match has_bias {
        true => Conv2d::new(scope, inputs, outputs, kernel, &options),
        false => Conv2d::without_bias(scope, inputs, outputs, kernel, &options),
    }
}

#[test]
fn parameters_of_layers() {
    let conv_count = |sizes, has_bias| count(|s| conv(s, sizes, has_bias));
    let linear = |inputs, outputs| count(|s| Linear::new(s, inputs, outputs));
    let batch_norm = |channels| count(|s| BatchNorm2d::new(s, channels, &BatchNormLayerOptions::default()));
    assert_eq!(conv_count([64, 128, 3], true), 73_856);
    assert_eq!((linear(2, 6), linear(6, 20)), (18, 140));
    assert_eq!(count(|s| LayerNorm::new(s, &[6], &LayerNormOptions::default())), 12);
    assert_eq!((count(|_| Ok(Dropout::new(0.5))), count(|_| Ok(Relu))), (0, 0));
    // 10 * 20 + 20, 20 * 5 + 5 and 5 * 1 + 1: a collection that says 336 added wrongly.
    let perceptron = |s: &Scope| {
        Sequential::new(s)
            .make(|s| Linear::new(s, 10, 20))?
            .push(Relu)
            .make(|s| Linear::new(s, 20, 5))?
            .push(Relu)
            .make(|s| Linear::new(s, 5, 1))
    };
    assert_eq!(count(perceptron), 220 + 105 + 6);
    assert_eq!((conv_count([1, 2, 7], true), batch_norm(2)), (100, 4));
    assert_eq!((conv_count([2, 4, 3], true), batch_norm(4)), (76, 8));

    let bottleneck = |s: &Scope| {
        Sequential::new(s)
            .make(|s| conv(s, [256, 64, 1], false))?
            .make(|s| conv(s, [64, 64, 3], false))?
            .make(|s| conv(s, [64, 256, 1], false))
    };
    assert_eq!((count(bottleneck), conv_count([256, 256, 3], false)), (69_632, 589_824));
}

#[test]
fn grouped_convolutions_have_a_share_of_the_weights() {
    let (inputs, outputs, kernel) = (12, 24, 3);
    let grouped = |inputs, outputs, kernel, groups| {
        count(|s| Conv2d::without_bias(s, inputs, outputs, kernel, &Conv2dOptions::default().groups(groups)))
    };
    for groups in [1, 2, 3, 4, 6, 12] {
        assert_eq!(grouped(inputs, outputs, kernel, groups), outputs * inputs / groups * kernel * kernel);
    }
    assert_eq!(grouped(inputs, inputs, kernel, inputs), inputs * kernel * kernel);
    // Depthwise separable over standard: 1 / C_out + 1 / k^2.
    let separable = grouped(inputs, inputs, kernel, inputs) + grouped(inputs, outputs, 1, 1);
    let share = separable as f64 / grouped(inputs, outputs, kernel, 1) as f64;
    approx::assert_relative_eq!(share, 1.0 / outputs as f64 + 1.0 / (kernel * kernel) as f64, max_relative = 1e-12);
}

#[test]
fn widths_of_a_network_that_trebles() -> Result<()> {
    let mut net = Sequential::new(&Scope::new(&Device::reference()));
    let mut inputs = 1;
    for layer in 0..4 {
        let outputs = 7 * 3usize.pow(layer);
        net = net.make(|s| conv(s, [inputs, outputs, 3], true))?.push(Relu);
        inputs = outputs;
    }
    let weights = net.parameters().into_iter().filter(|parameter| parameter.name().ends_with("weight"));
    assert_eq!(weights.last().unwrap().value().shape()[..2], [189, 63]);
    Ok(())
}

#[test]
fn a_flat_volume_convolution_is_one_of_each_frame() {
    everywhere(|device| {
        let (clip, weight) = (random(device, &[2, 3, 4, 6, 5], 20), random(device, &[5, 3, 1, 3, 3], 21));
        let got = clip.conv3d(&weight, None, &Conv3dOptions::default())?;
        for frame in 0..4 {
            let image = clip.narrow(2, frame, 1)?.squeeze(2)?;
            let expected = image.conv2d(&weight.squeeze(2)?, None, &Conv2dOptions::default())?;
            close(&got.narrow(2, frame, 1)?.squeeze(2)?, &expected, 27)?;
        }
        Ok(())
    });
}

#[test]
fn a_batch_of_cifar() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        let records = vec![1u8; 30 * (1 + 3 * 32 * 32)];
        std::fs::write(folder.path().join(format!("{name}.bin")), records).unwrap();
    }
    let images = Cifar10::open(folder.path())?.train;
    let (sampler, normalization) = (SequentialSampler::new(150), images.normalization().clone());
    let loader = DataLoader::new(images, sampler, stack_images, DataLoaderOptions::default().batch_size(128))?;
    let first = loader.resume(0, 0)?.next().unwrap()?;
    assert_eq!(first.images_to(&Device::reference(), &normalization)?.shape()[..], [128, 3, 32, 32]);
    Ok(())
}
