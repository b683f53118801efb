//! A file of lines that grows and never holds half of one for long.

use crate::error::{Error, Result};
use crate::file;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that lines are put behind.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Lines {
    /// Gives the file this content, whatever was in it, and stays open to put lines behind that.
    pub fn start(path: &Path, content: &str) -> Result<Lines> {
        file::replace(path, content.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(|error| Error::file(path, error))?;
        Ok(Lines { path: path.to_path_buf(), file, length: content.len() as u64 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a line to the system at once, so that it outlives the program. Half of a line, as a full disk leaves, is taken back:
    /// the next one would stand behind it.
    pub fn append(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.file.write_all(line.as_bytes()).map_err(|error| {
            let _ = self.file.set_len(self.length);
            Error::file(&self.path, format!("a row was not written: {error}"))
        })?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// The whole lines of a file, empty where there is none. A last line without its end is no whole one: the program was ended
/// while it wrote that, and a number may have lost digits.
pub(super) fn read_whole(path: &Path) -> Result<String> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::file(path, error)),
    };
    bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1));
    String::from_utf8(bytes).map_err(|error| Error::file(path, error))
}

/// What a log says of a line that it can't have written.
pub(super) fn foreign(path: &Path, line: usize, reason: &str) -> Error {
    Error::file(path, format!("line {line} is no row of this log: {reason}. Move the file away to begin a new one"))
}
