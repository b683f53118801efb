//! The kernels of clusters, as text and bindings.

mod access;
pub(super) mod call;
pub(super) mod emit;
mod fuse_loads;
mod fuse_stores;
mod hooks;
mod in_place;
pub(super) mod pack;
pub(super) mod pointwise;
mod reduction;
pub(super) mod rows;
mod u64_pairs;
