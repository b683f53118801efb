//! Uploads bytes to the device.

use crate::device::{Buffer, Gpu};
use crate::error::Result;
use std::borrow::Cow;
use std::sync::atomic::Ordering;

/// Bytes that are being uploaded are in the host's memory until the device has taken them, so storing waits past this many.
const MOST_ON_THE_WAY: usize = 1 << 24;

/// Passes the bytes piece by piece to the function that it is given.
pub(crate) type Fill<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;

impl Gpu {
    /// Writes bytes at the start of a buffer, before the next submission.
    pub fn upload(&self, buffer: &Buffer, bytes: &[u8]) -> Result<()> {
        self.write(buffer.raw(), 0, &padded(bytes))
    }

    /// A buffer of bytes that come in pieces; each but the last is a multiple of four.
    pub fn store(&self, bytes: usize, fill: Fill<'_>) -> Result<Buffer> {
        let buffer = self.take(bytes)?;
        let mut at = 0;
        fill(&mut |piece| {
            let piece = padded(piece);
            self.write(buffer.raw(), at, &piece)?;
            at += piece.len() as u64;
            if self.on_the_way.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MOST_ON_THE_WAY {
                self.on_the_way.store(0, Ordering::Relaxed);
                self.wait(Some(self.guarded(|| Ok(self.queue.submit([])))?))?;
            }
            Ok(())
        })?;
        Ok(buffer)
    }

    /// Writes to any buffer. A lost device refuses that too, and on a device shared with an application nothing else would keep
    /// wgpu from panicking then.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, at: u64, bytes: &[u8]) -> Result<()> {
        self.guarded(|| {
            self.queue.write_buffer(buffer, at, bytes);
            Ok(())
        })
    }
}

/// Bytes with zeros up to the next multiple of four, the granularity of a queue's writes.
fn padded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.len().is_multiple_of(4) {
        return Cow::Borrowed(bytes);
    }
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    Cow::Owned(padded)
}
