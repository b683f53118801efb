//! Records of a training run: files, event files and progress.
//!
//! Writers take numbers by their names and know nothing of a run. [`CsvLog`] and [`JsonLinesLog`] hand each row to the
//! system at once, so that an aborted run leaves whole rows, and continue where a resumed run does. [`CsvLogger`],
//! [`JsonLinesLogger`] and their kin are [callbacks](crate::train::Callback), which feed a run's numbers to them.

mod csv;
mod histogram;
mod json_lines;
mod lines;
mod logger;
#[cfg(feature = "progress")]
mod progress;
mod record;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
#[cfg(any(feature = "progress", feature = "report"))]
pub(crate) mod text;

pub use csv::CsvLog;
pub use histogram::Histogram;
pub use json_lines::JsonLinesLog;
#[cfg(feature = "report")]
pub(crate) use logger::in_folder;
pub use logger::{CsvLogger, JsonLinesLogger, RowLog, RowLogger};
#[cfg(feature = "progress")]
pub use progress::Progress;
pub use record::Record;
