//! Bars: a number per name, and counts of ranges.

use super::axis::Axis;
use super::colour::Colour;
use super::drawing::{Anchor, Drawing};
use super::font::{fit, width};
use super::line_chart::{Area, TEXT, heading};
use crate::logs::Histogram;
use crate::logs::text::short;
use crate::number::nearest;

/// Horizontal bars, one below the other, so that long names stay legible.
///
/// ```
/// use wgrad::report::BarChart;
///
/// let chart = BarChart::new("Recall by class", "recall").bar("cat", 0.95).bar("dog", 0.87).range(0.0, 1.0);
/// assert!(chart.draw().svg()?.contains("0.87"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BarChart {
    title: String,
    label: String,
    bars: Vec<(String, f64)>,
    range: Option<(f64, f64)>,
}

impl BarChart {
    /// A chart without bars, with the name of its axis.
    pub fn new(title: &str, label: &str) -> BarChart {
        BarChart { title: title.to_string(), label: label.to_string(), bars: Vec::new(), range: None }
    }

    /// Adds a bar below the others.
    #[must_use = "it returns the chart with the bar"]
    pub fn bar(mut self, name: &str, value: f64) -> BarChart {
        self.bars.push((name.to_string(), value));
        self
    }

    /// Fixes the ends of the axis.
    #[must_use = "it returns the chart with the ends"]
    pub fn range(mut self, low: f64, high: f64) -> BarChart {
        self.range = Some((low, high));
        self
    }

    /// Draws it. The picture grows with the number of bars.
    pub fn draw(&self) -> Drawing {
        const ROW: f64 = 24.0;
        let across = 720.0;
        let mut drawing = Drawing::new(&self.title, across, 0.0);
        let top = heading(&mut drawing, &self.title, across) + 10.0;
        let bottom = top + ROW * self.bars.len() as f64;
        drawing.set_height(bottom + 54.0);
        let names: Vec<String> = self.bars.iter().map(|(name, _)| fit(name, TEXT, 220.0)).collect();
        let values: Vec<String> = self.bars.iter().map(|(_, value)| short(*value)).collect();
        let widest = |texts: &[String]| texts.iter().map(|text| width(text, TEXT)).fold(0.0, f64::max);
        let (left, right) = (widest(&names) + 24.0, across - widest(&values) - 24.0);
        let area = Area { left, right, top, bottom };
        // A bar begins at 0.
        let axis = match self.range {
            Some((low, high)) => Axis::from_to(low, high),
            None => Axis::of(self.bars.iter().map(|&(_, value)| value).chain([0.0]), false),
        };
        for (number, name) in axis.ticks(nearest((right - left) / 80.0)) {
            let x = area.x(axis.place(number).unwrap_or(0.0));
            drawing.line(vec![(x, top), (x, bottom)], 1.0, Colour::GRID);
            drawing.text(name, (x, bottom + 15.0), TEXT, Anchor::Middle, Colour::FAINT);
        }
        let zero = area.x(axis.place(0.0).unwrap_or(0.0).clamp(0.0, 1.0));
        for (index, (_, value)) in self.bars.iter().enumerate() {
            let middle = top + ROW * (index as f64 + 0.5);
            drawing.text(names[index].clone(), (left - 8.0, middle), TEXT, Anchor::End, Colour::INK);
            let end = area.x(axis.place(*value).unwrap_or(0.0).clamp(0.0, 1.0));
            if value.is_finite() {
                drawing.rect((zero.min(end), middle - 8.0), (zero.max(end), middle + 8.0), Colour::series(0));
            }
            drawing.text(values[index].clone(), (zero.max(end) + 6.0, middle), TEXT, Anchor::Start, Colour::INK);
        }
        drawing.line(vec![(zero, top), (zero, bottom)], 1.0, Colour::FAINT);
        let middle = (left + right) / 2.0;
        drawing.text(fit(&self.label, TEXT, right - left), (middle, bottom + 38.0), TEXT, Anchor::Middle, Colour::INK);
        drawing
    }
}

/// Draws a histogram, with the name of the counted quantity.
///
/// ```
/// # use wgrad::{Device, Tensor, logs::Histogram, report::histogram};
/// # let weights = Tensor::randn(&Device::reference(), &[100])?;
/// let drawing = histogram("fc.weight", "weight", &Histogram::of(&weights, 30)?);
/// assert!(drawing.svg()?.contains("fc.weight"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn histogram(title: &str, label: &str, histogram: &Histogram) -> Drawing {
    let mut drawing = Drawing::new(title, 720.0, 320.0);
    let top = heading(&mut drawing, title, 720.0) + 10.0;
    let bins = histogram.counts().len();
    let counts = || histogram.counts().iter().map(|&count| count as f64);
    let y = Axis::of(counts().chain([0.0]), false);
    let ticks = y.ticks(5);
    let widest = ticks.iter().map(|(_, name)| width(name, TEXT)).fold(0.0, f64::max);
    let area = Area { left: widest + 42.0, right: 700.0, top, bottom: 266.0 };
    for (number, name) in ticks.into_iter().filter(|(number, _)| number.fract() == 0.0) {
        let height = area.y(y.place(number).unwrap_or(0.0));
        drawing.line(vec![(area.left, height), (area.right, height)], 1.0, Colour::GRID);
        drawing.text(name, (area.left - 8.0, height), TEXT, Anchor::End, Colour::FAINT);
    }
    for (bin, count) in counts().enumerate() {
        let place = |bin: usize| area.x(bin as f64 / bins as f64);
        let height = area.y(y.place(count).unwrap_or(0.0));
        drawing.rect((place(bin) + 0.5, height), (place(bin + 1) - 0.5, area.bottom), Colour::series(0));
    }
    drawing.line(vec![(area.left, area.bottom), (area.right, area.bottom)], 1.0, Colour::FAINT);
    if histogram.max() > histogram.min() {
        let x = Axis::from_to(histogram.min(), histogram.max());
        for (number, name) in x.ticks(8) {
            let across = area.x(x.place(number).unwrap_or(0.0));
            drawing.line(vec![(across, area.bottom), (across, area.bottom + 5.0)], 1.0, Colour::FAINT);
            drawing.text(name, (across, area.bottom + 15.0), TEXT, Anchor::Middle, Colour::FAINT);
        }
    } else {
        let only = short(histogram.max());
        drawing.text(only, (area.x(1.0 - 0.5 / bins as f64), area.bottom + 15.0), TEXT, Anchor::Middle, Colour::FAINT);
    }
    let middle = (area.left + area.right) / 2.0;
    drawing.text(fit(label, TEXT, 600.0), (middle, area.bottom + 38.0), TEXT, Anchor::Middle, Colour::INK);
    drawing.upright("count", (14.0, (area.top + area.bottom) / 2.0), TEXT, Anchor::Middle, Colour::INK);
    drawing
}
