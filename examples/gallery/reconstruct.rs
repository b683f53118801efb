//! Digits from their features, layer by layer.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::explain::{Basis, CanvasOptions, Priors, ReconstructOptions, reconstruct};

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let digits = context.each_digit()?;
    let canvas = CanvasOptions::default().basis(Basis::Pixels);
    let priors = Priors::default().total_variation(0.02);
    let options = ReconstructOptions::default().canvas(canvas).priors(priors).steps(context.amount(300, 1)).lr(0.1);
    let (mut rows, mut numbers) = (vec![digits.clone()], Vec::new());
    for layer in ["conv1", "conv2", "fc1", "fc2", "fc3"] {
        let made = reconstruct(context.lenet()?, &digits, layer, &options)?;
        numbers.push((layer, format!("{:.3}", made.error.mean_all()?.to_f64()?[0])));
        rows.push(made.images);
    }
    sheet(&Tensor::cat(&rows.iter().collect::<Vec<_>>(), 0)?, 10, 2, path)?;
    Ok(numbers)
}
