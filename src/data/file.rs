//! Reads files whose headers may be wrong.

use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// Any file may unpack to this many bytes; beyond that, to [`MOST_EXPANSION`] times its size.
const ALWAYS_ALLOWED: u64 = 1 << 26;

/// Deflate packs zeros 1,032 to 1; masks, the most regular data in practice, reach some 200 to 1.
const MOST_EXPANSION: u64 = 256;

/// A file that announces more bytes than one of its size can be trusted to hold is an error, before any are unpacked.
pub(crate) fn check_expansion(path: &Path, announced: u64) -> Result<()> {
    let size = fs::metadata(path).map_err(|error| Error::file(path, error))?.len();
    if announced <= ALWAYS_ALLOWED || announced / MOST_EXPANSION <= size {
        return Ok(());
    }
    let reason = format!(
        "it announces {announced} bytes and has {size} itself; more than {MOST_EXPANSION} times that is not unpacked"
    );
    Err(Error::file(path, reason))
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::file(path, error))
}

/// The text of a file.
pub(super) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::file(path, error))
}
