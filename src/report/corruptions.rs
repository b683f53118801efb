//! Errors on corrupted images.

use super::colour::Colour;
use super::drawing::{Anchor, Drawing};
use super::line_chart::{TEXT, heading};
use crate::robust::{CorruptionErrors, Severity};

const NAME: f64 = 150.0;
const CELL: (f64, f64) = (58.0, 24.0);

/// Errors in percent by corruption (a row) and severity (a column), with the mean of each row, darker where they are larger.
///
/// ```
/// use wgrad::report::corruption_table;
/// use wgrad::robust::{Corruption, CorruptionErrors};
/// let rows = Corruption::ALL.map(|corruption| (corruption, [0.1, 0.2, 0.3, 0.4, 0.5])).into();
/// let errors = CorruptionErrors { clean: 0.05, rows, images: 100 };
/// assert!(corruption_table("LeNet", &errors).svg()?.contains("motion_blur"));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn corruption_table(title: &str, errors: &CorruptionErrors) -> Drawing {
    let (left, columns) = (NAME + 20.0, Severity::LEVELS.count() + 1);
    let width = left + CELL.0 * columns as f64 + 20.0;
    let mut drawing = Drawing::new(title, width, 0.0);
    let top = heading(&mut drawing, title, width) + 30.0;
    let place = |row: usize, column: usize| (left + CELL.0 * column as f64, top + CELL.1 * row as f64);
    let headings = Severity::LEVELS.map(|level| level.to_string()).chain(["mean".to_string()]);
    for (column, heading) in headings.enumerate() {
        let at = (place(0, column).0 + CELL.0 / 2.0, top - 12.0);
        drawing.text(heading, at, TEXT, Anchor::Middle, Colour::FAINT);
    }
    let mut row = |row: usize, name: &str, shares: &[f64], first: usize| {
        drawing.text(name, (left - 8.0, place(row, 0).1 + CELL.1 / 2.0), TEXT, Anchor::End, Colour::FAINT);
        for (at, &share) in shares.iter().enumerate() {
            let (x, y) = place(row, first + at);
            drawing.rect((x, y), (x + CELL.0, y + CELL.1), Colour::share(share));
            let colour = if share > 0.5 { Colour::ON_DARK } else { Colour::ON_LIGHT };
            let middle = (x + CELL.0 / 2.0, y + CELL.1 / 2.0);
            drawing.text(format!("{:.1}", 100.0 * share), middle, TEXT, Anchor::Middle, colour);
        }
    };
    row(0, "clean", &[errors.clean], columns - 1);
    for (at, (corruption, shares)) in errors.rows.iter().enumerate() {
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        row(at + 1, corruption.name(), &[&shares[..], &[mean]].concat(), 0);
    }
    row(errors.rows.len() + 1, "all", &[errors.mean()], columns - 1);
    let bottom = place(errors.rows.len() + 2, 0).1;
    let below = (left + CELL.0 * columns as f64 / 2.0, bottom + 16.0);
    drawing.text("error in percent by severity", below, TEXT, Anchor::Middle, Colour::INK);
    drawing.set_height(bottom + 34.0);
    drawing
}
