//! Values that are set from outside: gradients, seeds and assignments of another shape, type or device.

use super::{devices, says, with};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{BackwardOptions, Device, Error, Parameter, Result, Tensor, grad};

#[test]
fn gradients_and_values_that_do_not_fit() {
    for device in devices() {
        let elsewhere = Tensor::ones(&Device::reference(), &[4]).unwrap();
        let p = Parameter::new("p", &Tensor::ones(&device, &[4]).unwrap());
        let mut sgd = Sgd::new(vec![p.clone()], SgdOptions::default().lr(1.0)).unwrap();
        // By itself, and in an optimizer's pack.
        let q = Parameter::new("q", &Tensor::ones(&device, &[4]).unwrap());
        for parameter in [&p, &q] {
            let name = parameter.name();
            for shape in [&[10usize][..], &[1000], &[], &[2, 2], &[0]] {
                let other = Tensor::ones(&device, shape).unwrap();
                says(parameter.set_grad(Some(other.clone())), &["set_grad", name, "[4] f32"]);
                says(parameter.assign(&other), &["assign", name, "[4] f32"]);
            }
            let count = Tensor::full(&device, &[4], 1i32).unwrap();
            says(parameter.set_grad(Some(count.clone())), &["set_grad", "[4] i32"]);
            says(parameter.assign(&count), &["assign", "[4] i32"]);
            for result in [parameter.set_grad(Some(elsewhere.clone())), parameter.assign(&elsewhere)] {
                assert!(matches!(result, Err(Error::DeviceMismatch { .. })), "{result:?}");
            }
            assert!(parameter.grad().is_none());
        }
        p.set_grad(Some(Tensor::full(&device, &[4], 0.5f32).unwrap())).unwrap();
        sgd.step().unwrap();
        assert_eq!(p.value().to_vec::<f32>().unwrap(), [0.5; 4]);
        p.set_grad(None).unwrap();
        assert!(p.grad().is_none());
    }
}

#[test]
fn seeds_that_do_not_fit() {
    for device in devices() {
        let x = Tensor::ones(&device, &[3]).unwrap().requires_grad();
        let y = x.square().unwrap();
        let count = Tensor::full(&device, &[3], 1i32).unwrap();
        let (short, elsewhere) = (with(&x, &[2]), Tensor::ones(&Device::reference(), &[3]).unwrap());
        let backward = |seed: &Tensor| y.backward_with(BackwardOptions::default().gradient(seed.clone()));
        let of = |seed: &Tensor| grad(&[&y], &[&x], &[seed]).map(drop);
        for seeded in [&backward as &dyn Fn(&Tensor) -> Result<()>, &of] {
            says(seeded(&count), &["a gradient of [3] i32 for a value of [3] f32"]);
            says(seeded(&short), &["a gradient of [2] f32 for a value of [3] f32"]);
            assert!(matches!(seeded(&elsewhere), Err(Error::DeviceMismatch { .. })));
        }
        assert!(x.grad().is_none());
    }
}
