//! The answers of each channel of both convolutions to some digits.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::explain::{Stretch, feature_maps};

const SHOWN: usize = 4;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let digits = context.each_digit()?.narrow(0, 0, SHOWN)?;
    let maps = feature_maps(context.lenet()?, &digits, "conv1", Stretch::Each)?;
    let channels = maps.shape()[0] / SHOWN;
    let rows = (0..SHOWN).map(|row| Ok([digits.narrow(0, row, 1)?, maps.narrow(0, row * channels, channels)?]));
    let rows = rows.collect::<Result<Vec<_>>>()?.concat();
    sheet(&Tensor::cat(&rows.iter().collect::<Vec<_>>(), 0)?, 1 + channels, 3, path)?;
    Ok(vec![])
}
