//! Everything around a training run: transforms, metrics, runs and the files that they leave behind.

#[path = "../common/mod.rs"]
mod common;

mod colours;
#[cfg(feature = "cli")]
mod command;
mod finders;
mod finetuning;
mod finite;
mod folder;
mod geometric;
mod histogram;
mod host;
mod interrupted;
mod loggers;
mod logs;
mod measures;
mod metrics;
mod moments;
mod pruning;
#[cfg(feature = "report")]
mod report;
mod resume;
mod sam;
mod sequences;
mod setting;
mod tasks;
#[cfg(feature = "tensorboard")]
mod tensorboard;
