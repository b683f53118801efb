//! The locations of values: slots, and the buffers they share.

pub(super) mod arena;
pub(super) mod assign;
pub(super) mod launches;
pub(super) mod workspace;
