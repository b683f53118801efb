//! Training in half precision.

use crate::common;
use wgrad::amp::{AutocastOptions, autocast, autocast_with};
use wgrad::{
    DType, Device, DeviceOptions, Disable, Error, Graph, Noop, Parameter, Reduction, Result, Tensor, checkpoint,
};

fn noop(f16: bool) -> Device {
    let noop = Noop { f16, ..Noop::default() };
    Device::with_options(&DeviceOptions { noop: Some(noop), ..DeviceOptions::default() }).unwrap()
}

fn product(x: &Tensor) -> Result<DType> {
    Ok(x.matmul(x)?.dtype())
}

#[test]
fn settings_lie_in_each_other_and_end() {
    let x = Tensor::ones(&Device::reference(), &[2, 2]).unwrap();
    let off = AutocastOptions::default().enabled(false);
    let types = autocast(DType::F16, || {
        let inner = autocast_with(&off, || Ok([product(&x)?, autocast(DType::F16, || product(&x))?, product(&x)?]))?;
        let failed: Result<()> = autocast_with(&off, || Err(x.reshape(&[3]).unwrap_err()));
        assert!(failed.is_err());
        let other = std::thread::scope(|scope| scope.spawn(|| product(&x)).join().unwrap())?;
        Ok((inner, product(&x)?, other))
    });
    assert_eq!(types.unwrap(), ([DType::F32, DType::F16, DType::F32], DType::F16, DType::F32));
    assert_eq!(product(&x).unwrap(), DType::F32);
    let error = autocast(DType::I32, || product(&x)).unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "autocast", .. }), "{error}");
}

#[test]
fn an_adapter_without_f16_says_so_or_stays_with_f32() {
    let x = Tensor::ones(&noop(false), &[2, 2]).unwrap();
    let error = autocast(DType::F16, || product(&x)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { op: "autocast", feature: "shader-f16", .. }), "{error}");
    let or_f32 = AutocastOptions::default().or_f32(true);
    assert_eq!(autocast_with(&or_f32, || product(&x)).unwrap(), DType::F32);
}

/// A weight that is read three times, in a checkpoint too, is one cast and gets one gradient of f32, that of the plain calls on
/// a rounded weight.
#[test]
fn weights_are_cast_once_and_get_gradients_of_f32() {
    for device in [Some(Device::reference()), common::poisoned(Disable::default())].into_iter().flatten() {
        if !common::has_f16(&device) {
            continue;
        }
        let w = Tensor::from_slice(&device, &[0.1f32, -0.7, 1.3, 0.4], &[2, 2]).unwrap();
        let x = Tensor::from_slice(&device, &[1.0f32, 2.0, -3.0, 0.5], &[2, 2]).unwrap();
        let weight = Parameter::new("weight", &w);
        let thrice = |w: &Tensor| x.matmul(w)?.relu()?.matmul(w)?.matmul(w)?.sum_all();
        let loss = autocast(DType::F16, || checkpoint(|_: &()| thrice(&weight.value()), &())).unwrap();
        assert_eq!(loss.dtype(), DType::F32);
        let casts = Graph::of(&[&loss]).unwrap().to_string().matches("to_dtype").count();
        loss.backward().unwrap();
        let gradient = weight.grad().unwrap();
        assert_eq!(gradient.dtype(), DType::F32);
        // By hand: three products in f16.
        let leaf = w.to_dtype(DType::F16).unwrap().requires_grad();
        let halves = x.to_dtype(DType::F16).unwrap();
        let y = halves.matmul(&leaf).unwrap().relu().unwrap().matmul(&leaf).unwrap().matmul(&leaf).unwrap();
        let by_hand = y.to_dtype(DType::F32).unwrap().sum_all().unwrap();
        by_hand.backward().unwrap();
        assert_eq!(loss.to_f64().unwrap(), by_hand.to_f64().unwrap());
        assert_eq!(gradient.to_f64().unwrap(), leaf.grad().unwrap().to_f64().unwrap());
        assert!(casts <= 3, "{casts} casts");
    }
}

#[test]
fn a_loss_of_probabilities_is_refused() {
    let p = Tensor::full(&Device::reference(), &[3], 0.5f32).unwrap();
    let loss = || p.binary_cross_entropy(&p, None, Reduction::Mean);
    let error = autocast(DType::F16, loss).unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "binary_cross_entropy", .. }), "{error}");
    assert!(error.to_string().contains("binary_cross_entropy_with_logits"), "{error}");
    assert!(loss().is_ok());
}
