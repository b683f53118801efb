//! Data sets, and what brings them to the device.

#[path = "../common/mod.rs"]
mod common;

mod arrays;
mod files;
mod image_sets;
mod loader;
mod mnist;
mod resident;
mod samplers;
mod splits;
