//! `cargo bench --bench training`: steps of whole networks, and inference.

mod common;
#[path = "common/training/mod.rs"]
mod training;

use clap::Parser;
use common::finish;
use std::process::ExitCode;
use training::{Arguments, run};

fn main() -> ExitCode {
    finish(run(&Arguments::parse()))
}
