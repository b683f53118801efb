//! Paths of files, and bytes to fill them with.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file that `make_files.py` wrote.
pub fn made(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/files").join(name)
}

/// A folder of some files.
pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// Bytes that differ from position to position.
pub fn pattern(count: usize) -> Vec<u8> {
    (0..count as u64).map(|k| (k * k / 7 % 251) as u8).collect()
}
