//! Gradients, and steps along them.

use crate::{close, everywhere, padded, random, tensor};
use wgrad::optim::{Adam, AdamOptions, Optimizer, Sgd, SgdOptions};
use wgrad::{AvgPool2dOptions, Conv2dOptions, MaxPool2dOptions, Parameter, Reduction, Result, Tensor, grad};

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
fn adam_without_its_second_moment_is_a_step_along_averages() {
    const BETA: f64 = 0.9;
    everywhere(|device| {
        let start = random(device, &[6], 13);
        let [of_adam, of_sgd] = [0; 2].map(|_| Parameter::new("weight", &start));
        // Next to such an eps the second moment is negligible, and the step is divided by eps alone.
        let eps = 1e9;
        let mut adam = Adam::new(vec![of_adam.clone()], AdamOptions::default().betas((BETA, 0.999)).eps(eps))?;
        let momentum = SgdOptions::default().lr(0.1).momentum(BETA).dampening(BETA);
        let mut sgd = Sgd::new(vec![of_sgd.clone()], momentum)?;
        // An average of a first gradient of zero: PyTorch's momentum begins with the gradient itself.
        of_sgd.set_grad(Some(Tensor::zeros(device, &[6])?))?;
        sgd.step()?;
        for step in 1..=5 {
            let gradient = random(device, &[6], 14 + step as u64);
            // Adam divides its average by this factor.
            adam.set_lr(0, 0.1 * eps * (1.0 - BETA.powi(step)))?;
            for (parameter, optimizer) in [(&of_adam, &mut adam as &mut dyn Optimizer), (&of_sgd, &mut sgd)] {
                parameter.set_grad(Some(gradient.clone()))?;
                optimizer.step()?;
            }
        }
        close(&of_adam.value(), &of_sgd.value(), 16)
    });
}
