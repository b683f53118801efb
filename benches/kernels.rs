//! `cargo bench --bench kernels`: every operation at named sizes, forward and backward.

mod common;
#[path = "common/kernels/mod.rs"]
mod kernels;
#[path = "../tests/common/mod.rs"]
mod suites;

use clap::Parser;
use common::Outcome;
use kernels::{Arguments, run};

fn main() -> Outcome<()> {
    run(&Arguments::parse()).map(|_| ())
}
