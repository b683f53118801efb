//! Attacks and defences of one small network, whose weights follow from their names.

mod attacks;
mod bounds;
mod inputs;
mod novelty;
mod search;
mod smoothing;
mod training;

use crate::common::from_names::numbers;
use crate::nets::TwoConvolutions as Net;
use wgrad::data::Normalization;
use wgrad::{Device, Tensor};

const SHAPE: [usize; 4] = [3, 2, 7, 6];

fn images(device: &Device) -> Tensor {
    let unit = numbers("attacked", SHAPE.iter().product());
    let values: Vec<f32> = unit.map(|value| (0.5 + 0.45 * f64::from(value as f32)) as f32).collect();
    Tensor::from_slice(device, &values, &SHAPE).unwrap()
}

fn normalization() -> Normalization {
    Normalization::new(&[0.5, 0.5], &[0.25, 0.25]).unwrap()
}

fn largest(values: &Tensor) -> f64 {
    values.abs().unwrap().amax_all().unwrap().to_f64().unwrap()[0]
}
