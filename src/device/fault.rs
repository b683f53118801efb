//! Bad indices that kernels find: three words on the device, read at every synchronisation point.

use crate::error::Result;
use crate::number::nearest;
use crate::shader::Fault;
use parking_lot::Mutex;

/// Bytes of the fault words: the code of the operation with a bad index, one more than the size that it exceeds, and the index.
/// `shader::specialise` has the code that writes them.
pub(super) const FAULT_BYTES: u64 = 4 * FAULT_WORDS as u64;
const FAULT_WORDS: usize = 3;

pub(super) struct Faults {
    pub buffer: wgpu::Buffer,
    /// Faults by their codes; 0 means none.
    known: Mutex<Vec<Fault>>,
}

impl Faults {
    pub fn new(device: &wgpu::Device) -> Faults {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("fault"),
            size: FAULT_BYTES.next_multiple_of(16),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Faults { buffer, known: Mutex::new(Vec::new()) }
    }
}

impl super::Gpu {
    /// The code under which a kernel reports.
    pub fn fault_code(&self, fault: Fault) -> u32 {
        let mut known = self.faults.known.lock();
        let at = known.iter().position(|&k| k == fault).unwrap_or_else(|| {
            known.push(fault);
            known.len() - 1
        });
        nearest::<u32>(at) + 1
    }

    /// Turns the words that were read back into an error, and clears them on the device.
    pub(super) fn check_fault(&self, words: &[u8]) -> Result<()> {
        let word = |at: usize| u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        let code = word(0) as usize;
        if code == 0 {
            return Ok(());
        }
        self.write(&self.faults.buffer, 0, &[0; 4 * FAULT_WORDS])?;
        let fault = self.faults.known.lock().get(code - 1).copied().unwrap_or(Fault::Index("unknown"));
        let size = word(4).saturating_sub(1) as usize;
        Err(fault.error(i64::from(word(8) as i32), size))
    }
}
