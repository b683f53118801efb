//! Initial weights by kind of layer, as torchvision draws them.

use crate::error::Result;
use crate::graph::Parameter;
use crate::nn::{Module, init};
use std::collections::HashMap;

/// Draws the weights of all convolutions by one function and those of all linear layers by another, and sets their biases to
/// zero. Norms keep their ones and zeros.
pub(super) fn draw(
    module: &dyn Module,
    convolution: impl Fn(&Parameter) -> Result<()>,
    linear: impl Fn(&Parameter) -> Result<()>,
) -> Result<()> {
    draw_weights(module, convolution, linear)?;
    of_layers(module, ".bias", |_, bias| init::zeros(bias))
}

/// [`draw`] that leaves biases alone.
pub(super) fn draw_weights(
    module: &dyn Module,
    convolution: impl Fn(&Parameter) -> Result<()>,
    linear: impl Fn(&Parameter) -> Result<()>,
) -> Result<()> {
    of_layers(module, ".weight", |rank, weight| if rank > 2 { convolution(weight) } else { linear(weight) })
}

/// Runs a function on the weights, or the biases, of all convolutions and linear layers, with the rank of the layer's
/// weight.
fn of_layers(module: &dyn Module, suffix: &str, each: impl Fn(usize, &Parameter) -> Result<()>) -> Result<()> {
    let parameters = module.parameters();
    let weights = parameters.iter().filter_map(|p| Some((p.name().strip_suffix(".weight")?, p)));
    let ranks: HashMap<&str, usize> = weights.map(|(layer, weight)| (layer, weight.value().rank())).collect();
    for parameter in &parameters {
        let rank = parameter.name().strip_suffix(suffix).and_then(|layer| ranks.get(layer));
        if let Some(&rank @ 2..) = rank {
            each(rank, parameter)?;
        }
    }
    Ok(())
}

/// Normal numbers of mean 0 and a deviation.
pub(super) fn normal(std: f64) -> impl Fn(&Parameter) -> Result<()> {
    move |weight| init::normal(weight, 0.0, std)
}

/// Normal numbers of mean 0 and a deviation, none further away than 2.
pub(super) fn trunc_normal(std: f64) -> impl Fn(&Parameter) -> Result<()> {
    move |weight| init::trunc_normal(weight, 0.0, std, -2.0, 2.0)
}

/// Normal numbers that keep the deviation of gradients through rectifiers.
pub(super) fn kaiming_fan_out(weight: &Parameter) -> Result<()> {
    init::kaiming_normal(weight, init::FanMode::FanOut, init::Nonlinearity::Relu)
}

/// A weight as it is.
pub(super) fn kept(_: &Parameter) -> Result<()> {
    Ok(())
}

/// Sets the biases of linear layers to zero, and leaves those of convolutions alone.
pub(super) fn zero_biases_of_linear_layers(module: &dyn Module) -> Result<()> {
    of_layers(module, ".bias", |rank, bias| if rank == 2 { init::zeros(bias) } else { Ok(()) })
}
