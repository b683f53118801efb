//! Everything round a training run: transforms, metrics, runs and what they leave behind.

#[cfg(feature = "cli")]
mod command;
#[path = "../common/mod.rs"]
mod common;
mod logs;
mod metrics;
