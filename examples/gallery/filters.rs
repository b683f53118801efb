//! The weights of both convolutions of LeNet-5.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::explain::{Stretch, filters};

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = context.lenet()?;
    let [first, second] = ["conv1", "conv2"].map(|layer| filters(net, layer, Stretch::Each));
    let (first, second) = (first?, second?);
    let (channels, side) = (first.shape()[0], second.shape()[2] as isize);
    // A row for each channel of the first layer: its filter, and the weights by which the second layer reads it.
    let second = second.reshape(&[-1, channels as isize, 1, side, side])?.transpose(0, 1)?;
    let rows = Tensor::cat(&[&first.unsqueeze(1)?, &second], 1)?;
    sheet(&rows.flatten(0, 1)?, rows.shape()[1], 7, path)?;
    Ok(vec![])
}
