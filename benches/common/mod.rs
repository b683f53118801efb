//! Parts that the suites share.
#![allow(dead_code)]

pub mod machine;
pub mod options;
pub mod plot;
pub mod report;
pub mod svg;
pub mod timing;

use std::process::ExitCode;

/// Suites are programs: an error is printed and ends them.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The exit code of a suite, after printing its error.
pub fn finish<T>(outcome: Outcome<T>) -> ExitCode {
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
