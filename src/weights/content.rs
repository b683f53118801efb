//! The place of a tensor's values in a file, and their layout there.

use crate::zip::Member;
use flate2::CrcReader;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// The place of values.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub source: Source,
    /// Bytes before the first value.
    pub offset: u64,
    /// Elements between neighbours along each dimension; `None` in row-major order.
    pub strides: Option<Vec<usize>>,
    /// True where the highest byte of each value comes first.
    pub big_endian: bool,
}

/// The bytes that hold the values.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Those of the file.
    File,
    /// Those of a member of a ZIP file.
    Member(Member),
}

impl Content {
    /// Values that lie in the file one after the other.
    pub fn at(offset: u64) -> Content {
        Content { source: Source::File, offset, strides: None, big_endian: false }
    }

    /// The bytes of the values in row-major order, the lowest byte of each first; each value has `width` bytes.
    pub fn read(&self, file: &mut BufReader<File>, shape: &[usize], width: usize) -> Result<Vec<u8>, String> {
        let elements = shape.iter().product::<usize>();
        if elements == 0 {
            return Ok(Vec::new());
        }
        let strides = self.strides.as_deref().filter(|strides| !is_row_major(shape, strides));
        let last =
            |strides: &[usize]| shape.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum::<usize>();
        let length = strides.map_or(elements, |strides| last(strides) + 1) * width;
        let mut bytes = self.bytes(file, length).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "is cut off".to_string(),
            _ => error.to_string(),
        })?;
        if let Some(strides) = strides {
            bytes = gather(&bytes, shape, strides, width);
        }
        if self.big_endian {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    }

    fn bytes(&self, file: &mut BufReader<File>, length: usize) -> io::Result<Vec<u8>> {
        match &self.source {
            Source::File => {
                file.seek(SeekFrom::Start(self.offset))?;
                let mut bytes = vec![0; length];
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
            Source::Member(member) => {
                let mut input = CrcReader::new(member.read(file).map_err(io::Error::other)?);
                io::copy(&mut (&mut input).take(self.offset), &mut io::sink())?;
                let mut bytes = Vec::new();
                (&mut input).take(length as u64).read_to_end(&mut bytes)?;
                if bytes.len() < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                // The checksum is that of the whole.
                let is_whole = input.read(&mut [0])? == 0;
                if is_whole && input.crc().sum() != member.checksum {
                    return Err(io::Error::other("is damaged: its checksum is not that of the directory"));
                }
                Ok(bytes)
            }
        }
    }
}

/// True where elements with these strides lie one after the other.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        step *= size;
        fits
    })
}

/// Elements one after the other.
fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], width: usize) -> Vec<u8> {
    let elements = shape.iter().product::<usize>();
    let mut gathered = Vec::with_capacity(elements * width);
    let mut coordinates = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..elements {
        gathered.extend_from_slice(&bytes[at * width..][..width]);
        for d in (0..shape.len()).rev() {
            coordinates[d] += 1;
            at += strides[d];
            if coordinates[d] < shape[d] {
                break;
            }
            at -= strides[d] * shape[d];
            coordinates[d] = 0;
        }
    }
    gathered
}
