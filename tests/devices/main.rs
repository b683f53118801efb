//! Devices: opening, losing, debugging, profiling and tuning them, and programs of bug reports.

#[path = "../common/mod.rs"]
mod common;

mod debug;
mod device;
mod profile;
mod reports;
mod tune;
