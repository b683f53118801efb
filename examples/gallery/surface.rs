//! The loss around LeNet-5's weights.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::explain::{ColourMap, LossSurfaceOptions, loss_surface};
use wgrad::nn::Module;
use wgrad::{CrossEntropyOptions, InterpolateMode, InterpolateOptions, Tensor};

const SIDE: usize = 300;
/// Bands between two contour lines.
const BANDS: f64 = 12.0;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = context.lenet()?;
    let (images, labels) = context.test(context.amount(512, 4))?;
    let options = LossSurfaceOptions::default().points(context.amount(25, 3));
    let surface =
        loss_surface(net, &options, || net.forward(&images)?.cross_entropy(&labels, &CrossEntropyOptions::default()))?;
    let points = surface.places.len();
    let middle = surface.at(points / 2, points / 2);
    let largest = surface.losses.iter().copied().fold(f64::MIN, f64::max);
    // By its logarithm, from 0 to 1, so that the valley is visible.
    let share = |loss: &f64| (loss / middle).ln() / (largest / middle).ln();
    let shares: Vec<f64> = surface.losses.iter().map(share).collect();
    let grid = Tensor::from_f64(&context.device, &shares, &[1, 1, points, points])?;
    let smooth = InterpolateOptions::default().size([SIDE, SIDE]).mode(InterpolateMode::Bicubic);
    let heights = grid.interpolate(&smooth)?.to_f64()?;
    sheet(&contoured(context, &heights)?, 1, 1, path)?;
    Ok(vec![("middle", format!("{middle:.4}")), ("largest", format!("{largest:.1}")), ("points", points.to_string())])
}

/// Heights in colours, with dark lines where one band ends and the next begins.
fn contoured(context: &Context, heights: &[f64]) -> Result<Tensor> {
    let band = |y: usize, x: usize| (heights[y * SIDE + x] * BANDS).floor();
    let is_line = |at: usize| {
        let (y, x) = (at / SIDE, at % SIDE);
        (y > 0 && band(y, x) != band(y - 1, x)) || (x > 0 && band(y, x) != band(y, x - 1))
    };
    let lines: Vec<bool> = (0..SIDE * SIDE).map(is_line).collect();
    let lines = Tensor::from_slice(&context.device, &lines, &[1, 1, SIDE, SIDE])?;
    let heights = Tensor::from_f64(&context.device, heights, &[1, 1, SIDE, SIDE])?;
    Ok(ColourMap::Viridis.paint(&heights)?.masked_fill(&lines, 0.1)?)
}
