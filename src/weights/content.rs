//! The position of a tensor's values in a file, and their layout there.

use crate::error::{Error, Result};
use crate::zip::Member;
use flate2::CrcReader;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// The bytes of a file that are in memory at once: a multiple of every type's size.
const PIECE: usize = 1 << 20;

/// The position of values.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub source: Source,
    /// Bytes before the first value.
    pub offset: u64,
    /// Elements between neighbours along each dimension; `None` in row-major order.
    pub strides: Option<Vec<usize>>,
    /// True if the highest byte of each value comes first.
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
    /// Contiguous values of a file.
    pub fn at(offset: u64) -> Content {
        Content { source: Source::File, offset, strides: None, big_endian: false }
    }

    /// Shows the bytes of the values in row-major order, the lowest byte of each first, in pieces of whole values; each value
    /// has `width` bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file can't be read; those of `show`.
    pub fn read(
        &self,
        file: &mut BufReader<File>,
        shape: &[usize],
        width: usize,
        show: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let elements = shape.iter().product::<usize>();
        if elements == 0 {
            return Ok(());
        }
        let mut show = |piece: &mut [u8]| {
            if self.big_endian {
                piece.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
            show(piece)
        };
        let Some(strides) = self.strides.as_deref().filter(|strides| !is_row_major(shape, strides)) else {
            return self.stored(file, elements * width, &mut show);
        };
        let last = shape.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum::<usize>();
        let length = (last + 1) * width;
        let mut bytes = Vec::with_capacity(length);
        self.stored(file, length, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        gather(&bytes, shape, strides, width, &mut show)
    }

    /// Shows bytes as they are stored, in pieces.
    fn stored(
        &self,
        file: &mut BufReader<File>,
        length: usize,
        show: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        match &self.source {
            Source::File => {
                file.seek(SeekFrom::Start(self.offset)).map_err(unread)?;
                pieces(file, length, show)
            }
            Source::Member(member) => {
                let input = member.read(file).map_err(|reason| Error::invalid("weights", reason))?;
                let mut input = CrcReader::new(input);
                io::copy(&mut (&mut input).take(self.offset), &mut io::sink()).map_err(unread)?;
                pieces(&mut input, length, show)?;
                // The checksum is that of the whole.
                let is_whole = input.read(&mut [0]).map_err(unread)? == 0;
                if is_whole && input.crc().sum() != member.checksum {
                    return Err(Error::invalid("weights", "is damaged: its checksum is not that of the directory"));
                }
                Ok(())
            }
        }
    }
}

/// Passes on `length` bytes of an input, piece by piece.
fn pieces(input: &mut dyn Read, length: usize, show: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
    let mut piece = vec![0; length.min(PIECE)];
    for start in (0..length).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(length - start)];
        input.read_exact(piece).map_err(unread)?;
        show(piece)?;
    }
    Ok(())
}

fn unread(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::invalid("weights", "is cut off"),
        _ => Error::invalid("weights", error.to_string()),
    }
}

/// True if elements with these strides are contiguous.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        step *= size;
        fits
    })
}

/// Passes on elements in row-major order, piece by piece.
fn gather(
    bytes: &[u8],
    shape: &[usize],
    strides: &[usize],
    width: usize,
    show: &mut dyn FnMut(&mut [u8]) -> Result<()>,
) -> Result<()> {
    let elements = shape.iter().product::<usize>();
    let mut piece = Vec::with_capacity(PIECE.min(elements * width));
    let mut coordinates = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..elements {
        piece.extend_from_slice(&bytes[at * width..][..width]);
        if piece.len() == PIECE {
            show(&mut piece)?;
            piece.clear();
        }
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
    show(&mut piece)
}
