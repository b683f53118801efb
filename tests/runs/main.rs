//! Everything round a training run: transforms, metrics, runs and what they leave behind.

#[cfg(feature = "cli")]
mod command;
mod logs;
