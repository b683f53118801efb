//! Runs, times and prints plans.

pub(super) mod log;
pub(super) mod print;
pub(super) mod profile;
pub(super) mod run;
