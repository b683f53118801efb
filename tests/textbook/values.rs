//! Values of layers, losses and schedules.

use crate::{close, everywhere, padded, random, tensor};
use wgrad::nn::{Dropout, Module, Scope};
use wgrad::optim::lr_scheduler::{LrScheduler, StepLr};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{BatchNormOptions, CrossEntropyOptions, Device, MaxPool2dOptions, Parameter, Result, Tensor};

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
fn inverted_dropout() {
    everywhere(|device| {
        let (x, dropout) = (random(device, &[1000], 22).add_scalar(2.0)?, Dropout::new(0.2));
        let values = x.to_vec::<f32>()?;
        let got = dropout.forward(&x)?.to_vec::<f32>()?;
        let kept = got.iter().filter(|&&value| value != 0.0).count();
        // Five deviations of a binomial.
        assert!((kept as f64 - 800.0).abs() < 5.0 * (1000.0f64 * 0.2 * 0.8).sqrt(), "{kept} kept");
        for (got, value) in got.iter().zip(&values).filter(|(got, _)| **got != 0.0) {
            approx::assert_relative_eq!(*got, value / 0.8, max_relative = 4.0 * f32::EPSILON);
        }
        dropout.eval();
        assert_eq!(dropout.forward(&x)?.to_vec::<f32>()?, values);
        Ok(())
    });
}

#[test]
fn a_step_schedule() -> Result<()> {
    let device = Device::reference();
    let weight = Scope::new(&device).parameter("weight", &Tensor::ones(&device, &[1])?);
    let mut sgd = Sgd::new(vec![weight], SgdOptions::default().lr(0.01))?;
    let mut schedule = LrScheduler::new(&mut sgd, StepLr::new(5).gamma(0.5))?;
    for _ in 0..10 {
        schedule.step(&mut sgd)?;
    }
    approx::assert_relative_eq!(sgd.lr(0)?, 0.0025, max_relative = 1e-12);
    Ok(())
}
