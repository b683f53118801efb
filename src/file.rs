//! Writes files so that no reader ever sees half of one.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The longest chain of links that is followed; Linux allows as many.
const MOST_LINKS: usize = 40;

/// Writes a file under a new name in the same folder, flushes it to the disk and renames it: even if something goes wrong or
/// several writers share the path, the file holds its old contents or all bytes of one writer. An existing file passes its
/// permissions on, and a link stays and leads to the new file.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(path, |file| file.write_all(bytes).map_err(|error| not_written(path, &error)))
}

/// [`replace`] for bytes that come one after the other.
///
/// # Errors
/// [`Error::File`]; those of `write`.
pub(crate) fn replace_by(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    try_replace(path, write).map_err(|error| not_written(path, &error))?
}

fn not_written(path: &Path, error: &io::Error) -> Error {
    Error::file(path, format!("not written: {error}"))
}

/// The replacement's error, or else the result of `write`.
fn try_replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> io::Result<Result<()>> {
    let path = behind_links(path)?;
    if path.file_name().is_none() {
        return Err(io::Error::other("the path has no file name"));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // An unpredictable name for a file that did not exist: no link is followed, and no other writer has it. The file is removed
    // if it is not renamed.
    let mut file = create_in(folder)?;
    if let Ok(old) = fs::metadata(&path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    let mut writer = BufWriter::new(file.as_file_mut());
    if let Err(error) = write(&mut writer) {
        return Ok(Err(error));
    }
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(&path)?;
    // The new name is on the disk once its folder is. Not every file system lets a folder be opened for that.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(Ok(()))
}

fn create_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".wgrad-").suffix(".tmp");
    // The permissions of any new file, which are not for the owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// The target of a path, which need not exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().map(|folder| folder.join(&target)).unwrap_or(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}
