//! `cargo bench --bench training`: steps of whole networks, and inference.

mod common;
#[path = "common/training/mod.rs"]
mod training;

use clap::Parser;
use common::Outcome;
use training::{Arguments, run};

fn main() -> Outcome<()> {
    run(&Arguments::parse()).map(|_| ())
}
