//! An open file of weights, of which one tensor is read at a time.

use super::content::Content;
use super::metadata::{Metadata, TAG};
use super::values::{held_as, to_tensor};
use super::{npz, safetensors, torch};
use crate::data::file::check_expansion;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::shape::Shape;
use ::safetensors::Dtype;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// An open file of weights. Its directory has been read and checked; only the values asked for are in memory.
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
    /// The length of the part of the name that is the dictionary's.
    pub(super) dictionary: usize,
    pub(super) content: Content,
}

impl Entry {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dictionary that holds the tensor, the first part of its name: empty, or a text such as `state_dict.` in a file with
    /// several.
    pub fn dictionary(&self) -> &str {
        &self.name[..self.dictionary]
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
}

impl Reader {
    /// Opens a safetensors file, a file of `torch.save` in either form (`.pth`, `.pt`), or a `.npz` file, by its first
    /// bytes. Nothing that a pickle would call is called.
    ///
    /// In a file of `torch.save` with nested dictionaries, a tensor's name is the path of keys to it, joined by dots:
    /// `state_dict.conv1.weight`.
    ///
    /// # Errors
    /// [`Error::File`] if it is missing, of another kind or damaged, or its pickle calls what a state dictionary doesn't
    /// need.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        let path = path.as_ref().to_path_buf();
        let mut file = File::open(&path).map(BufReader::new).map_err(|error| Error::file(&path, error))?;
        let (entries, about) = directory(&mut file).map_err(|reason| Error::file(&path, reason))?;
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

    /// The file's description of its network, where wgrad wrote it.
    ///
    /// # Errors
    /// [`Error::File`] if that is not understood.
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
    /// [`Error::File`] if there is none of this name, or it can't be read or holds numbers that the device's type does
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
        let fault = |reason: String| Error::file(&self.path, format!("{} {reason}", entry.name));
        Shape::new(&entry.shape).map_err(|error| fault(format!("does not fit a tensor: {error}")))?;
        let width = entry.dtype.bitsize() / 8;
        check_expansion(&self.path, entry.shape.iter().product::<usize>().saturating_mul(width) as u64)?;
        let read =
            |show: &mut dyn FnMut(&[u8]) -> Result<()>| entry.content.read(&mut self.file, &entry.shape, width, show);
        to_tensor(entry.dtype, device, &entry.shape, to, read).map_err(|error| match error {
            Error::Invalid { rule, .. } => fault(rule),
            other => other,
        })
    }
}

/// The tensors of a file of any kind, and the texts that it says about itself.
fn directory(file: &mut BufReader<File>) -> Result<(Vec<Entry>, HashMap<String, String>), String> {
    if let Some(members) = torch::members(file)? {
        let entries = match torch::of_zip(file, &members)? {
            Some(entries) => entries,
            None => npz::of_zip(file, &members)?,
        };
        if entries.is_empty() {
            return Err("a ZIP file without tensors: neither torch.save nor NumPy wrote it".to_string());
        }
        return Ok((entries, HashMap::new()));
    }
    let start = file.fill_buf().map_err(|error| error.to_string())?;
    if start[..start.len().min(64)].windows(torch::MAGIC.len()).any(|at| at == torch::MAGIC) {
        return Ok((torch::of_pickles(file)?, HashMap::new()));
    }
    if start.first() == Some(&0x80) && start.get(8) != Some(&b'{') {
        return Err("a pickle that torch.save did not write".to_string());
    }
    if start.get(257..262) == Some(b"ustar") {
        return Err("a TAR file, as PyTorch wrote before 0.1.10: load and save it with a later one".to_string());
    }
    safetensors::directory(file)
}
