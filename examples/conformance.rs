//! Runs conformance case files, wgrad's own and any others:
//!
//! ```text
//! cargo run --release --example conformance -- [--adapter NAME | --reference] FILE...
//! ```
//!
//! Prints a line per case that fails or that wgrad has no operation for, and a summary. Exits non-zero if there was any.
#![allow(clippy::print_stdout)]

#[path = "../tests/common/conformance/mod.rs"]
mod conformance;

use clap::Parser;
use conformance::Verdict;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::{Device, DeviceOptions};

#[derive(Parser)]
#[command(about = "Runs conformance case files")]
struct Arguments {
    /// A part of the adapter's name; by default the best adapter.
    #[arg(long, conflicts_with = "reference")]
    adapter: Option<String>,
    /// Runs on the CPU reference, in double precision.
    #[arg(long)]
    reference: bool,
    /// Case files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// True if everything passed.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let device = if arguments.reference {
        Device::reference()
    } else {
        let options = DeviceOptions::default().adapter_name(arguments.adapter.clone());
        Device::with_options(&options).map_err(|error| error.to_string())?
    };
    let (mut passed, mut failed, mut unsupported) = (0, 0, 0);
    for file in &arguments.files {
        for case in conformance::read(file)? {
            match case.run(&device) {
                Verdict::Passed => passed += 1,
                Verdict::Failed(difference) => {
                    failed += 1;
                    println!("failed {} ({}) {difference}", case.name, case.op);
                }
                Verdict::Unsupported(what) => {
                    unsupported += 1;
                    println!("unsupported {} ({}) {what}", case.name, case.op);
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed, {unsupported} unsupported");
    Ok(failed + unsupported == 0)
}
