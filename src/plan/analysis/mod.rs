//! Facts about a schedule: its structure, its values, the rows of its reductions.

pub(super) mod common_subexpressions;
pub(super) mod domain;
pub(super) mod key;
pub(super) mod wiring;
