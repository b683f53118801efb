//! Digits and other pictures, told apart by a network's answers.

use super::common::Result;
use super::context::Context;
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::data::{Dataset, Shapes};
use wgrad::report::roc;
use wgrad::robust::{Classifier, NoveltyScore, Separation};

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = Classifier::new(context.lenet()?);
    let count = context.amount(1000, 16);
    let (digits, _) = context.test(count)?;
    let drawings = drawings(context, count)?;
    let scores = [
        ("max_softmax", "largest probability", NoveltyScore::MaxSoftmax),
        ("energy", "energy", NoveltyScore::Energy { temperature: 1.0 }),
        ("odin", "ODIN", NoveltyScore::Odin { temperature: 1000.0, eps: 0.002 }),
    ];
    let (mut curves, mut numbers) = (Vec::new(), Vec::new());
    for (name, title, score) in scores {
        let [inside, outside] = [score.of(&net, &digits)?, score.of(&net, &drawings)?];
        numbers.push((name, format!("{:.3}", Separation::of(&inside, &outside)?.auroc)));
        curves.push((title.to_string(), curve(&inside.to_f64()?, &outside.to_f64()?)));
    }
    std::fs::write(path, roc("Digits among drawings", &curves).png(0.8)?)?;
    Ok(numbers)
}

/// Grey drawings of the digits' size.
fn drawings(context: &Context, count: usize) -> Result<Tensor> {
    let shapes = Shapes::new(count, [28; 2], context.flags.seed)?;
    let mut pixels = Vec::new();
    for at in 0..count {
        pixels.extend(shapes.get(at)?.image.pixels().iter().map(|&byte| f32::from(byte) / 255.0));
    }
    Ok(Tensor::from_slice(&context.device, &pixels, &[count, 3, 28, 28])?.mean_keepdim(1)?)
}

/// Shares of drawings and of digits whose score is at least that of each digit.
fn curve(digits: &[f64], drawings: &[f64]) -> Vec<(f64, f64)> {
    let mut thresholds = digits.to_vec();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    let share = |scores: &[f64], least: f64| {
        scores.iter().filter(|&&score| score >= least).count() as f64 / scores.len() as f64
    };
    let points = thresholds.into_iter().map(|least| (share(drawings, least), share(digits, least)));
    [(0.0, 0.0)].into_iter().chain(points).chain([(1.0, 1.0)]).collect()
}
