//! Names of classes.

use crate::error::{Error, Result};

/// The names of classes, one a line; empty lines at the end count for nothing.
pub(super) fn class_names(path: &std::path::Path) -> Result<Vec<String>> {
    let text = crate::data::file::read_text(path)?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_string()).collect();
    match names.iter().position(String::is_empty) {
        Some(line) => Err(Error::file(path, format!("line {}: a class without a name", line + 1))),
        None => Ok(names),
    }
}
