//! NumPy's files of several arrays, as files of weights.

use super::content::{Content, Source};
use super::reader::Entry;
use crate::data::npy::{Header, Kind};
use crate::error::{Error, Result};
use crate::file;
use crate::zip::{Member, Writer};
use safetensors::Dtype;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The arrays of a ZIP file.
pub(super) fn of_zip(file: &mut BufReader<File>, members: &[Member]) -> Result<Vec<Entry>, String> {
    let arrays = members.iter().filter_map(|member| Some((member.name.strip_suffix(".npy")?, member)));
    let entries = arrays.map(|(name, member)| {
        let header = Header::read(&mut member.read(file)?).map_err(|reason| format!("{name}: {reason}"))?;
        let dtype = match header.kind {
            Kind::F64 => Dtype::F64,
            Kind::F32 => Dtype::F32,
            Kind::F16 => Dtype::F16,
            Kind::I64 => Dtype::I64,
            Kind::I32 => Dtype::I32,
            Kind::U8 => Dtype::U8,
            Kind::Bool => Dtype::BOOL,
        };
        let elements = header.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let bytes = elements.and_then(|elements| elements.checked_mul(dtype.bitsize() / 8));
        if bytes.is_none_or(|bytes| bytes as u64 > member.unpacked) {
            return Err(format!("{name}: the sizes {:?} do not fit its {} bytes", header.shape, member.unpacked));
        }
        let content = Content {
            source: Source::Member(member.clone()),
            offset: header.length as u64,
            strides: header.fortran_order.then(|| column_major(&header.shape)),
            big_endian: header.big_endian,
        };
        Ok(Entry { name: name.to_string(), dictionary: 0, dtype, shape: header.shape, content })
    });
    entries.collect()
}

/// Strides of values whose first dimension varies fastest.
fn column_major(shape: &[usize]) -> Vec<usize> {
    let mut step = 1;
    let strides = shape.iter().map(|&size| {
        let stride = step;
        step *= size;
        stride
    });
    strides.collect()
}

/// Writes a file of the listed tensors, and asks for their bytes one by one.
///
/// # Errors
/// [`Error::File`]; those of `bytes`. After an error `path` has its old contents.
pub(super) fn write(
    path: &Path,
    tensors: &[(String, Dtype, Vec<usize>)],
    mut bytes: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    let fault = |error| Error::file(path, format!("not written: {error}"));
    file::replace_by(path, |file| {
        let mut zip = Writer::new(file);
        for (name, dtype, shape) in tensors {
            let descr = match dtype {
                Dtype::F16 => "<f2",
                Dtype::F32 => "<f4",
                _ => "<i8",
            };
            zip.member(&format!("{name}.npy"), &[&header(descr, shape), &bytes(name)?]).map_err(fault)?;
        }
        zip.finish().map_err(fault)
    })
}

/// The header of an array in row-major order, whose length is a multiple of 64.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    const START: usize = 10;
    let padded = (START + text.len() + 1).next_multiple_of(64) - START;
    text.extend(std::iter::repeat_n(' ', padded - text.len() - 1));
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], text.as_bytes()].concat()
}
