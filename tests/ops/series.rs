//! Elementary functions that kernels compute by a series near 0: a last term may be smaller than the rounding error of one
//! result, but not than the average of a thousand.

use crate::common::adapter;
use std::ops::Range;
use wgrad::{Result, Tensor};

type Function = (&'static str, fn(&Tensor) -> Result<Tensor>, fn(f64) -> f64, Range<f64>);

/// Each near the end of its series' range.
const FUNCTIONS: [Function; 4] = [
    ("log1p", Tensor::log1p, f64::ln_1p, -0.299..-0.28),
    ("expm1", Tensor::expm1, f64::exp_m1, 0.33..0.349),
    ("sinh", Tensor::sinh, f64::sinh, 0.95..0.999),
    ("tanh", Tensor::tanh, f64::tanh, 0.6..0.624),
];

#[test]
fn errors_of_series_have_no_side() {
    const COUNT: usize = 1000;
    let Some(device) = adapter() else { return };
    for (name, function, exact, Range { start, end }) in FUNCTIONS {
        let at = |i: usize| (start + (end - start) * i as f64 / COUNT as f64) as f32;
        let x: Vec<f32> = (0..COUNT).map(at).collect();
        let y = function(&Tensor::from_slice(&device, &x, &[COUNT]).unwrap()).unwrap().to_vec::<f32>().unwrap();
        let error = |(x, y): (&f32, &f32)| f64::from(*y) / exact(f64::from(*x)) - 1.0;
        let mean = x.iter().zip(&y).map(error).sum::<f64>() / COUNT as f64;
        assert!(mean.abs() < 0.5 * f64::from(f32::EPSILON), "{name}: {mean:.1e} on average");
    }
}
