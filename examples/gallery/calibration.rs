//! Confidences on noisy digits, before and after temperature scaling.

use super::common::Result;
use super::context::{Context, accuracy};
use super::page::Numbers;
use std::path::Path;
use wgrad::metrics::{CalibrationError, CalibrationOptions, Metric, Task};
use wgrad::nn::Module;
use wgrad::no_grad;
use wgrad::report::LineChart;
use wgrad::robust::TemperatureScaling;

/// The noise that the network was not trained for.
const NOISE: f64 = 0.5;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = context.lenet()?;
    let (images, labels) = context.test(context.amount(4000, 64))?;
    let noisy = (&images + (images.randn_like()? * NOISE)?)?.clamp(Some(0.0), Some(1.0))?;
    let logits = no_grad(|| net.forward(&noisy))?;
    let half = labels.numel() / 2;
    let scaling = TemperatureScaling::fit(&logits.narrow(0, 0, half)?, &labels.narrow(0, 0, half)?)?;
    let (unseen, of_unseen) = (logits.narrow(0, half, half)?, labels.narrow(0, half, half)?);
    let mut chart = LineChart::new("LeNet-5 on noisy digits", "confidence", "accuracy").size(420.0, 360.0);
    chart = chart.reference("calibrated", vec![(0.0, 0.0), (1.0, 1.0)]).ranges(Some((0.0, 1.0)), Some((0.0, 1.0)));
    let mut numbers = vec![
        ("accuracy", format!("{:.3}", accuracy(net, &noisy, &labels)?)),
        ("temperature", format!("{:.2}", scaling.temperature())),
    ];
    for (name, title, logits) in [("before", "as it is", unseen.clone()), ("after", "scaled", scaling.apply(&unseen)?)]
    {
        let mut error = CalibrationError::new(&context.device, Task::Multiclass(10), &CalibrationOptions::default())?;
        error.update(&logits.softmax(1)?, &of_unseen)?;
        numbers.push((name, format!("{:.3}", error.error()?)));
        let filled = error.bins()?.into_iter().filter(|bin| bin.0 > 0);
        chart = chart.series(title, filled.map(|(_, right, confidence)| (confidence, right)).collect());
    }
    std::fs::write(path, chart.draw().png(1.0)?)?;
    Ok(numbers)
}
