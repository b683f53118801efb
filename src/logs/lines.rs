//! Files that grow, and never hold half a row for long.

use crate::error::{Error, Result};
use crate::file;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that grows at its end.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Growing {
    /// Replaces the file's content and keeps it open for more.
    pub fn start(path: &Path, content: &str) -> Result<Growing> {
        file::replace(path, content.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(|error| Error::file(path, error))?;
        Ok(Growing { path: path.to_path_buf(), file, length: content.len() as u64 })
    }

    /// An empty, newly created file.
    #[cfg(feature = "tensorboard")]
    pub fn empty(path: PathBuf, file: File) -> Growing {
        Growing { path, file, length: 0 }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes to the system at once, so that they outlive the program. If only a part was written, as on a full disk, it is
    /// removed: the next bytes would follow it.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| {
            let _ = self.file.set_len(self.length);
            Error::file(&self.path, format!("{} bytes were not written: {error}", bytes.len()))
        })?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// The whole lines of a file, empty if there is none. A last line without its end is dropped: the program ended
/// while writing it, and a number may have lost digits.
pub(super) fn read_whole(path: &Path) -> Result<String> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::file(path, error)),
    };
    bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1));
    String::from_utf8(bytes).map_err(|error| Error::file(path, error))
}

/// The error for a line that this log can't have written.
pub(super) fn foreign(path: &Path, line: usize, reason: &str) -> Error {
    Error::file(path, format!("line {line} is no row of this log: {reason}. Move the file away to begin a new one"))
}
