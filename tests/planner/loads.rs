//! Calls that are computed in the loads of another kernel.

use crate::common;
use crate::common::launches::{dispatches, noop, random};
use crate::common::steps::{gpu, software};
use wgrad::{
    AvgPool2dOptions, Conv2dOptions, ConvTranspose2dOptions, DType, Device, DeviceOptions, Disable, MaxPool2dOptions,
    Result, Tensor,
};

/// A name, the numbers of kernels on software adapters and on GPUs, and a function: pointwise calls before a call with its own
/// kernels, and after it. Strips of convolutions do few multiply-adds a weight on GPUs.
type Loaded = (&'static str, [u64; 2], fn(&Device) -> Result<Tensor>);

const LOADED: &[Loaded] = &[
    // Eight columns at a time on software adapters that have 64-bit integers.
    ("matmul and a bias in eights", [1, 1], |device| {
        let product = random(device, &[37, 14], 1).matmul(&random(device, &[14, 520], 2))?;
        product.add(&random(device, &[520], 3))?.relu()
    }),
    ("matmul and a residual in eights", [1, 1], |device| {
        let product = random(device, &[2, 37, 15], 1).matmul(&random(device, &[2, 15, 520], 2))?;
        let behind = product.add(&random(device, &[2, 37, 520], 3))?.mul(&random(device, &[37, 1], 4))?;
        behind.sub(&random(device, &[521], 5).narrow(0, 1, 520)?)?.mul(&product)
    }),
    ("conv2d 1x1 in eights", [1, 1], |device| {
        let (x, weight) = (random(device, &[3, 20, 20, 26], 1), random(device, &[40, 20, 1, 1], 2));
        let y = x.conv2d(&weight, Some(&random(device, &[40], 3)), &Conv2dOptions::default())?;
        y.relu()?.add(&random(device, &[3, 40, 20, 26], 4))
    }),
    ("matmul with its loads, in eights", [1, 1], |device| {
        random(device, &[30, 40], 1).relu()?.matmul(&random(device, &[40, 520], 2))?.add_scalar(1.0)
    }),
    ("conv2d 1x1 with its loads", [1, 1], |device| {
        let (x, weight) = (random(device, &[3, 20, 20, 26], 1), random(device, &[20, 20, 1, 1], 2));
        x.relu()?.conv2d(&weight, None, &Conv2dOptions::default())?.relu()
    }),
    ("max_pool2d", [1, 1], |device| {
        let scaled = random(device, &[4, 13, 13], 1).mul_scalar(3.0)?.add(&random(device, &[13, 1], 2))?;
        scaled.max_pool2d([2, 2], &MaxPool2dOptions::default())?.relu()
    }),
    ("max_pool2d, overlapping", [1, 1], |device| {
        let options = MaxPool2dOptions::default().stride(2).padding(1);
        random(device, &[4, 13, 13], 1).permute([1, 0, 2])?.relu()?.max_pool2d([3, 3], &options)
    }),
    ("avg_pool2d", [1, 1], |device| {
        random(device, &[4, 13, 13], 1).relu()?.avg_pool2d([3, 5], &AvgPool2dOptions::default())?.tanh()
    }),
    ("avg_pool2d of a costly value", [1, 1], |device| {
        random(device, &[4, 13, 13], 1).narrow(1, 3, 7)?.tanh()?.avg_pool2d([2, 2], &AvgPool2dOptions::default())
    }),
    ("avg_pool2d, overlapping, of a costly value", [2, 2], |device| {
        let options = AvgPool2dOptions::default().stride(1);
        random(device, &[4, 13, 13], 1).tanh()?.avg_pool2d([3, 3], &options)
    }),
    ("avg_pool2d of what is kept", [3, 3], |device| {
        let kept = random(device, &[4, 12, 12], 1).abs()?;
        let means = kept.avg_pool2d([2, 2], &AvgPool2dOptions::default())?;
        device.flush()?;
        means.add(&kept.narrow(1, 0, 6)?.narrow(2, 0, 6)?)
    }),
    ("adaptive_max_pool1d", [1, 1], |device| {
        let x = random(device, &[4, 13, 13], 1);
        x.square()?.add(&x.permute([0, 2, 1])?)?.adaptive_max_pool1d([Some(4)])?.exp()
    }),
    ("adaptive_avg_pool1d", [1, 1], |device| random(device, &[4, 13, 13], 1).abs()?.adaptive_avg_pool1d([Some(5)])),
    ("conv2d", [1, 2], |device| {
        let (x, weight) = (random(device, &[2, 32, 13, 11], 1), random(device, &[40, 32, 3, 3], 2));
        x.mul_scalar(2.0)?.conv2d(&weight.mul_scalar(0.5)?, None, &padded(1))?.relu()
    }),
    ("conv2d and its input", [1, 1], |device| {
        let x = random(device, &[2, 32, 13, 11], 1).mul_scalar(2.0)?;
        x.conv2d(&random(device, &[32, 32, 3, 3], 2), None, &padded(1))?.add(&x)
    }),
    ("conv2d by its input", [1, 1], |device| {
        let x = random(device, &[2, 32, 13, 11], 1);
        x.mul_scalar(2.0)?.conv2d(&random(device, &[32, 32, 3, 3], 2), None, &padded(1))?.mul(&x)
    }),
    ("conv2d of two pixels", [1, 2], |device| {
        let (x, weight) = (random(device, &[3, 32, 13, 13], 1), random(device, &[40, 32, 1, 2], 2));
        x.mul_scalar(2.0)?.conv2d(&weight.mul_scalar(0.5)?, None, &Conv2dOptions::default())
    }),
    ("conv2d of one pixel", [1, 2], |device| {
        let (x, weight) = (random(device, &[3, 32, 13, 13], 1), random(device, &[40, 32, 1, 1], 2));
        x.mul_scalar(2.0)?.conv2d(&weight.mul_scalar(0.5)?, None, &Conv2dOptions::default())
    }),
    ("conv2d, depthwise", [1, 1], |device| {
        let (x, weight) = (random(device, &[2, 7, 13, 13], 1), random(device, &[7, 1, 3, 3], 2));
        x.relu()?.conv2d(&weight, None, &Conv2dOptions { groups: 7, ..padded(1) })
    }),
    ("conv_transpose2d", [1, 2], |device| {
        let (x, weight) = (random(device, &[3, 32, 9, 9], 1), random(device, &[32, 40, 3, 2], 2));
        let options = ConvTranspose2dOptions::default().stride([2, 1]);
        x.mul_scalar(2.0)?.conv_transpose2d(&weight.mul_scalar(0.5)?, None, &options)
    }),
    ("two readers", [2, 2], |device| {
        let x = random(device, &[2, 32, 13, 11], 1).add_scalar(0.5)?;
        let of = |seed| x.conv2d(&random(device, &[32, 32, 3, 3], seed), None, &padded(1));
        of(2)?.add(&of(3)?)
    }),
    ("a reader that needs it stored", [4, 4], |device| {
        let x = random(device, &[2, 9, 13, 11], 1).add_scalar(0.5)?;
        let means = x.cumsum(3)?.avg_pool2d([2, 2], &AvgPool2dOptions::default())?;
        means.add(&x.avg_pool2d([2, 2], &AvgPool2dOptions::default())?)
    }),
    ("conv2d in tiles", [1, 1], |device| {
        let (x, weight) = (random(device, &[1, 64, 32, 32], 1), random(device, &[64, 64, 1, 1], 2));
        x.mul_scalar(2.0)?.conv2d(&weight.mul_scalar(0.5)?, None, &Conv2dOptions::default())
    }),
    ("conv2d by Winograd", [6, 3], |device| {
        let (x, weight) = (random(device, &[1, 128, 32, 32], 1), random(device, &[128, 128, 3, 3], 2));
        x.mul_scalar(2.0)?.conv2d(&weight.mul_scalar(0.5)?, None, &padded(1))?.relu()
    }),
    ("conv_transpose2d in tiles", [1, 1], |device| {
        let (x, weight) = (random(device, &[1, 64, 16, 16], 1), random(device, &[64, 64, 2, 2], 2));
        let options = ConvTranspose2dOptions::default().stride(2);
        x.mul_scalar(2.0)?.conv_transpose2d(&weight.mul_scalar(0.5)?, None, &options)
    }),
    ("conv2d_backward_filter", [1, 2], |device| {
        let (x, gradient) = (random(device, &[2, 64, 32, 32], 1), random(device, &[2, 64, 16, 16], 3));
        let weight = random(device, &[64, 64, 3, 3], 2).requires_grad();
        let output = x.mul_scalar(2.0)?.conv2d(&weight, None, &Conv2dOptions { stride: [2, 2], ..padded(1) })?;
        Ok(wgrad::grad(&[&output], &[&weight], &[&gradient.mul_scalar(0.5)?])?.remove(0).unwrap())
    }),
    ("conv2d_backward_filter of channels", [2, 2], |device| {
        let (x, gradient) = (random(device, &[2, 9, 11, 13], 1), random(device, &[2, 9, 11, 13], 3));
        let weight = random(device, &[9, 1, 3, 3], 2).requires_grad();
        let output = x.mul_scalar(2.0)?.conv2d(&weight, None, &Conv2dOptions { groups: 9, ..padded(1) })?;
        Ok(wgrad::grad(&[&output], &[&weight], &[&gradient.mul_scalar(0.5)?])?.remove(0).unwrap())
    }),
    ("gradients of weight and bias", [3, 3], |device| {
        let (x, gradient) = (random(device, &[48, 41], 1), random(device, &[48, 39], 3));
        let (weight, bias) = (random(device, &[39, 41], 2).requires_grad(), random(device, &[39], 4).requires_grad());
        let output = x.mul_scalar(2.0)?.linear(&weight, Some(&bias))?;
        let gradients = wgrad::grad(&[&output], &[&weight, &bias], &[&gradient.mul_scalar(0.5)?])?;
        let [Some(of_weight), Some(of_bias)] = &gradients[..] else { panic!("no gradients") };
        Tensor::cat(&[&of_weight.reshape(&[39 * 41])?, of_bias], 0)
    }),
    ("matmul", [1, 1], |device| {
        let (left, right) = (random(device, &[3, 61, 43], 1), random(device, &[3, 43, 67], 2));
        left.mul_scalar(2.0)?.matmul(&right.mul_scalar(0.5)?)?.relu()
    }),
    ("matmul of a value and its transpose", [1, 1], |device| {
        let x = random(device, &[70, 70], 1).add_scalar(0.5)?;
        x.matmul(&x.t()?)
    }),
    ("matmul of fours", [1, 1], |device| {
        let (left, right) = (random(device, &[60, 44], 1), random(device, &[44, 68], 2));
        left.mul_scalar(2.0)?.matmul(&right.mul_scalar(0.5)?)?.relu()
    }),
    ("matmul of fours in columns", [1, 1], |device| {
        let (left, right) = (random(device, &[44, 60], 1), random(device, &[68, 44], 2));
        left.mul_scalar(2.0)?.t()?.matmul(&right.add_scalar(0.5)?.t()?)
    }),
    ("matmul of fours that are read twice", [1, 1], |device| {
        let x = random(device, &[64, 64], 1);
        x.mul_scalar(2.0)?.matmul(&x.add_scalar(0.5)?)?.add(&x)
    }),
    ("matmul of a vector", [1, 1], |device| {
        let (matrix, vector) = (random(device, &[67, 160], 1), random(device, &[160], 2));
        matrix.mul_scalar(2.0)?.matmul(&vector)?.relu()
    }),
    ("matmul of a row", [2, 1], |device| {
        let (vector, matrix) = (random(device, &[160], 1), random(device, &[160, 67], 2));
        vector.matmul(&matrix.mul_scalar(2.0)?)?.relu()
    }),
];

fn padded(padding: usize) -> Conv2dOptions {
    Conv2dOptions::default().padding(wgrad::Padding::Explicit([padding, padding]))
}

#[test]
fn what_stands_in_front_of_a_kernel_goes_into_its_loads() {
    for (at, noop) in [software(), gpu()].into_iter().enumerate() {
        let device = Device::with_options(&DeviceOptions::default().noop(noop.clone())).unwrap();
        for (name, kernels, chain) in LOADED {
            assert_eq!(dispatches(&device, || chain(&device)), kernels[at], "{name} on {noop:?}");
        }
    }
    for disable in [
        Disable::default(),
        Disable { subgroup: true, ..Disable::default() },
        Disable { software: true, ..Disable::default() },
    ] {
        let Some(device) = common::poisoned(disable) else { return };
        for (name, _, chain) in LOADED {
            let result = |device: &Device| chain(device).unwrap().to_vec::<f32>().unwrap();
            let exact = result(&Device::reference());
            let largest = exact.iter().fold(1f32, |most, value| most.max(value.abs()));
            for (got, exact) in result(&device).into_iter().zip(exact) {
                // Sums of up to 1,152 terms; Winograd's algorithm is less exact.
                assert!(
                    (got - exact).abs() <= 256.0 * f32::EPSILON * largest,
                    "{name}: {got} instead of {exact} with {disable:?}"
                );
            }
        }
    }
}

#[test]
fn casts_of_weights_go_into_loads() {
    let chains: [fn(&Device, &Tensor) -> Result<Tensor>; 4] = [
        |device, half| random(device, &[64, 48], 1).matmul(&half.to_dtype(DType::F32)?.t()?),
        |device, half| half.to_dtype(DType::F32)?.matmul(&random(device, &[48], 1)),
        |device, half| {
            let weight = half.to_dtype(DType::F32)?.reshape(&[64, 48, 1, 1])?;
            random(device, &[3, 48, 5, 7], 1).conv2d(&weight, None, &Conv2dOptions::default())
        },
        |device, half| {
            let weight = half.to_dtype(DType::F32)?.reshape(&[64, 16, 3, 1])?;
            random(device, &[3, 16, 5, 7], 1).conv2d(&weight, None, &Conv2dOptions::default())
        },
    ];
    let half = |device: &Device| {
        let half = random(device, &[64, 48], 2).to_dtype(DType::F16).unwrap();
        device.flush().unwrap();
        half
    };
    let device = noop();
    let weight = half(&device);
    for (at, chain) in chains.into_iter().enumerate() {
        assert_eq!(dispatches(&device, || chain(&device, &weight)), 1, "{at}");
    }
    for disable in [Disable::default(), Disable { software: true, ..Disable::default() }] {
        let Some(device) = common::poisoned(disable) else { return };
        if !common::has_f16(&device) {
            return;
        }
        for (at, chain) in chains.into_iter().enumerate() {
            let result = |device: &Device| chain(device, &half(device)).unwrap().to_vec::<f32>().unwrap();
            for (got, exact) in result(&device).into_iter().zip(result(&Device::reference())) {
                // Sums of 48 terms below 1/4, after casts that may round the other way.
                assert!((got - exact).abs() <= 48.0 / 4.0 * 1e-3, "{at}: {got} instead of {exact} with {disable:?}");
            }
        }
    }
}
