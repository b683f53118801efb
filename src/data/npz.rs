//! NumPy's files of several arrays: a ZIP file of `.npy` files, stored or deflated.

use super::NpyArray;
use crate::error::{Error, Result};
use crate::zip::{self, Member};
use flate2::CrcReader;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// A `.npz` file: arrays by name. They are read one at a time.
///
/// ```no_run
/// use wgrad::data::{Array, Npz};
/// let mut file = Npz::open("digits.npz")?;
/// let images: Array<u8> = file.read("images")?.try_into()?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    file: BufReader<File>,
    members: Vec<Member>,
}

impl Npz {
    /// Opens a file and reads its directory.
    ///
    /// # Errors
    /// [`Error::File`] if it is missing or no ZIP file, or its directory is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Npz> {
        let path = path.as_ref().to_path_buf();
        let fault = |reason: String| Error::file(&path, reason);
        let file = File::open(&path).map_err(|error| fault(error.to_string()))?;
        let mut file = BufReader::new(file);
        let mut members = zip::directory(&mut file).map_err(fault)?;
        for member in &mut members {
            if let Some(name) = member.name.strip_suffix(".npy") {
                member.name = name.to_string();
            }
        }
        Ok(Npz { path, file, members })
    }

    /// Names of the arrays, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// Reads an array.
    ///
    /// # Errors
    /// [`Error::File`] if there is none of this name, it is damaged, or as for [`NpyArray::read`].
    pub fn read(&mut self, name: &str) -> Result<NpyArray> {
        let Some(member) = self.members.iter().find(|member| member.name == name) else {
            let names: Vec<&str> = self.names().collect();
            return Err(Error::file(&self.path, format!("no array {name:?} among {names:?}")));
        };
        read(member, &self.path, &mut self.file).map_err(|reason| Error::file(&self.path, format!("{name}: {reason}")))
    }
}

fn read(member: &Member, path: &Path, file: &mut BufReader<File>) -> Result<NpyArray, String> {
    let mut input = CrcReader::new(member.read(file)?);
    let array = NpyArray::parse(path, &mut input)?;
    if input.crc().sum() != member.checksum {
        return Err("damaged: its checksum is not that of the directory".to_string());
    }
    Ok(array)
}
