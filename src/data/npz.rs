//! NumPy's files of several arrays: a ZIP file of `.npy` files, stored or deflated.

use super::NpyArray;
use crate::error::{Error, Result};
use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The end record, and the longest comment that may follow it.
const END: usize = 22;
const LONGEST_END: u64 = END as u64 + 0xffff;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

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

#[derive(Debug)]
struct Member {
    name: String,
    method: u16,
    checksum: u32,
    packed: u64,
    /// Place of its own header.
    at: u64,
}

impl Npz {
    /// Opens a file and reads its directory.
    ///
    /// # Errors
    /// [`Error::File`] where it is missing or no ZIP file, or its directory is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Npz> {
        let path = path.as_ref().to_path_buf();
        let fault = |reason: String| Error::file(&path, reason);
        let file = File::open(&path).map_err(|error| fault(error.to_string()))?;
        let mut file = BufReader::new(file);
        let members = directory(&mut file).map_err(fault)?;
        Ok(Npz { path, file, members })
    }

    /// Names of the arrays, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// Reads an array.
    ///
    /// # Errors
    /// [`Error::File`] where there is none of this name, it is damaged, or as for [`NpyArray::read`].
    pub fn read(&mut self, name: &str) -> Result<NpyArray> {
        let Some(member) = self.members.iter().find(|member| member.name == name) else {
            let names: Vec<&str> = self.names().collect();
            return Err(Error::file(&self.path, format!("no array {name:?} among {names:?}")));
        };
        member.read(&self.path, &mut self.file).map_err(|reason| Error::file(&self.path, format!("{name}: {reason}")))
    }
}

impl Member {
    fn read(&self, path: &Path, file: &mut BufReader<File>) -> Result<NpyArray, String> {
        file.seek(SeekFrom::Start(self.at)).map_err(|error| error.to_string())?;
        let header: [u8; 30] = fill(file)?;
        if header[..4] != *b"PK\x03\x04" {
            return Err("its header is damaged".to_string());
        }
        // Its sizes may be 0 here; the directory has them.
        let skipped = i64::from(word(&header, 26)) + i64::from(word(&header, 28));
        file.seek_relative(skipped).map_err(|error| error.to_string())?;
        let packed = file.take(self.packed);
        match self.method {
            STORED => self.parse(path, packed),
            DEFLATED => self.parse(path, DeflateDecoder::new(packed)),
            method => Err(format!("it is packed by method {method}; expected none or deflate")),
        }
    }

    fn parse(&self, path: &Path, input: impl Read) -> Result<NpyArray, String> {
        let mut input = CrcReader::new(input);
        let array = NpyArray::parse(path, &mut input)?;
        if input.crc().sum() != self.checksum {
            return Err("damaged: its checksum is not that of the directory".to_string());
        }
        Ok(array)
    }
}

/// The members that a ZIP file's directory lists.
fn directory(file: &mut BufReader<File>) -> Result<Vec<Member>, String> {
    let seek = |file: &mut BufReader<File>, to| file.seek(to).map_err(|error| error.to_string());
    let size = seek(file, SeekFrom::End(0))?;
    let tail_at = size.saturating_sub(LONGEST_END);
    seek(file, SeekFrom::Start(tail_at))?;
    let mut tail = Vec::new();
    file.take(LONGEST_END).read_to_end(&mut tail).map_err(|error| error.to_string())?;
    let end = (0..=tail.len().saturating_sub(END)).rev().find(|&at| tail[at..].starts_with(b"PK\x05\x06"));
    let end = end.filter(|&at| at + END <= tail.len()).ok_or("not a ZIP file, or cut off: it has no end record")?;
    let mut count = u64::from(word(&tail, end + 10));
    let mut at = u64::from(double(&tail, end + 16));
    if count == 0xffff || at == 0xffff_ffff {
        // Files past 4 GB, and such as could have become that, have a second end record; a locator before the first says
        // where it is.
        let locator = end.checked_sub(20).filter(|&at| tail[at..].starts_with(b"PK\x06\x07"));
        let locator = locator.ok_or("its end record is damaged")?;
        seek(file, SeekFrom::Start(quad(&tail, locator + 8)))?;
        let end: [u8; 56] = fill(file)?;
        if end[..4] != *b"PK\x06\x06" {
            return Err("its end record is damaged".to_string());
        }
        (count, at) = (quad(&end, 32), quad(&end, 48));
    }
    seek(file, SeekFrom::Start(at))?;
    // Each member takes bytes of the file, so that a false count ends at the file's end.
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(member(file)?);
    }
    Ok(members)
}

fn member(file: &mut BufReader<File>) -> Result<Member, String> {
    let header: [u8; 46] = fill(file)?;
    if header[..4] != *b"PK\x01\x02" {
        return Err("its directory is damaged".to_string());
    }
    let mut name = vec![0; usize::from(word(&header, 28))];
    let mut extra = vec![0; usize::from(word(&header, 30))];
    for text in [&mut name, &mut extra] {
        file.read_exact(text).map_err(|_| "it ends within its directory")?;
    }
    file.seek_relative(i64::from(word(&header, 32))).map_err(|error| error.to_string())?;
    let name = String::from_utf8_lossy(&name);
    let mut sizes = [24, 20, 42].map(|at| u64::from(double(&header, at)));
    if sizes.contains(&0xffff_ffff) {
        let mut long = long_sizes(&extra);
        for size in sizes.iter_mut().filter(|size| **size == 0xffff_ffff) {
            *size = long.next().ok_or("its directory is damaged")?;
        }
    }
    Ok(Member {
        name: name.strip_suffix(".npy").unwrap_or(&name).to_string(),
        method: word(&header, 10),
        checksum: double(&header, 16),
        packed: sizes[1],
        at: sizes[2],
    })
}

/// The numbers of the extra field with which ZIP writes sizes past 4 GB.
fn long_sizes(extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = extra;
    let mut field: &[u8] = &[];
    while rest.len() >= 4 {
        let (id, size) = (word(rest, 0), usize::from(word(rest, 2)));
        let end = (4 + size).min(rest.len());
        if id == 1 {
            field = &rest[4..end];
            break;
        }
        rest = &rest[end..];
    }
    field.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes))
}

fn fill<const N: usize>(file: &mut BufReader<File>) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|_| "cut off, or its directory is damaged")?;
    Ok(bytes)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn double(bytes: &[u8], at: usize) -> u32 {
    u32::from(word(bytes, at)) | u32::from(word(bytes, at + 2)) << 16
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from(double(bytes, at)) | u64::from(double(bytes, at + 4)) << 32
}
