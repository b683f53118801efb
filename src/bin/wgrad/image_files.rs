//! Pictures that arguments name.

use crate::failure::{Failure, Outcome};
use std::fs;
use std::path::PathBuf;
use wgrad::data::images_below;

/// The named files, and the images in named folders.
pub fn named(paths: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            fs::metadata(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            files.push(path.clone());
            continue;
        }
        let inside = images_below(path)?;
        if inside.is_empty() {
            return Err(Failure::new(format!("{}: there are no pictures in this folder", path.display())));
        }
        files.extend(inside);
    }
    Ok(files)
}
