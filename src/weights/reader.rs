//! An open file of weights, of which one tensor is read at a time.

use super::metadata::{Metadata, TAG};
use super::safetensors;
use super::values::{held_as, to_tensor};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use ::safetensors::Dtype;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// An open file of weights. Its directory has been read and checked; of its values only those are in memory that are asked
/// for.
///
/// ```no_run
/// use wgrad::{Device, weights::Reader};
/// let mut file = Reader::open("resnet18.safetensors")?;
/// for entry in file.entries() {
///     println!("{} {:?} {}", entry.name(), entry.shape(), entry.dtype());
/// }
/// let bias = file.read("fc.bias", &Device::reference())?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    entries: Vec<Entry>,
    about: HashMap<String, String>,
}

/// A tensor of a file.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Place of the first byte in the file.
    pub(super) at: u64,
}

impl Entry {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sizes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type in the file: `F32`, `BF16`, `I64` and so on.
    pub fn dtype(&self) -> String {
        format!("{:?}", self.dtype)
    }

    /// The type a device holds it in, or floats of any type as f32.
    pub(super) fn held_as(&self) -> Option<DType> {
        held_as(self.dtype)
    }

    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

impl Reader {
    /// Opens a safetensors file.
    ///
    /// # Errors
    /// [`Error::File`] where it is missing or damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        let path = path.as_ref().to_path_buf();
        let mut file = File::open(&path).map(BufReader::new).map_err(|error| Error::file(&path, error))?;
        let (entries, about) = safetensors::directory(&mut file).map_err(|reason| Error::file(&path, reason))?;
        Ok(Reader { path, file, entries, about })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors, in the file's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the file says about its network, where wgrad wrote it.
    ///
    /// # Errors
    /// [`Error::File`] where that is not understood.
    pub fn metadata(&self) -> Result<Option<Metadata>> {
        let Some(text) = self.about.get(TAG) else { return Ok(None) };
        let fault = |reason: String| Error::file(&self.path, format!("{TAG}: {reason}"));
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
        metadata.check().map_err(fault)?;
        Ok(Some(metadata))
    }

    /// The text under a key of the file's own metadata.
    pub(crate) fn about(&self, key: &str) -> Option<&str> {
        self.about.get(key).map(String::as_str)
    }

    /// Reads a tensor: floats as f32 or f16, integers as i32 or u32, truth values as such.
    ///
    /// # Errors
    /// [`Error::File`] where there is none of this name, or it can't be read or holds numbers that the device's type does
    /// not have.
    pub fn read(&mut self, name: &str, device: &Device) -> Result<Tensor> {
        let Some(at) = self.entries.iter().position(|entry| entry.name == name) else {
            return Err(Error::file(&self.path, format!("{name} is missing")));
        };
        self.read_as(at, device, self.entries[at].held_as().unwrap_or(DType::F32))
    }

    /// Reads the entry of this number as a type.
    pub(super) fn read_as(&mut self, at: usize, device: &Device, to: DType) -> Result<Tensor> {
        let entry = &self.entries[at];
        let fault = |reason: std::io::Error| Error::file(&self.path, format!("{}: {reason}", entry.name));
        let mut bytes = vec![0; entry.bytes()];
        self.file.seek(SeekFrom::Start(entry.at)).map_err(fault)?;
        self.file.read_exact(&mut bytes).map_err(fault)?;
        to_tensor(entry.dtype, bytes, device, &entry.shape, to).map_err(|error| match error {
            Error::Invalid { rule, .. } => Error::file(&self.path, format!("{} {rule}", entry.name)),
            other => other,
        })
    }
}
