//! Worked answers from course exams, quizzes and interview collections on convolutional networks: facts that a
//! correct framework reproduces, on the adapter and on the reference.

use crate::common::{Random, adapter};
use wgrad::{
    AvgPool2dOptions, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Device, MaxPool2dOptions, Parameter,
    Reduction, Result, Tensor, grad,
};

/// Runs a fact on the reference and on the adapter.
fn everywhere(fact: impl Fn(&Device) -> Result<()>) {
    for device in [Device::reference()].into_iter().chain(adapter()) {
        fact(&device).unwrap_or_else(|error| panic!("on {}: {error}", device.name()));
    }
}

fn tensor(device: &Device, values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(device, values, shape).unwrap()
}

fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
    tensor(device, &values, shape)
}

/// Equal but for rounding of sums of `terms` numbers.
fn close(got: &Tensor, expected: &Tensor, terms: usize) -> Result<()> {
    assert_eq!(got.shape(), expected.shape());
    let expected = expected.to_f64()?;
    let scale = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
    for (g, e) in got.to_f64()?.iter().zip(expected) {
        let allowed = 4.0 * terms as f64 * f64::from(f32::EPSILON) * scale;
        assert!((g - e).abs() <= allowed, "expected {e}, got {g}");
    }
    Ok(())
}

fn padded(padding: usize) -> Conv2dOptions {
    Conv2dOptions::default().padding([padding; 2])
}

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

#[test]
fn convolution_does_not_flip() {
    everywhere(|device| {
        let x = tensor(device, &[2.0, 4.0, 5.0, 2.0, 1.0, 3.0, 3.0, 1.0, 5.0], &[1, 1, 3, 3]);
        let kernel = tensor(device, &[1.0, 0.0, 2.0, -1.0], &[1, 1, 2, 2]);
        let y = x.conv2d(&kernel, None, &padded(1))?;
        let expected = [-2.0, 0.0, 3.0, 10.0, -2.0, 5.0, 3.0, 11.0, -3.0, 7.0, -2.0, 13.0, 0.0, 3.0, 1.0, 5.0];
        assert_eq!(y.to_vec::<f32>()?, expected);
        Ok(())
    });
}

#[test]
fn max_pooling() {
    everywhere(|device| {
        for (values, expected) in [
            ([2.0, 4.0, 5.0, 0.0, 2.0, 1.0, 3.0, 1.0, 3.0, 1.0, 5.0, 0.0, 0.0, 1.0, 0.0, 1.0], [4.0, 5.0, 3.0, 5.0]),
            ([1.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0], [6.0, 8.0, 3.0, 4.0]),
        ] {
            let x = tensor(device, &values, &[1, 1, 4, 4]);
            assert_eq!(x.max_pool2d([2, 2], &MaxPool2dOptions::default())?.to_vec::<f32>()?, expected);
        }
        Ok(())
    });
}

#[test]
fn pooling_gradients() {
    everywhere(|device| {
        let x = tensor(device, &[1.0, 4.0, 3.0, 2.0], &[1, 1, 2, 2]).requires_grad();
        x.max_pool2d([2, 2], &MaxPool2dOptions::default())?.sum_all()?.backward()?;
        assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [0.0, 1.0, 0.0, 0.0], "to the winner alone");
        x.zero_grad();
        x.avg_pool2d([2, 2], &AvgPool2dOptions::default())?.sum_all()?.backward()?;
        assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [0.25; 4], "equally");
        Ok(())
    });
}

#[test]
fn neurons() {
    everywhere(|device| {
        let y = tensor(device, &[2.0, -3.0], &[1, 2])
            .linear(&tensor(device, &[1.0, -2.0], &[1, 2]), Some(&tensor(device, &[0.5], &[1])))?;
        assert_eq!(y.item::<f32>()?, 8.5);
        let hidden =
            tensor(device, &[1.0, -2.0], &[1, 2]).linear(&tensor(device, &[1.0, 0.0, 0.0, 1.0], &[2, 2]), None)?;
        let y = hidden.relu()?.linear(&tensor(device, &[1.0, 1.0], &[1, 2]), None)?.sigmoid()?;
        approx::assert_abs_diff_eq!(y.item::<f32>()?, 0.731, epsilon = 5e-4);
        Ok(())
    });
}

#[test]
fn activations() {
    everywhere(|device| {
        let x = random(device, &[50], 3).mul_scalar(4.0)?;
        close(&x.silu()?, &x.mul(&x.sigmoid()?)?, 4)?;
        close(&x.mish()?, &x.mul(&x.softplus(1.0, 20.0)?.tanh()?)?, 4)?;
        let x = x.detach().requires_grad();
        let s = x.sigmoid()?;
        s.sum_all()?.backward()?;
        let slope = x.grad().unwrap();
        let s = s.detach();
        close(&slope, &s.sub(&s.square()?)?, 4)?;
        assert!(slope.to_vec::<f32>()?.iter().all(|&v| v <= 0.25));
        let zero = Tensor::zeros(device, &[1])?.requires_grad();
        zero.sigmoid()?.backward()?;
        assert_eq!(zero.grad().unwrap().item::<f32>()?, 0.25);
        Ok(())
    });
}

#[test]
fn normalization_by_hand() {
    everywhere(|device| {
        let x = tensor(device, &[8.0, 2.0, 0.0, 4.0], &[2, 2]);
        close(&x.layer_norm(&[2], None, None, 0.0)?, &tensor(device, &[1.0, -1.0, -1.0, 1.0], &[2, 2]), 4)?;
        let x = tensor(device, &[2.0, 3.0, 4.0, 1.0, 2.0, 2.0], &[2, 3]);
        let training = BatchNormOptions::default().training(true).eps(0.0);
        let expected = tensor(device, &[1.0, 1.0, 1.0, -1.0, -1.0, -1.0], &[2, 3]);
        close(&x.batch_norm(None, None, None, None, &training)?, &expected, 4)?;
        // Fresh running statistics change nothing in evaluation.
        let mean = Parameter::buffer("running_mean", &Tensor::zeros(device, &[3])?);
        let variance = Parameter::buffer("running_var", &Tensor::ones(device, &[3])?);
        let evaluation = BatchNormOptions { training: false, ..training };
        close(&x.batch_norm(Some(&mean), Some(&variance), None, None, &evaluation)?, &x, 4)?;
        // Training moves them: means 1.5, 2.5, 3, unbiased variances 0.5, 0.5, 2.
        x.batch_norm(Some(&mean), Some(&variance), None, None, &training)?;
        close(&mean.value(), &tensor(device, &[0.15, 0.25, 0.3], &[3]), 4)?;
        close(&variance.value(), &tensor(device, &[0.95, 0.95, 1.1], &[3]), 4)?;
        Ok(())
    });
}

#[test]
fn cross_entropy_takes_logits() {
    everywhere(|device| {
        let x = random(device, &[4, 5], 4);
        let labels = Tensor::from_slice(device, &[0, 3, 1, 4], &[4])?;
        let loss = |scores: &Tensor| scores.cross_entropy(&labels, &CrossEntropyOptions::default());
        let picked = x.softmax(1)?.log()?.gather(1, &labels.reshape(&[4, 1])?)?.mean_all()?.neg()?;
        close(&loss(&x)?, &picked, 16)?;
        let (right, twice) = (loss(&x)?.item::<f32>()?, loss(&x.softmax(1)?)?.item::<f32>()?);
        assert!((right - twice).abs() > 0.01, "softmax before it must give another loss: {right} {twice}");
        Ok(())
    });
}

#[test]
fn adjoints_of_a_small_graph() {
    everywhere(|device| {
        let v1 = random(device, &[3, 4], 5).requires_grad();
        let v2 = random(device, &[4, 2], 6).requires_grad();
        let v3 = random(device, &[3, 2], 7).requires_grad();
        let v4 = v1.matmul(&v2)?;
        let v5 = v4.exp()?;
        let v6 = v4.add(&v5)?;
        let v7 = v6.mse_loss(&v3, Reduction::Mean)?;
        let one = Tensor::ones(device, &[])?;
        let got = grad(&[&v7], &[&v6, &v5, &v4, &v3, &v2, &v1], &[&one])?;
        let g = v6.sub(&v3)?.mul_scalar(2.0 / 6.0)?;
        let h = g.mul(&v4.exp()?)?.add(&g)?;
        let expected = [g.clone(), g.clone(), h.clone(), g.neg()?, v1.t()?.matmul(&h)?, h.matmul(&v2.t()?)?];
        for (got, expected) in got.iter().zip(&expected) {
            close(got.as_ref().unwrap(), expected, 16)?;
        }
        Ok(())
    });
}

#[test]
fn adjoints_and_gradients_add_up() {
    everywhere(|device| {
        let x = tensor(device, &[3.0], &[1]).requires_grad();
        x.add(&x)?.mul(&x)?.backward()?;
        assert_eq!(x.grad().unwrap().item::<f32>()?, 12.0);
        x.square()?.backward()?;
        assert_eq!(x.grad().unwrap().item::<f32>()?, 18.0);
        x.zero_grad();
        assert!(x.grad().is_none());
        Ok(())
    });
}

#[test]
fn gradients_of_a_convolution_are_convolutions() {
    everywhere(|device| {
        let x = random(device, &[1, 1, 6, 6], 8).requires_grad();
        let weight = random(device, &[1, 1, 3, 3], 9).requires_grad();
        let y = x.conv2d(&weight, None, &Conv2dOptions::default())?;
        let cotangent = random(device, &[1, 1, 4, 4], 10);
        let got = grad(&[&y], &[&x, &weight], &[&cotangent])?;
        let mut turned = weight.to_vec::<f32>()?;
        turned.reverse();
        let turned = tensor(device, &turned, &[1, 1, 3, 3]);
        close(got[0].as_ref().unwrap(), &cotangent.conv2d(&turned, None, &padded(2))?, 9)?;
        close(got[1].as_ref().unwrap(), &x.conv2d(&cotangent, None, &Conv2dOptions::default())?, 16)?;
        Ok(())
    });
}

#[test]
fn second_derivatives() {
    everywhere(|device| {
        let x = tensor(device, &[-1.5, 0.0, 2.0], &[3]).requires_grad();
        let one = Tensor::ones(device, &[3])?;
        let first = grad(&[&x.mul(&x)?.mul(&x)?], &[&x], &[&one])?.remove(0).unwrap();
        let second = grad(&[&first], &[&x], &[&one])?.remove(0).unwrap();
        assert_eq!(second.to_vec::<f32>()?, [-9.0, 0.0, 12.0]);
        Ok(())
    });
}

#[test]
fn zero_weights_learn_nothing() {
    everywhere(|device| {
        let weights: Vec<Tensor> =
            (0..3).map(|_| Tensor::zeros(device, &[4, 4]).map(|w| w.requires_grad())).collect::<Result<_>>()?;
        let mut x = random(device, &[5, 4], 11);
        for weight in &weights {
            x = x.linear(weight, None)?.tanh()?;
        }
        x.mse_loss(&random(device, &[5, 4], 12), Reduction::Mean)?.backward()?;
        for weight in &weights {
            assert_eq!(weight.grad().unwrap().to_vec::<f32>()?, [0.0; 16]);
        }
        Ok(())
    });
}

#[test]
fn errors_name_what_does_not_fit() {
    let device = Device::reference();
    let ones = |shape: &[usize]| Tensor::ones(&device, shape).unwrap();
    let error = ones(&[2, 2, 2, 3, 4]).matmul(&ones(&[2, 3, 4, 3])).unwrap_err().to_string();
    assert!(error.contains("matmul") && error.contains("2 and 3") && error.contains("dimension"), "{error}");
    let error = ones(&[1, 4, 5, 5]).conv2d(&ones(&[3, 2, 3, 3]), None, &Conv2dOptions { groups: 3, ..padded(0) });
    assert!(error.unwrap_err().to_string().contains("groups"));
    assert!(ones(&[1, 1, 2, 2]).conv2d(&ones(&[1, 1, 3, 3]), None, &padded(0)).is_err());
    let labels = Tensor::from_slice(&device, &[5], &[1]).unwrap();
    let loss = ones(&[1, 5]).cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
    assert!(loss.item::<f32>().unwrap_err().to_string().contains("index 5 is out of range for a dimension of size 5"));
}
