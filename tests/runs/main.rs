//! Everything round a training run: transforms, metrics, runs and what they leave behind.

mod logs;
