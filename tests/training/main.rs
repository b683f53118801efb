//! Layers, optimizers, networks, data and checkpoints.

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod data;
mod groups;
mod init;
mod job;
mod losses;
mod mnist;
mod models;
mod nn;
mod optim;
mod schedules;
