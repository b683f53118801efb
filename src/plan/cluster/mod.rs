//! Which calls become one kernel, and in which order kernels run.

pub(super) mod cost;
pub(super) mod form;
pub(super) mod fuse;
pub(super) mod liveness;
pub(super) mod rematerialise;
pub(super) mod row_schedule;
