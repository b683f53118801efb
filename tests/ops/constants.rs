//! Chains of calls over constants: any length, in time and text that grow with it.

use crate::common;
use crate::common::launches::noop;
use wgrad::{Device, DeviceOptions, Noop, Result, Tensor};

/// A name, and a program that reads one number.
type Program = (&'static str, fn(&Device) -> Result<f64>);

fn first(x: &Tensor) -> Result<f64> {
    Ok(x.to_f64()?[0])
}

const PROGRAMS: [Program; 7] = [
    ("200 additions of 1", |device| {
        let mut count = Tensor::zeros(device, &[4])?;
        for _ in 0..200 {
            count = count.add_scalar(1.0)?;
        }
        first(&count)
    }),
    ("60 doublings", |device| {
        let mut x = Tensor::ones(device, &[4])?;
        for _ in 0..60 {
            x = x.add(&x)?;
        }
        first(&x)
    }),
    ("60 squares of 1, through views", |device| {
        let mut x = Tensor::ones(device, &[4, 3])?;
        for _ in 0..60 {
            x = x.detach().square()?.t()?;
        }
        first(&x)
    }),
    ("the gradient of 60 steps", |device| {
        let x = Tensor::from_slice(device, &[1.0f32, 2.0], &[2])?.requires_grad();
        let mut y = x.copy()?;
        for _ in 0..60 {
            y = y.add(&y.mul_scalar(0.002)?)?;
        }
        y.sum_all()?.backward()?;
        first(&x.grad().expect("a gradient"))
    }),
    ("the gradient of a leaky integrator of 250 steps", |device| {
        let x = Tensor::from_slice(device, &[1.0f32, 2.0], &[2])?.requires_grad();
        let (mut h, mut loss) = (Tensor::zeros(device, &[2])?, Tensor::zeros(device, &[])?);
        for _ in 0..250 {
            h = h.mul_scalar(0.99)?.add(&x)?;
            loss = loss.add(&h.sum_all()?)?;
        }
        loss.backward()?;
        first(&x.grad().expect("a gradient"))
    }),
    ("a constant with a shape of its own, in rows", |device| {
        let x = Tensor::from_slice(device, &[0.5f32; 64], &[8, 8])?;
        let mut scale = Tensor::ones(device, &[8])?;
        for _ in 0..12 {
            scale = scale.add(&scale)?;
        }
        first(&x.mul(&scale)?.softmax(1)?.add(&scale)?)
    }),
    ("places of the elements of a constant", |device| first(&Tensor::ones(device, &[4, 4])?.tril(0)?.sum_all()?)),
];

#[test]
fn chains_over_constants_have_any_length() {
    let Some(device) = common::adapter() else { return };
    for (name, program) in PROGRAMS {
        let expected = program(&Device::reference()).unwrap();
        let got = program(&device).unwrap_or_else(|e| panic!("{name}: {e}"));
        // One rounding a call.
        assert!(
            (got - expected).abs() <= 500.0 * f64::from(f32::EPSILON) * expected.abs(),
            "{name}: {got}, not {expected}"
        );
    }
}

#[test]
fn text_is_bounded_whatever_is_shared() {
    let kinds = [Noop::default(), Noop { software: false, subgroup_size: 32, ..Noop::default() }];
    for noop in kinds {
        let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
        for (name, program) in PROGRAMS {
            program(&device).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        for (name, source) in device.shader_sources() {
            // Up to 48 calls in a kernel, of up to eight constants each.
            let longest = source.lines().map(str::len).max().unwrap_or(0);
            assert!(source.len() < 40_000 && longest < 800, "{name}: {} bytes, a line of {longest}", source.len());
        }
    }
}

#[test]
fn a_hundred_thousand_calls_are_planned() {
    let device = noop();
    let mut x = Tensor::ones(&device, &[4]).unwrap();
    for call in 0..100_000 {
        x = if call % 2 == 0 { x.add(&x).unwrap() } else { x.mul_scalar(0.5).unwrap() };
    }
    x.to_vec::<f32>().unwrap();
    let text: usize = device.shader_sources().iter().map(|(_, source)| source.len()).sum();
    assert!(text < 1 << 20, "{text} bytes of shaders");
}
