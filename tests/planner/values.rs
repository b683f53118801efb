//! Fusing and reusing memory change no value.

use super::plans::random;
use crate::common::{Random, adapter};
use wgrad::{Device, Parameter, Result, Tensor};

/// A random program over pointwise calls, views, sums and products; `keep` sees every intermediate value.
fn program(device: &Device, seed: u64, mut keep: impl FnMut(&Tensor)) -> Result<Tensor> {
    let mut choose = Random(seed);
    let mut values =
        vec![random(device, &[4, 6], seed), random(device, &[6, 4], seed + 1), random(device, &[6], seed + 2)];
    for _ in 0..24 {
        let pick =
            |values: &[Tensor], choose: &mut Random| values[(choose.unit() * values.len() as f64) as usize].clone();
        let x = pick(&values, &mut choose);
        let y = match (choose.unit() * 9.0) as u32 {
            0 => x.sin()?,
            1 => x.sigmoid()?.mul_scalar(1.5)?,
            2 => x.add_scalar(0.25)?,
            3 if x.rank() == 2 => x.t()?,
            4 if x.rank() == 2 => x.sum_keepdim(0)?.expand(&[x.shape()[0] as isize, x.shape()[1] as isize])?.tanh()?,
            5 if x.rank() == 2 => x.matmul(&x.t()?)?.tanh()?.matmul(&x)?,
            6 if x.rank() == 2 => x.softmax(1)?,
            7 => x.mul(&x)?.sub(&x)?,
            _ => {
                let other = pick(&values, &mut choose);
                match x.add(&other) {
                    Ok(sum) => sum.tanh()?,
                    Err(_) => x.neg()?,
                }
            }
        };
        keep(&y);
        values.push(y);
    }
    let mut total = Tensor::scalar(device, 0.0f32)?;
    for value in &values {
        total = total.add(&value.sum_all()?)?;
    }
    Ok(total)
}

#[test]
fn fusing_and_reusing_memory_change_no_value() {
    let Some(device) = adapter() else { return };
    for seed in 0..40 {
        let fused = program(&device, seed, |_| {}).unwrap().item::<f32>().unwrap();
        // Every intermediate is held, so none is fused away and none is overwritten.
        let mut held = Vec::new();
        let apart = program(&device, seed, |t| held.push(t.clone())).unwrap().item::<f32>().unwrap();
        // Every intermediate is computed by itself, before anything else is recorded.
        let stepwise = program(&device, seed, |t| drop(t.to_vec::<f32>().unwrap())).unwrap().item::<f32>().unwrap();
        let expected = program(&Device::reference(), seed, |_| {}).unwrap().to_f64().unwrap()[0];
        // 27 sums of up to 36 terms of about 1, of values some 20 calls deep.
        let allowed = 27.0 * 36.0 * 4.0 * f64::from(f32::EPSILON) * expected.abs().max(1.0);
        for (how, got) in [("fused", fused), ("apart", apart), ("stepwise", stepwise)] {
            let error = (f64::from(got) - expected).abs();
            assert!(error <= allowed, "seed {seed}, {how}: expected {expected}, got {got}");
        }
        // Held values read the same as the reference's.
        let mut reference = Vec::new();
        program(&Device::reference(), seed, |t| reference.push(t.clone())).unwrap();
        for (i, (got, expected)) in held.iter().zip(&reference).enumerate() {
            for (g, e) in got.to_f64().unwrap().iter().zip(expected.to_f64().unwrap()) {
                assert!((g - e).abs() <= 1e-4 * e.abs().max(1.0), "seed {seed}, value {i}: expected {e}, got {g}");
            }
        }
    }
}

#[test]
fn an_assignment_spares_values_somebody_holds() {
    for device in adapter().into_iter().chain([Device::reference()]) {
        let parameter = Parameter::new("p", &Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0], &[5]).unwrap());
        let old = parameter.value();
        let view = old.narrow(0, 1, 3).unwrap();
        let lazy = old.mul_scalar(10.0).unwrap();
        parameter.assign(&parameter.value().add_scalar(1.0).unwrap()).unwrap();
        device.flush().unwrap();
        parameter.assign(&parameter.value().add_scalar(1.0).unwrap()).unwrap();
        device.sync().unwrap();
        assert_eq!(parameter.value().to_vec::<f32>().unwrap(), [3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(old.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(view.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0]);
        assert_eq!(lazy.to_vec::<f32>().unwrap(), [10.0, 20.0, 30.0, 40.0, 50.0]);
        // Two parameters that swap.
        let a = Parameter::new("a", &Tensor::full(&device, &[3], 1.0f32).unwrap());
        let b = Parameter::new("b", &Tensor::full(&device, &[3], 2.0f32).unwrap());
        for _ in 0..3 {
            let (x, y) = (a.value(), b.value());
            a.assign(&y.add_scalar(0.0).unwrap()).unwrap();
            b.assign(&x.add_scalar(0.0).unwrap()).unwrap();
            drop((x, y));
            device.flush().unwrap();
        }
        assert_eq!(a.value().to_vec::<f32>().unwrap(), [2.0; 3]);
        assert_eq!(b.value().to_vec::<f32>().unwrap(), [1.0; 3]);
        let error = a.assign(&Tensor::ones(&device, &[4]).unwrap()).unwrap_err();
        assert!(error.to_string().contains("a holds [3] f32, not [4] f32"), "{error}");
    }
}

#[test]
fn random_numbers_do_not_depend_on_the_plan() {
    let Some(device) = adapter() else { return };
    let draw = |device: &Device, held: bool| {
        device.manual_seed(7);
        let a = Tensor::rand(device, &[50]).unwrap();
        let b = Tensor::randn(device, &[33]).unwrap();
        if held {
            a.to_vec::<f32>().unwrap();
        }
        (a.to_f64().unwrap(), b.to_f64().unwrap())
    };
    assert_eq!(draw(&device, true), draw(&device, false));
    let (a, b) = draw(&Device::reference(), false);
    let (c, d) = draw(&device, false);
    assert_eq!(a, c, "uniform numbers are exact in f32");
    b.iter().zip(&d).for_each(|(b, d)| assert!((b - d).abs() < 1e-5, "{b} {d}"));
}
