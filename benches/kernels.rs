//! `cargo bench --bench kernels`: every operation at named sizes, forward and backward.

mod common;
#[path = "common/kernels/mod.rs"]
mod kernels;
#[path = "../tests/common/mod.rs"]
mod suites;

use clap::Parser;
use common::finish;
use kernels::{Arguments, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    finish(run(&Arguments::parse()))
}
