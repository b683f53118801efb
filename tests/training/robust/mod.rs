//! Attacks and defences of one small network, whose weights follow from their names.

mod attacks;
mod bounds;
mod inputs;
mod novelty;
mod search;
mod smoothing;
mod training;

use crate::common::from_names::{fill, numbers};
use wgrad::data::Normalization;
use wgrad::nn::{self, Conv2d, Linear, Module, Scope};
use wgrad::{Conv2dOptions, Device, Result, Tensor};

const SHAPE: [usize; 4] = [3, 2, 7, 6];

struct Net {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Net {
    fn new(device: &Device) -> Net {
        let (s, options) = (Scope::new(device), Conv2dOptions::default());
        let net = Net {
            conv1: Conv2d::new(&s.at("conv1"), 2, 5, 3, &options.padding(1)).unwrap(),
            conv2: Conv2d::new(&s.at("conv2"), 5, 6, 3, &options.stride(2)).unwrap(),
            fc: Linear::new(&s.at("fc"), 36, 4).unwrap(),
        };
        fill(&net, device);
        net
    }
}

impl Module for Net {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv2.forward(&self.conv1.forward(x)?.tanh()?)?.tanh()?;
        self.fc.forward(&x.flatten(1, -1)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv1, conv2, fc]
    }
}

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
