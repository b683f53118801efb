//! The kernels of clusters, as text and bindings.

pub(super) mod access;
pub(super) mod emit;
pub(super) mod fuse_loads;
pub(super) mod fuse_stores;
pub(super) mod pack;
pub(super) mod pointwise;
pub(super) mod reduction;
pub(super) mod rows;
pub(super) mod u64_pairs;
