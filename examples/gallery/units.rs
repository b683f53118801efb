//! Units that died under a large rate.

use super::common::Result;
use super::context::{Context, accuracy};
use super::page::Numbers;
use std::path::Path;
use wgrad::explain::dead_units;
use wgrad::optim::AdamOptions;
use wgrad::report::BarChart;

/// The rate under which units die.
const LARGE: f64 = 1.5e-2;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let hurt = context.trained(AdamOptions::default().lr(LARGE))?;
    let (images, labels) = context.test(context.amount(1000, 8))?;
    let (mut chart, mut numbers) = (BarChart::new("Dead units of LeNet-5", "share").range(0.0, 1.0), Vec::new());
    for (net, rate, name) in [(context.lenet()?, 2e-3, "accuracy"), (&hurt, LARGE, "accuracy_large")] {
        for layer in dead_units(net, [Ok(images.clone())])?.iter().filter(|layer| layer.layer != "fc3") {
            chart = chart.bar(&format!("{} at {rate}", layer.layer), layer.share());
        }
        numbers.push((name, format!("{:.4}", accuracy(net, &images, &labels)?)));
    }
    std::fs::write(path, chart.draw().png(1.0)?)?;
    Ok(numbers)
}
