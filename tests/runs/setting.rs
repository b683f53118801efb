//! Common parts of the tests of runs: a network with every state that a resumed run could get wrong, and images to learn.

use crate::common::Random;
use wgrad::data::{Array, Images};
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Children, Dropout, Linear, Module, Scope};
use wgrad::optim::Optimizer;
use wgrad::train::{Callback, Run, State};
use wgrad::{Device, Result, Tensor};

/// Images of 2 x 2 pixels of three classes, which are bright in different positions.
pub fn images(count: usize, seed: u64) -> Images {
    let mut random = Random(seed);
    let labels: Vec<i32> = (0..count).map(|_| (3.0 * random.unit()) as i32).collect();
    let pixel =
        |label: i32, at: i32, random: &mut Random| (random.unit() * 150.0) as u8 + if at == label { 100 } else { 0 };
    let pixels = labels.iter().flat_map(|&label| (0..4).map(move |at| (label, at)));
    let pixels: Vec<u8> = pixels.map(|(label, at)| pixel(label, at, &mut random)).collect();
    Images::new(Array::new(vec![count, 2, 2], pixels).unwrap(), labels, ["a", "b", "c"].map(String::from).into())
        .unwrap()
}

/// With running statistics and random numbers.
pub struct Net {
    body: Linear,
    norm: BatchNorm1d,
    dropout: Dropout,
    head: Linear,
}

impl Net {
    pub fn new(device: &Device) -> Net {
        let scope = Scope::new(device);
        Net {
            body: Linear::new(&scope.at("body"), 4, 8).unwrap(),
            norm: BatchNorm1d::new(&scope.at("norm"), 8, &BatchNormLayerOptions::default()).unwrap(),
            dropout: Dropout::new(0.2),
            head: Linear::new(&scope.at("head"), 8, 3).unwrap(),
        }
    }
}

impl Module for Net {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let hidden = self.norm.forward(&self.body.forward(&input.flatten(1, -1)?)?)?.relu()?;
        self.head.forward(&self.dropout.forward(&hidden)?)
    }
    fn children(&self) -> Children<'_> {
        wgrad::nn::children![self; body, norm, dropout, head]
    }
}

/// The bits of everything that training changes.
pub fn bits(device: &Device, model: &dyn Module, optimizer: &dyn Optimizer) -> Vec<u64> {
    let tensors = [model.parameters(), optimizer.buffers()].concat();
    let numbers = optimizer.numbers().unwrap();
    let numbers = numbers.values().flatten().copied();
    let random = device.random_state();
    let all = tensors.iter().flat_map(|tensor| tensor.value().to_f64().unwrap()).chain(numbers);
    all.map(f64::to_bits).chain([random.seed, random.counter]).collect()
}

/// Does something after each step.
pub struct AfterStep<F>(pub F);

impl<F: FnMut(&mut Run) -> Result<()>> Callback for AfterStep<F> {
    fn on_step_end(&mut self, run: &mut Run) -> Result<()> {
        (self.0)(run)
    }
}

/// Does something after each epoch.
pub struct AfterEpoch<F>(pub F);

impl<F: FnMut(&mut Run) -> Result<()>> Callback for AfterEpoch<F> {
    fn on_epoch_end(&mut self, run: &mut Run) -> Result<()> {
        (self.0)(run)
    }
}
