//! Data sets, and their upload to the device.

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/allocations.rs"]
mod allocations;
mod arrays;
#[cfg(feature = "images")]
mod disk;
mod files;
mod fuzz;
#[cfg(feature = "images")]
mod fuzz_disk;
mod fuzz_runs;
mod image_sets;
mod image_strings;
mod loader;
mod mnist;
mod moving_shapes;
mod packages;
mod resident;
mod samplers;
mod shapes;
mod splits;
mod weights;
mod weights_hostile;
mod weights_large;
mod weights_pytorch;
