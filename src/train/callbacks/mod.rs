//! Callbacks of runs.

mod checkpoints;
mod early_stopping;
mod estimate;
mod monitor;
mod schedule;
mod stop;

pub use checkpoints::Checkpoints;
pub use early_stopping::EarlyStopping;
pub use estimate::Estimate;
pub use monitor::Monitor;
pub use schedule::{ByMetric, Scheduled};
pub use stop::{StopFlag, TimeLimit};
