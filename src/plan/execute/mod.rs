//! Plans that run, are timed, and are shown.

pub(super) mod log;
pub(super) mod print;
pub(super) mod profile;
pub(super) mod run;
