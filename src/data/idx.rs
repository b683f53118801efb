//! IDX files, MNIST's format: two zero bytes, a type, a rank, the sizes as big-endian 32-bit numbers, the values. Gzipped or not.

use super::file::check_expansion;
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const UNSIGNED_BYTE: u8 = 8;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Most items of a file; the largest sets in this format have 814,255 images.
const MOST_ITEMS: usize = 1 << 20;

/// Unsigned bytes of some dimensions.
pub(super) struct Idx {
    pub path: PathBuf,
    pub sizes: Vec<usize>,
    pub values: Vec<u8>,
}

/// Reads `name` or `name.gz` in `folder`, which must hold items of unsigned bytes, each of the sizes `item`.
pub(super) fn read(folder: &Path, name: &str, item: &[usize]) -> Result<Idx> {
    let zipped = folder.join(format!("{name}.gz"));
    let path = if zipped.is_file() { zipped } else { folder.join(name) };
    let file = File::open(&path).map_err(|error| Error::file(&path, format!("{error} (with or without .gz)")))?;
    let mut file = BufReader::new(file);
    // By its first bytes and not by its name: browsers unzip files and leave the ending.
    let is_zipped = file.fill_buf().map_err(|error| Error::file(&path, error))?.starts_with(&GZIP);
    if is_zipped { parse(path, MultiGzDecoder::new(file), item) } else { parse(path, file, item) }
}

fn parse(path: PathBuf, mut input: impl Read, item: &[usize]) -> Result<Idx> {
    let rank = 1 + item.len();
    let fault = |reason: String| Error::file(&path, reason);
    let mut header = vec![0; 4 + 4 * rank];
    let mut fill = |to: &mut [u8]| {
        input.read_exact(to).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => fault("cut off: it ends within the header".to_string()),
            _ => fault(error.to_string()),
        })
    };
    fill(&mut header[..4])?;
    if header[..2] != [0, 0] {
        return Err(fault(format!("not an IDX file: it begins with {:02x?}, not with two zeros", &header[..4])));
    }
    if header[2] != UNSIGNED_BYTE {
        return Err(fault(format!("its type is {:#04x}; expected unsigned bytes, {UNSIGNED_BYTE:#04x}", header[2])));
    }
    if usize::from(header[3]) != rank {
        return Err(fault(format!("it has {} dimensions; expected {rank}", header[3])));
    }
    fill(&mut header[4..])?;
    let sizes: Vec<usize> =
        header[4..].chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    if sizes[1..] != *item {
        return Err(fault(format!("its items are {}; expected {}", by(&sizes[1..]), by(item))));
    }
    if sizes[0] > MOST_ITEMS {
        return Err(fault(format!("it announces {} items; at most {MOST_ITEMS} are read", sizes[0])));
    }
    let expected: u64 = sizes.iter().map(|&size| size as u64).product();
    check_expansion(&path, expected)?;
    let mut values = Vec::new();
    // Reads one byte past the end, to notice if there is one.
    let read = input.take(expected.saturating_add(1)).read_to_end(&mut values);
    match read {
        Err(error) => Err(fault(format!("cut off or damaged after {} of {expected} values: {error}", values.len()))),
        Ok(count) if (count as u64) < expected => {
            Err(fault(format!("cut off: {count} values, expected {expected} for the sizes {sizes:?}")))
        }
        Ok(count) if count as u64 > expected => {
            Err(fault(format!("more than the {expected} values that the sizes {sizes:?} announce")))
        }
        Ok(_) => Ok(Idx { path, sizes, values }),
    }
}

/// Sizes as people say them.
fn by(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join(" x ")
}
