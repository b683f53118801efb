//! Attention, and recurrent layers.

pub(super) mod attention;
pub(super) mod recurrent;
