//! Callbacks of runs.

mod best_weights;
mod checkpoints;
mod config;
mod early_stopping;
mod estimate;
mod finetuning;
mod monitor;
mod schedule;
mod stop;

pub use best_weights::BestWeights;
pub use checkpoints::Checkpoints;
pub use config::Config;
pub use early_stopping::EarlyStopping;
pub use estimate::Estimate;
pub use finetuning::Finetuning;
pub use monitor::Monitor;
pub use schedule::{ByMetric, Scheduled};
pub use stop::{StopFlag, TimeLimit};
