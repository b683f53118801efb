//! Data sets, and what brings them to the device.

mod arrays;
mod files;
mod image_sets;
mod mnist;
