//! Records of a training run: files, event files and progress.
//!
//! Writers take numbers by their names and know nothing of a run. [`CsvLog`] and [`JsonLinesLog`] hand each row to the system at
//! once, so that a run that is ended leaves whole rows, and go on where a resumed run does.

mod csv;
mod histogram;
mod json_lines;
mod lines;
mod record;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;

pub use csv::CsvLog;
pub use histogram::Histogram;
pub use json_lines::JsonLinesLog;
pub use record::Record;
