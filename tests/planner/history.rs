//! A backward pass over a recorded history: gradients that add up, graphs that are released, histories cut off.

use crate::common::adapter;
use wgrad::{BackwardOptions, Device, Error, Tensor, grad, no_grad};

fn scalar(device: &Device, value: f32) -> Tensor {
    Tensor::from_slice(device, &[value], &[1]).unwrap().requires_grad()
}

#[test]
fn gradients_add_up_until_they_are_cleared() {
    let device = Device::reference();
    let x = scalar(&device, 3.0);
    for expected in [6.0, 12.0] {
        x.square().unwrap().backward().unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [expected]);
    }
    x.zero_grad();
    assert!(x.grad().is_none());
    // A value used twice.
    let y = x.exp().unwrap();
    y.mul(&y).unwrap().add(&y).unwrap().backward().unwrap();
    let expected = 2.0 * 6f32.exp() + 3f32.exp();
    approx::assert_relative_eq!(x.grad().unwrap().item::<f32>().unwrap(), expected, max_relative = 1e-6);
}

#[test]
fn a_released_graph_says_so() {
    for device in adapter().into_iter().chain([Device::reference()]) {
        let x = scalar(&device, 2.0);
        let y = x.square().unwrap().exp().unwrap();
        y.backward().unwrap();
        let error = y.backward().unwrap_err();
        assert!(matches!(error, Error::GraphReleased { .. }), "{error}");
        // Reading in between changes nothing.
        let y = x.square().unwrap().exp().unwrap();
        y.to_vec::<f32>().unwrap();
        let retain = BackwardOptions::default().retain_graph(true);
        y.backward_with(retain.clone()).unwrap();
        y.backward_with(retain).unwrap();
        y.backward().unwrap();
        assert!(matches!(y.backward(), Err(Error::GraphReleased { .. })));
        approx::assert_relative_eq!(x.grad().unwrap().item::<f32>().unwrap(), 16.0 * 4f32.exp(), max_relative = 1e-5);
    }
}

#[test]
fn history_can_be_cut_off() {
    let device = Device::reference();
    let x = scalar(&device, 2.0);
    let y = x.square().unwrap().detach().mul(&x).unwrap();
    y.backward().unwrap();
    assert_eq!(x.grad().unwrap().item::<f32>().unwrap(), 4.0);
    let z = no_grad(|| x.square()).unwrap();
    assert!(!z.is_tracked());
    assert!(matches!(z.backward(), Err(Error::NoGradient { .. })));
    assert!(no_grad(|| no_grad(|| x.exp())).is_ok_and(|t| !t.is_tracked()));
    assert!(x.exp().unwrap().is_tracked(), "no_grad ends with its closure");
    // More than one element needs a cotangent.
    let vector = Tensor::ones(&device, &[3]).unwrap().requires_grad();
    assert!(matches!(vector.exp().unwrap().backward(), Err(Error::Invalid { .. })));
    let gradient = Some(Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[3]).unwrap());
    let options = BackwardOptions::default().gradient(gradient);
    vector.mul_scalar(2.0).unwrap().backward_with(options).unwrap();
    assert_eq!(vector.grad().unwrap().to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0]);
}

#[test]
fn gradients_of_gradients() {
    for device in adapter().into_iter().chain([Device::reference()]) {
        let x = scalar(&device, 3.0);
        let one = Tensor::ones(&device, &[1]).unwrap();
        let mut y = x.mul(&x).unwrap().mul(&x).unwrap().mul(&x).unwrap();
        for expected in [108.0, 108.0, 72.0, 24.0] {
            y = grad(&[&y], &[&x], &[&one]).unwrap().remove(0).unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap(), [expected]);
        }
        assert!(grad(&[&y], &[&x], &[&one]).unwrap()[0].as_ref().is_none_or(|g| g.to_vec::<f32>().unwrap() == [0.0]));
        // Through backward, too.
        let y = x.mul(&x).unwrap().mul(&x).unwrap();
        y.backward_with(BackwardOptions::default().create_graph(true)).unwrap();
        let first = x.grad().unwrap();
        x.zero_grad();
        first.backward().unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [18.0]);
    }
}
