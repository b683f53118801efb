//! Superpixels of digits, and LIME's linear model of them.

use super::common::Result;
use super::context::{Context, columns, rgb, sheet, signed};
use super::page::Numbers;
use std::path::Path;
use wgrad::explain::{ColourMap, Explainer, LimeOptions, SlicOptions, slic};
use wgrad::{DType, Tensor};

const SHOWN: usize = 4;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let explainer = Explainer::new(context.lenet()?);
    let x = &context.each_digit()?.narrow(0, 2, SHOWN)?;
    let superpixels = slic(x, &SlicOptions::default().segments(40))?;
    let options = LimeOptions::default().samples(context.amount(1000, 50));
    let map = explainer.lime(x, &superpixels.features, superpixels.count, &options)?;
    let numbers = superpixels.features.to_dtype(DType::F32)?;
    // Neighbours have numbers that are near, so colours go round a few times.
    let shares = ((&numbers * 0.377)? - (&numbers * 0.377)?.floor()?)?;
    let parts: [Tensor; 3] = [rgb(x)?, ColourMap::Viridis.paint(&shares)?, signed(&map)?];
    sheet(&columns(&parts)?, 2 * parts.len(), 3, path)?;
    Ok(vec![("count", superpixels.count.to_string()), ("samples", options.samples.to_string())])
}
