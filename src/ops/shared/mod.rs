//! Parts of kernels that operations of several families are made of.

pub(super) mod congruence;
pub(super) mod partial_sums;
