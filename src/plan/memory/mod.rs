//! The memory of a plan: slots for values, and the buffers that slots share.

pub(super) mod arena;
pub(super) mod assign;
pub(super) mod launches;
pub(super) mod peak;
pub(super) mod workspace;
