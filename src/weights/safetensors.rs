//! The format safetensors: the length of a JSON directory, that directory, and the values.

use super::content::Content;
use super::reader::Entry;
use crate::error::{Error, Result};
use crate::file;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The bytes of the directory's length.
const LENGTH: usize = 8;

/// The longest directory that is read: the format's own limit.
const LONGEST_DIRECTORY: u64 = 100_000_000;

/// The tensors of a file, and the texts that it says about itself.
pub(super) fn directory(file: &mut BufReader<File>) -> Result<(Vec<Entry>, HashMap<String, String>), String> {
    let damaged = |reason: &dyn ToString| format!("not a whole safetensors file: {}", reason.to_string());
    let size = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let mut length = [0; LENGTH];
    file.read_exact(&mut length).map_err(|_| damaged(&"it has no directory"))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_DIRECTORY || length > size - LENGTH as u64 {
        return Err(damaged(&format!("its directory would have {length} bytes, the file has {size}")));
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).map_err(|error| error.to_string())?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
    let values = size - LENGTH as u64 - length;
    if metadata.data_len() as u64 != values {
        return Err(damaged(&format!("{values} bytes of values, {} in its directory", metadata.data_len())));
    }
    let entry = |name: String| {
        let TensorInfo { dtype, shape, data_offsets } = metadata.info(&name)?;
        let content = Content::at(LENGTH as u64 + length + data_offsets.0 as u64);
        Some(Entry { name, dictionary: 0, dtype: *dtype, shape: shape.clone(), content })
    };
    let entries = metadata.offset_keys().into_iter().filter_map(entry).collect();
    Ok((entries, metadata.metadata().clone().unwrap_or_default()))
}

/// Writes a file of the listed tensors, and asks for their bytes one by one.
///
/// # Errors
/// [`Error::File`]; those of `bytes`. After an error `path` has its old contents.
pub(crate) fn write(
    path: &Path,
    tensors: &[(String, Dtype, Vec<usize>)],
    about: HashMap<String, String>,
    mut bytes: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    // Wide types first, so that each value is at a multiple of its size.
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by(|a, b| b.1.bitsize().cmp(&a.1.bitsize()).then_with(|| a.0.cmp(&b.0)));
    let mut end = 0;
    let infos = order.iter().map(|(name, dtype, shape)| {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name.clone(), TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (start, end) })
    });
    let infos: Vec<_> = infos.collect();
    let directory = Metadata::new((!about.is_empty()).then_some(about), infos)
        .map_err(|error| error.to_string())
        .and_then(|metadata| serde_json::to_string(&metadata).map_err(|error| error.to_string()))
        .map_err(|reason| Error::file(path, reason))?;
    let padding = directory.len().next_multiple_of(LENGTH) - directory.len();
    file::replace_by(path, |file| {
        let write = |file: &mut dyn Write, bytes: &[u8]| {
            file.write_all(bytes).map_err(|error| Error::file(path, format!("not written: {error}")))
        };
        write(file, &((directory.len() + padding) as u64).to_le_bytes())?;
        write(file, directory.as_bytes())?;
        write(file, &b"       "[..padding])?;
        order.iter().try_for_each(|(name, ..)| write(file, &bytes(name)?))
    })
}
