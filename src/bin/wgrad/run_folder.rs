//! The folder of a run.

use crate::failure::{Failure, Outcome};
use std::path::{Path, PathBuf};

pub const CONFIG: &str = "config.json";
pub const BEST: &str = "best.safetensors";
pub const LAST: &str = "last.safetensors";

/// The file of weights for a path: the path itself, or the best weights in a run's folder.
pub fn weights_of(path: &Path) -> Option<PathBuf> {
    match path.is_dir() {
        true => Some(path.join(BEST)),
        false => path.is_file().then(|| path.to_path_buf()),
    }
}

/// The first of `runs/1`, `runs/2` and so on that does not exist.
pub fn next() -> PathBuf {
    let numbered = (1u32..).map(|number| Path::new("runs").join(number.to_string()));
    numbered.into_iter().find(|path| !path.exists()).unwrap_or_else(|| PathBuf::from("runs/new"))
}

/// Refuses a folder that holds a run already.
pub fn check_free(folder: &Path) -> Outcome {
    if folder.join(LAST).exists() || folder.join(CONFIG).exists() {
        let message = format!("{} holds a run already", folder.display());
        return Err(Failure::new(message).hint("--resume continues it, and --out names another folder"));
    }
    Ok(())
}
