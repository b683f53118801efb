//! Worked answers from course exams, quizzes and interview collections on convolutional networks: facts that a
//! correct framework reproduces, on the adapter and on the reference.

#[path = "../common/mod.rs"]
mod common;

mod errors;
mod gradients;
mod shapes;
mod values;

use common::{Random, adapter};
use wgrad::{Conv2dOptions, Device, Result, Tensor};

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

/// Equal up to rounding of sums of `terms` numbers.
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
