//! Recording, planning and replaying: what runs, what it costs, and that it changes no value.

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/allocations.rs"]
mod allocations;
mod architecture;
mod caches;
mod depth;
mod flush;
mod fusion;
mod history;
mod loads;
mod memory;
mod plans;
mod recompute;
mod rematerialise;
mod replay;
mod shaders;
mod sizes;
mod sizes_calls;
mod values;
