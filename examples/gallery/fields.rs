//! Receptive fields of stacks of convolutions: the theoretical square, and the gradient within it.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::explain::{ColourMap, effective_receptive_field};
use wgrad::nn::init::{FanMode, Nonlinearity, kaiming_normal};
use wgrad::nn::{Conv2d, Module, Relu, Scope, Sequential, receptive_field};
use wgrad::{Conv2dOptions, Tensor};

const SIDE: usize = 63;
const WIDTH: usize = 8;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let images = Tensor::randn(&context.device, &[context.amount(32, 1), WIDTH, SIDE, SIDE])?;
    let (mut pictures, mut numbers) = (Vec::new(), Vec::new());
    for (depth, names) in [(5, ["theory5", "size5"]), (10, ["theory10", "size10"]), (20, ["theory20", "size20"])] {
        let mut net = Sequential::new(&Scope::new(&context.device));
        for _ in 0..depth {
            net = net.push(Relu).make(|s| Conv2d::new(s, WIDTH, WIDTH, 3, &Conv2dOptions::default().padding(1)))?;
        }
        // Activations keep their size from layer to layer.
        for (_, weight) in net.named_parameters().iter().filter(|(name, _)| name.ends_with("weight")) {
            kaiming_normal(weight, FanMode::FanIn, Nonlinearity::Relu)?;
        }
        let theory = receptive_field(&net, &[1, WIDTH, SIDE, SIDE])?.size[0];
        let field = effective_receptive_field(&net, &images, "")?;
        let gradient = (&field.gradient / field.gradient.amax_all()?)?;
        pictures.push(framed(&ColourMap::Viridis.paint(&gradient)?, theory)?);
        numbers.extend([(names[0], theory.to_string()), (names[1], format!("{:.1}", field.size()?))]);
    }
    sheet(&Tensor::cat(&pictures.iter().collect::<Vec<_>>(), 0)?, pictures.len(), 4, path)?;
    Ok(numbers)
}

/// A picture with a white square of this side around its middle.
fn framed(picture: &Tensor, side: usize) -> Result<Tensor> {
    let middle = SIDE / 2;
    let (first, last) = (middle - side / 2, middle + side / 2);
    let is_frame = |y: usize, x: usize| {
        let within = |at: usize| (first..=last).contains(&at);
        within(y) && within(x) && (y == first || y == last || x == first || x == last)
    };
    let mask: Vec<bool> = (0..SIDE * SIDE).map(|at| is_frame(at / SIDE, at % SIDE)).collect();
    let mask = Tensor::from_slice(picture.device(), &mask, &[1, 1, SIDE, SIDE])?;
    Ok(picture.masked_fill(&mask, 1.0)?)
}
