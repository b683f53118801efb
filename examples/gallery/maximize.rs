//! Images that excite classes and channels most.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::explain::{Basis, CanvasOptions, MaximizeOptions, Objective, Priors, Transformations, maximize_activation};

/// Pictures of a row.
const COLUMNS: usize = 10;
/// Digits to compare with.
const SAMPLE: usize = 1000;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = context.lenet()?;
    let moves = Transformations::default().jitter(2).rotation(5.0);
    let options = |basis: Basis, priors: Priors| {
        let canvas = CanvasOptions::default().basis(basis);
        MaximizeOptions::default().steps(context.amount(256, 1)).canvas(canvas).priors(priors).transformations(moves)
    };
    let waves = options(Basis::Fourier { decay: 1.0 }, Priors::default().norm(20.0).total_variation(20.0));
    let pixels = options(Basis::Pixels, Priors::default().total_variation(0.3).norm(0.3));
    let (digits, _) = context.test(context.amount(SAMPLE, 4))?;
    let (mut pictures, mut passed) = (Vec::new(), 0);
    let classes = (0..COLUMNS).map(|class| (Objective::Class(class), &waves));
    let channels = (0..COLUMNS).map(|channel| (Objective::channel("conv2", channel), &pixels));
    for (objective, options) in classes.chain(channels).take(context.amount(2 * COLUMNS, 2)) {
        let made = maximize_activation(net, &objective, [1, 1, 28, 28], options)?;
        let of_digits = objective.values(net, &digits)?.amax_all()?.to_f64()?[0];
        passed += usize::from(objective.values(net, &made)?.to_f64()?[0] > of_digits);
        pictures.push(made);
    }
    sheet(&Tensor::cat(&pictures.iter().collect::<Vec<_>>(), 0)?, COLUMNS, 3, path)?;
    Ok(vec![
        ("passed", passed.to_string()),
        ("all", pictures.len().to_string()),
        ("sample", digits.shape()[0].to_string()),
    ])
}
