//! Parts of kernels that operations of several families share.

pub(super) mod congruence;
pub(super) mod constants;
pub(super) mod partial_sums;
