//! ZIP files, as NumPy and PyTorch write them: members are stored or deflated.

use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

/// The end record, and the longest comment that may follow it.
const END: usize = 22;
const LONGEST_END: u64 = END as u64 + 0xffff;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A member of a ZIP file, as the directory describes it. Its name is never used as a path: nothing is written to a disk.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub name: String,
    pub checksum: u32,
    /// The number of bytes that it unpacks to, by the directory.
    pub unpacked: u64,
    method: u16,
    packed: u64,
    /// Position of its own header.
    at: u64,
}

impl Member {
    /// Position of its bytes, if they are stored uncompressed.
    pub fn stored_at(&self, file: &mut BufReader<File>) -> Result<Option<u64>, String> {
        Ok(if self.method == STORED { Some(self.content(file)?) } else { None })
    }

    /// Its bytes, unpacked.
    pub fn read<'a>(&self, file: &'a mut BufReader<File>) -> Result<Box<dyn Read + 'a>, String> {
        self.content(file)?;
        let packed = file.take(self.packed);
        match self.method {
            STORED => Ok(Box::new(packed)),
            DEFLATED => Ok(Box::new(DeflateDecoder::new(packed))),
            method => Err(format!("it is packed by method {method}; expected none or deflate")),
        }
    }

    /// Seeks to its first byte and returns the position.
    fn content(&self, file: &mut BufReader<File>) -> Result<u64, String> {
        file.seek(SeekFrom::Start(self.at)).map_err(|error| error.to_string())?;
        let header: [u8; 30] = fill(file)?;
        if header[..4] != *b"PK\x03\x04" {
            return Err("its header is damaged".to_string());
        }
        // Its sizes may be 0 here; the directory has them.
        let skipped = i64::from(word(&header, 26)) + i64::from(word(&header, 28));
        file.seek_relative(skipped).map_err(|error| error.to_string())?;
        file.stream_position().map_err(|error| error.to_string())
    }
}

/// The members that a ZIP file's directory lists.
pub(crate) fn directory(file: &mut BufReader<File>) -> Result<Vec<Member>, String> {
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
        // Files past 4 GB, and files that could have grown past it, have a second end record; a locator before the first one
        // holds its position.
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
    // Each member takes bytes of the file, so a wrong count ends at the file's end.
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
        name: name.into_owned(),
        method: word(&header, 10),
        checksum: double(&header, 16),
        unpacked: sizes[0],
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

/// Writes a ZIP file of uncompressed members, with the sizes of files past 4 GB throughout.
pub(crate) struct Writer<'a> {
    output: &'a mut dyn Write,
    written: u64,
    directory: Vec<u8>,
    members: u64,
}

impl<'a> Writer<'a> {
    /// Starts a file.
    pub fn new(output: &'a mut dyn Write) -> Writer<'a> {
        Writer { output, written: 0, directory: Vec::new(), members: 0 }
    }

    /// Adds a member: the bytes of `parts`, one after the other.
    pub fn member(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut checksum = Crc::new();
        parts.iter().for_each(|part| checksum.update(part));
        let size: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let name_length = u16::try_from(name.len()).map_err(|_| io::Error::other("a name is too long"))?;
        // Version 4.5, no flags, stored, midnight of 1 January 1980.
        let mut common = [45u16, 0, STORED, 0, 0x21].map(u16::to_le_bytes).concat();
        common.extend(checksum.sum().to_le_bytes());
        common.extend([0xff; 8]);
        common.extend(name_length.to_le_bytes());
        let extra = |numbers: &[u64]| {
            let length = u16::try_from(8 * numbers.len()).unwrap_or(u16::MAX);
            let mut extra = [1u16, length].map(u16::to_le_bytes).concat();
            extra.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            extra
        };
        let (local, central) = (extra(&[size, size]), extra(&[size, size, self.written]));
        self.directory.extend(b"PK\x01\x02\x2d\x00");
        self.directory.extend(&common);
        self.directory.extend(u16::try_from(central.len()).unwrap_or(u16::MAX).to_le_bytes());
        // No comment, the first disk, no attributes; the position is in the extra field.
        self.directory.extend([0; 10]);
        self.directory.extend([0xff; 4]);
        self.directory.extend(name.as_bytes());
        self.directory.extend(&central);
        self.members += 1;
        let length = u16::try_from(local.len()).unwrap_or(u16::MAX).to_le_bytes();
        for part in [&b"PK\x03\x04"[..], &common, &length, name.as_bytes(), &local].iter().chain(parts) {
            self.write(part)?;
        }
        Ok(())
    }

    /// Writes the directory.
    pub fn finish(mut self) -> io::Result<()> {
        let (at, length) = (self.written, self.directory.len() as u64);
        let directory = std::mem::take(&mut self.directory);
        self.write(&directory)?;
        let second_end = self.written;
        let mut end = b"PK\x06\x06".to_vec();
        end.extend(44u64.to_le_bytes());
        end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        end.extend([self.members, self.members, length, at].iter().flat_map(|number| number.to_le_bytes()));
        end.extend(b"PK\x06\x07\x00\x00\x00\x00");
        end.extend(second_end.to_le_bytes());
        end.extend(1u32.to_le_bytes());
        end.extend(b"PK\x05\x06\x00\x00\x00\x00");
        end.extend([0xff; 12]);
        end.extend([0; 2]);
        self.write(&end)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.output.write_all(bytes)
    }
}
