//! Devices: opening, losing, debugging, profiling and tuning them.

#[path = "../common/mod.rs"]
mod common;

mod debug;
mod device;
mod profile;
mod tune;
