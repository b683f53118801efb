//! Confusion matrices.

use super::colour::Colour;
use super::drawing::{Anchor, Drawing, Point};
use super::font::{fit, width};
use super::line_chart::{TEXT, heading};
use crate::error::{Error, Result};

/// The width reserved for a class's name.
const NAME: f64 = 170.0;
/// Numbers are legible from this size on.
const SMALLEST: f64 = 7.5;
/// Up to this many classes, cells are as large as their numbers need.
const MOST_NUMBERED: usize = 40;

/// A confusion matrix: counts by true class (a row) and predicted class (a column). Colours show fractions of the true class, so
/// that rare classes are seen as well as frequent ones; numbers are counts, drawn if they fit into cells.
///
/// ```
/// use wgrad::report::MatrixChart;
///
/// let classes = ["cat".to_string(), "dog".to_string()];
/// let drawing = MatrixChart::new("Confusion matrix", &classes, &[40.0, 2.0, 5.0, 33.0])?.draw();
/// assert!(drawing.svg()?.contains(">\n33\n<"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatrixChart {
    title: String,
    classes: Vec<String>,
    counts: Vec<f64>,
}

impl MatrixChart {
    /// With counts `[classes, classes]` in row-major order, the true class by the predicted one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no classes, or their number does not match that of the counts.
    pub fn new(title: &str, classes: &[String], counts: &[f64]) -> Result<MatrixChart> {
        if classes.is_empty() || counts.len() != classes.len() * classes.len() {
            let rule = format!("{} numbers are no square matrix of {} classes", counts.len(), classes.len());
            return Err(Error::invalid("MatrixChart", rule));
        }
        Ok(MatrixChart { title: title.to_string(), classes: classes.to_vec(), counts: counts.to_vec() })
    }

    /// Draws it. The picture grows with the number of classes.
    pub fn draw(&self) -> Drawing {
        let count = self.classes.len();
        let widest = self.counts.iter().map(|count| width(&count.to_string(), 1.0)).fold(1.0, f64::max);
        let needed = if count <= MOST_NUMBERED { widest * SMALLEST + 4.0 } else { 10.0 };
        let cell = (560.0 / count as f64).clamp(needed.min(64.0), 64.0).ceil();
        let number = (cell * 0.42).min(13.0).min((cell - 3.0) / widest);
        let size = (cell * 0.85).min(TEXT);
        let names: Vec<String> = self.classes.iter().map(|name| fit(name, size, NAME)).collect();
        let widest = names.iter().map(|name| width(name, size)).fold(0.0, f64::max);
        let left = 30.0 + widest + 10.0;
        let side = cell * count as f64;
        let across = (left + side + 84.0).max(320.0);
        let mut drawing = Drawing::new(&self.title, across, 0.0);
        let top = heading(&mut drawing, &self.title, across) + 12.0;
        // Names of columns are horizontal if they fit, otherwise vertical.
        let lying = widest <= cell - 6.0;
        let under = if lying { size + 12.0 } else { widest + 14.0 };
        drawing.set_height(top + side + under + 30.0);

        drawing.rect((left - 1.0, top - 1.0), (left + side + 1.0, top + side + 1.0), Colour::FAINT);
        drawing.rect((left, top), (left + side, top + side), Colour::share(0.0));
        for (row, numbers) in self.counts.chunks(count).enumerate() {
            let sum: f64 = numbers.iter().sum();
            for (column, &count) in numbers.iter().enumerate().filter(|(_, count)| **count != 0.0) {
                let (x, y) = (left + cell * column as f64, top + cell * row as f64);
                let share = if sum > 0.0 { count / sum } else { 0.0 };
                drawing.rect((x, y), (x + cell, y + cell), Colour::share(share));
                if number >= SMALLEST {
                    label(&mut drawing, (x + cell / 2.0, y + cell / 2.0), cell, number, (count, share));
                }
            }
        }
        for (index, name) in names.iter().enumerate() {
            let middle = cell * (index as f64 + 0.5);
            drawing.text(name.clone(), (left - 7.0, top + middle), size, Anchor::End, Colour::FAINT);
            match lying {
                true => drawing.text(
                    name.clone(),
                    (left + middle, top + side + 4.0 + size / 2.0 + 3.0),
                    size,
                    Anchor::Middle,
                    Colour::FAINT,
                ),
                false => {
                    drawing.upright(name.clone(), (left + middle, top + side + 7.0), size, Anchor::End, Colour::FAINT)
                }
            }
        }
        let below = (left + side / 2.0, top + side + under + 12.0);
        drawing.text("predicted class", below, TEXT, Anchor::Middle, Colour::INK);
        drawing.upright("true class", (14.0, top + side / 2.0), TEXT, Anchor::Middle, Colour::INK);
        scale(&mut drawing, left + side + 18.0, top, side.min(220.0));
        drawing
    }
}

/// A count, and its fraction below if both fit.
fn label(drawing: &mut Drawing, (x, y): Point, cell: f64, size: f64, (count, share): (f64, f64)) {
    let colour = if share > 0.5 { Colour::ON_DARK } else { Colour::ON_LIGHT };
    if cell < 46.0 {
        return drawing.text(count.to_string(), (x, y), size, Anchor::Middle, colour);
    }
    drawing.text(count.to_string(), (x, y - 7.0), size, Anchor::Middle, colour);
    let share = if share < 0.0995 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) };
    drawing.text(share, (x, y + 9.0), 10.0, Anchor::Middle, colour);
}

/// The legend of the colours.
fn scale(drawing: &mut Drawing, left: f64, top: f64, height: f64) {
    drawing.colour_bar((left, top), [12.0, height], 40, Colour::share);
    for (share, name) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
        let y = top + height * (1.0 - share);
        let inside = y.clamp(top + 5.0, top + height - 5.0);
        drawing.text(name, (left + 18.0, inside), 11.0, Anchor::Start, Colour::FAINT);
    }
}
