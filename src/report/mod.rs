//! Curves and matrices as pictures, and a page about a run.
//!
//! A chart's `draw` makes a [`Drawing`], which is saved as SVG or PNG. Backgrounds are light; the colours of curves are
//! those of Okabe and Ito, which people with any kind of colour vision can tell apart.

mod answers;
mod axis;
mod bars;
mod colour;
mod corruptions;
mod drawing;
mod font;
mod heat_map;
mod known;
mod line_chart;
mod matrix;
mod page;
mod ranking;
#[cfg(test)]
mod tests;
mod writer;

pub use answers::{Answer, Answers};
pub use bars::{BarChart, histogram};
pub use corruptions::corruption_table;
pub use drawing::Drawing;
pub use heat_map::HeatMapChart;
pub use known::{lr_curve, precision_recall, reliability, roc};
pub use line_chart::LineChart;
pub use matrix::MatrixChart;
pub use page::{AnswersPage, DrawingPage};
pub use writer::ReportWriter;
