//! TFRecord: a length, its checksum, the bytes, their checksum.

/// CRC-32C, rotated and offset, since bytes that contain their own checksum would have a weak one.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Bytes as a record.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length).to_le_bytes(), bytes, &masked_crc(bytes).to_le_bytes()].concat()
}

/// The fault of a file of records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged {
    /// The first byte of the record.
    pub at: usize,
}

/// The records of a file. The last one is ignored if it is incomplete, since it may still be being written. An error is the last
/// item.
pub(super) struct Records<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub fn new(file: &'a [u8]) -> Records<'a> {
        Records { file, at: 0 }
    }

    /// The next record, `None` where the file ends before the record does.
    fn record(&self) -> Option<Result<(&'a [u8], usize), Damaged>> {
        let damaged = Damaged { at: self.at };
        let (length, rest) = self.file.get(self.at..)?.split_first_chunk::<8>()?;
        let (check, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*check) != masked_crc(length) {
            return Some(Err(damaged));
        }
        let size = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (bytes, rest) = rest.split_at_checked(size)?;
        let (check, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*check) != masked_crc(bytes) {
            return Some(Err(damaged));
        }
        Some(Ok((bytes, self.file.len() - rest.len())))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<&'a [u8], Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record()?;
        self.at = record.as_ref().map_or(self.file.len(), |&(_, end)| end);
        Some(record.map(|(bytes, _)| bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_up_to_where_the_file_is_cut() {
        let file = [frame(b"one"), frame(b""), frame(b"three")].concat();
        for end in 0..=file.len() {
            let whole = [15 + 4, 16 + 19, file.len()].iter().filter(|&&length| length <= end).count();
            let records: Vec<_> = Records::new(&file[..end]).map(Result::unwrap).collect();
            assert_eq!(records, [&b"one"[..], b"", b"three"][..whole], "cut at {end}");
        }
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let file = [frame(b"one"), frame(b"two"), frame(b"three")].concat();
        for at in 19..38 {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            let records: Vec<_> = Records::new(&changed).collect();
            assert_eq!(records, [Ok(&b"one"[..]), Err(Damaged { at: 19 })], "byte {at}");
        }
    }
}
