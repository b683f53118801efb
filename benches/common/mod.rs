//! What the suites share.
#![allow(dead_code)]

pub mod machine;
pub mod options;
pub mod plot;
pub mod report;
pub mod svg;
pub mod timing;

/// Suites are programs: what goes wrong is told and ends them.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
